// A file that somebody cuts while it is mapped: zeros and an error, and no signal.
//
//	main data.bin     maps the file, has it cut, notices, and maps what is left
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	shmkit "github.com/shmkit/shmkit/go"
)

// refused returns nil if err is of this kind, as it should be.
func refused(err error, kind shmkit.ErrorKind) error {
	if errors.Is(err, kind) {
		return nil
	}
	return fmt.Errorf("expected %s, got: %v", kind.Name(), err)
}

func run(path string) error {
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 20_000), 0o644); err != nil {
		return err
	}
	mapping, err := shmkit.Map(path)
	if err != nil {
		return err
	}
	// View checks when its function returns.
	err = mapping.ViewReadOnly(func(data []byte) error {
		fmt.Printf("mapped %d bytes, one of them is %d\n", len(data), data[15_000])

		// In practice somebody else does this, at any moment.
		if err := os.Truncate(path, 5000); err != nil {
			return err
		}

		// The bytes are plain memory and ask nobody: what is missing reads as zeros.
		fmt.Printf("cut: now it is %d\n", data[15_000])
		return nil
	})
	if err := refused(err, shmkit.ErrMappingTruncated); err != nil {
		return err
	}

	// From here on every checked call says the same.
	if err := refused(mapping.Check(), shmkit.ErrMappingTruncated); err != nil {
		return err
	}
	if err := mapping.Close(); err != nil {
		return err
	}
	fmt.Println("noticed")

	again, err := shmkit.Map(path)
	if err != nil {
		return err
	}
	fmt.Printf("mapped again: %d bytes\n", again.Len())
	return again.Close()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: shrinking PATH")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "shrinking:", err)
		os.Exit(1)
	}
}
