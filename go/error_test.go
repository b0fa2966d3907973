package shmkit_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

// sentinels returns the error constants that error.go declares, by name, with the C constant each is made of.
func sentinels(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	succeed(t, err)
	found := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Err") {
			return true
		}
		found[spec.Names[0].Name] = spec.Values[0].(*ast.SelectorExpr).Sel.Name
		return true
	})
	return found
}

func TestEveryKindOfTheLibraryHasItsSentinel(t *testing.T) {
	declared := sentinels(t)
	for number := shmkit.ErrorKind(1); number < 256; number++ {
		if number.Name() == "Unknown" {
			continue // nothing has this number yet
		}
		words := regexp.MustCompile(`[A-Z][a-z]*`).FindAllString(number.Name(), -1)
		constant := "SHMKIT_" + strings.ToUpper(strings.Join(words, "_"))
		match := ""
		for name, made := range declared {
			if strings.EqualFold(name, "Err"+number.Name()) && made == constant {
				match = name
			}
		}
		if match == "" {
			t.Errorf("kind %d, %s, has no sentinel made of %s", number, number.Name(), constant)
		}
		delete(declared, match)
		if number.Advice() == "" || !strings.Contains(number.Error(), number.Name()) {
			t.Errorf("%s is not told: %q", number.Name(), number.Error())
		}
	}
	if len(declared) != 0 {
		t.Errorf("the library has no kinds for %v", declared)
	}
}

func TestStandardSentinelsAreKnown(t *testing.T) {
	for kind, standard := range map[shmkit.ErrorKind]error{
		shmkit.ErrNotFound:         fs.ErrNotExist,
		shmkit.ErrAlreadyExists:    os.ErrExist,
		shmkit.ErrPermissionDenied: os.ErrPermission,
		shmkit.ErrReadOnly:         os.ErrPermission,
		shmkit.ErrInvalidName:      fs.ErrInvalid,
		shmkit.ErrClosed:           os.ErrClosed,
		shmkit.ErrTimeout:          os.ErrDeadlineExceeded,
		shmkit.ErrUnsupported:      errors.ErrUnsupported,
		shmkit.ErrMappingTruncated: shmkit.ErrTruncated,
	} {
		err := error(&shmkit.Error{Kind: kind})
		if !errors.Is(err, standard) || !errors.Is(kind, standard) || !errors.Is(err, kind) {
			t.Errorf("%v is not %v", kind, standard)
		}
		if errors.Is(err, shmkit.ErrCorrupted) || errors.Is(err, fs.ErrExist) != (kind == shmkit.ErrAlreadyExists) {
			t.Errorf("%v is something that it is not", kind)
		}
	}
	if !errors.Is(shmkit.ErrTimeout, context.DeadlineExceeded) {
		t.Error("a time-out is no context.DeadlineExceeded")
	}
	if errors.Is(&shmkit.Error{Kind: shmkit.ErrNotOwner, Errno: syscall.EPERM}, fs.ErrPermission) {
		t.Error("the errno of NotOwner makes it a question of permissions")
	}
}

func TestAnErrorTellsOperationObjectAndErrno(t *testing.T) {
	_, err := shmkit.Open("go-test-no-such-region")
	var e *shmkit.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Kind != shmkit.ErrNotFound || e.Op != "open region" || e.Object != "go-test-no-such-region" || e.Errno != syscall.ENOENT {
		t.Errorf("%+v", e)
	}
	want := "cannot open region 'go-test-no-such-region': does not exist (ENOENT); create it first, or use open_or_create"
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if !errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EEXIST) {
		t.Error("the errno is not the error's")
	}
}
