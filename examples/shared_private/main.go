// One file, mapped three times: shared, private, and for reading. Who sees what is written?
//
//	main data.bin
package main

import (
	"fmt"
	"os"
	"strings"

	shmkit "github.com/shmkit/shmkit/go"
)

func show(mappings ...*shmkit.Mapping) (string, error) {
	var texts []string
	for i, name := range []string{"shared", "private", "reader"} {
		bytes := make([]byte, 6)
		if err := mappings[i].ReadFullAt(bytes, 0); err != nil {
			return "", err
		}
		texts = append(texts, name+" "+strings.TrimRight(string(bytes), " "))
	}
	return strings.Join(texts, ", "), nil
}

func run(path string) error {
	writable := shmkit.WithProtection(shmkit.ProtectReadWrite)
	shared, err := shmkit.Map(path, shmkit.WithCreate(), shmkit.WithLen(4096), writable)
	if err != nil {
		return err
	}
	defer shared.Close()
	if _, err := shared.WriteAt([]byte("first "), 0); err != nil {
		return err
	}

	// Copy-on-write: a page becomes this mapping's own at its first write.
	private, err := shmkit.Map(path, writable, shmkit.WithPrivate())
	if err != nil {
		return err
	}
	defer private.Close()
	reader, err := shmkit.Map(path)
	if err != nil {
		return err
	}
	defer reader.Close()
	for _, step := range []struct {
		name    string
		mapping *shmkit.Mapping
		text    string
	}{{"private", private, "secret"}, {"shared", shared, "public"}} {
		if _, err := step.mapping.WriteAt([]byte(step.text), 0); err != nil {
			return err
		}
		texts, err := show(shared, private, reader)
		if err != nil {
			return err
		}
		fmt.Printf("after a %s write: %s\n", step.name, texts)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Printf("the file holds: %s\n", file[:6])
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: shared_private PATH")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "shared_private:", err)
		os.Exit(1)
	}
}
