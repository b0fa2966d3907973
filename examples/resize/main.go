// A region that grows and shrinks while others use it; a mapping that grows with its file.
//
//	main scratch data.bin     resizes the region `scratch` and a mapping of the file, and removes the region
package main

import (
	"errors"
	"fmt"
	"os"

	shmkit "github.com/shmkit/shmkit/go"
)

func resizeRegion(name string) error {
	// Address space for a mebibyte, storage for a page.
	region, err := shmkit.Create(name, 4096, shmkit.WithCapacity(1<<20))
	if err != nil {
		return err
	}
	defer region.Close()
	other, err := shmkit.Open(name) // usually in another process, in any language
	if err != nil {
		return err
	}
	defer other.Close()
	if _, err := region.WriteAt([]byte("kept"), 0); err != nil {
		return err
	}

	if err := region.Resize(1_000_000); err != nil {
		return err
	}
	if _, err := other.WriteAt([]byte("!"), 999_999); err != nil {
		return err
	}
	fmt.Printf("grown: %d bytes, the other sees %d\n", region.Len(), other.Len())

	if err := region.Resize(4096); err != nil {
		return err
	}
	kept := make([]byte, 4)
	if err := other.ReadFullAt(kept, 0); err != nil {
		return err
	}
	fmt.Printf("shrunk: %d bytes, %s\n", other.Len(), kept)
	return shmkit.Unlink(name)
}

func resizeMapping(path string) error {
	mapping, err := shmkit.Map(path, shmkit.WithProtection(shmkit.ProtectReadWrite), shmkit.WithCreate(),
		shmkit.WithLen(4096), shmkit.WithReserve(1<<20))
	if err != nil {
		return err
	}
	view := func(bytes []byte) error { // stays where it is
		if err := mapping.Resize(100_000); err != nil {
			return err
		}
		_, err := mapping.WriteAt([]byte("!"), 99_999)
		fmt.Printf("the file has %d bytes, the view %d\n", mapping.Len(), len(bytes))
		return err
	}
	return errors.Join(mapping.View(view), mapping.Close())
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: resize NAME PATH")
		os.Exit(2)
	}
	if err := errors.Join(resizeRegion(os.Args[1]), resizeMapping(os.Args[2])); err != nil {
		fmt.Fprintln(os.Stderr, "resize:", err)
		os.Exit(1)
	}
}
