package shmkit_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A call that is not listed in calls.go moves what it points to to the heap, which nothing else would show.
func TestEveryCallOfTheLibraryIsListed(t *testing.T) {
	// It calls what the library does not know; and it has nothing to point to.
	unlisted := []string{"shmkit_code_call", "shmkit_set_fault_guard"}
	list, err := os.ReadFile("calls.go")
	succeed(t, err)
	listed := map[string]bool{}
	for _, match := range regexp.MustCompile(`#cgo noescape (\w+)`).FindAllSubmatch(list, -1) {
		listed[string(match[1])] = true
	}
	files, err := filepath.Glob("*.go")
	succeed(t, err)
	called := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		succeed(t, err)
		for _, match := range regexp.MustCompile(`\bC\.(shmkit_\w+)\(`).FindAllSubmatch(text, -1) {
			if name := string(match[1]); !strings.HasSuffix(name, "_t") { // a conversion
				called[name] = true
			}
		}
	}
	for name := range called {
		if !listed[name] && !slices.Contains(unlisted, name) {
			t.Errorf("%s is not listed", name)
		}
	}
	for name := range listed {
		if !called[name] {
			t.Errorf("%s is listed and not called", name)
		}
	}
}
