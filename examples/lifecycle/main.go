// From creation to removal: nothing is released under somebody who still uses it.
//
//	main scratch     creates the region `scratch`, tries to close it too early, and removes it
package main

import (
	"context"
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

func run(name string) error {
	region, err := shmkit.Create(name, 4096)
	if err != nil {
		return err
	}

	// A view is the bytes themselves, without a copy: they must stay where they are while it lives.
	err = region.View(func(bytes []byte) error {
		copy(bytes, "still here")
		return refused(region.Close(), shmkit.ErrBusy)
	})
	if err != nil {
		return err
	}
	fmt.Println("close with a live view: busy")

	if err := region.Lock(context.Background()); err != nil {
		return err
	}
	if err := refused(region.Close(), shmkit.ErrBusy); err != nil {
		return err
	}
	fmt.Println("close with the guard held: busy")
	if err := region.Unlock(); err != nil {
		return err
	}

	if err := region.Close(); err != nil {
		return err
	}
	fmt.Println("closed")

	_, readErr := region.ReadAt(make([]byte, 1), 0)
	viewErr := region.View(func([]byte) error { return nil })
	if err := errors.Join(refused(readErr, shmkit.ErrClosed), refused(viewErr, shmkit.ErrClosed)); err != nil {
		return err
	}
	fmt.Println("access after close: refused")
	if err := region.Close(); err != nil { // once more does no harm
		return err
	}

	if err := shmkit.Unlink(name); err != nil {
		return err
	}
	fmt.Println("unlinked")
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: lifecycle NAME")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "lifecycle:", err)
		os.Exit(1)
	}
}
