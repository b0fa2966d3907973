// What pages allow: the least that does the job, changed when the job changes. A write where none is allowed is an error
// and no crash.
//
//	main config.bin
package main

import (
	"errors"
	"fmt"
	"os"

	shmkit "github.com/shmkit/shmkit/go"
)

func outcome(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, shmkit.ErrReadOnly):
		return "refused, read-only"
	case errors.Is(err, shmkit.ErrBusy):
		return "refused, busy"
	case errors.Is(err, shmkit.ErrPermissionDenied):
		return "refused, no access"
	}
	return err.Error()
}

func run(path string) error {
	mapping, err := shmkit.Map(path, shmkit.WithCreate(), shmkit.WithLen(2*4096), shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		return err
	}
	defer mapping.Close()
	write := func(text string, at int64) error {
		_, err := mapping.WriteAt([]byte(text), at)
		return err
	}
	if err := write("config", 0); err != nil {
		return err
	}
	if err := mapping.ProtectRange(0, 4096, shmkit.ProtectRead); err != nil {
		return err
	}
	fmt.Println("a write to a read-only page:", outcome(write("x", 0)))
	fmt.Println("a write to the page after it:", outcome(write("x", 4096)))

	// A writable view would lose what it was given.
	err = mapping.ViewRange(4096, 4096, func([]byte) error {
		fmt.Println("protecting pages with a writable view:", outcome(mapping.Protect(shmkit.ProtectRead)))
		return nil
	})
	if err != nil {
		return err
	}
	if err := mapping.Protect(shmkit.ProtectNone); err != nil {
		return err
	}
	fmt.Println("a read of a page without access:", outcome(mapping.ReadFullAt(make([]byte, 1), 0)))
	if err := mapping.Protect(shmkit.ProtectReadWrite); err != nil {
		return err
	}
	fmt.Println("a write after all was allowed:", outcome(write("C", 0)))

	// Opened for reading, a file can never be written through its mapping.
	reader, err := shmkit.Map(path)
	if err != nil {
		return err
	}
	defer reader.Close()
	fmt.Println("allowing writes to a file open for reading:", outcome(reader.Protect(shmkit.ProtectReadWrite)))
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protection PATH")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "protection:", err)
		os.Exit(1)
	}
}
