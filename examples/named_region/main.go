// A named region: one process leaves a message under the guard, another one reads it, in any language.
//
//	main write greeting     creates the region and leaves a message
//	main read greeting      opens it, reads the message and removes the region
//
// The message: its length as a 32-bit number in the machine's byte order at offset 0, its bytes at offset 4.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// locked runs f on the region's bytes under the guard.
func locked(region *shmkit.Region, f func(bytes []byte) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := region.Lock(ctx)
	if errors.Is(err, shmkit.ErrOwnerDied) {
		// The guard is held, but the message might be half-written: here that is a reason to give up.
		return errors.Join(err, region.Unlock())
	}
	if err != nil {
		return err
	}
	return errors.Join(region.View(f), region.Unlock())
}

func write(name string) error {
	region, err := shmkit.Create(name, 4096)
	if err != nil {
		return err
	}
	defer region.Close() // the region stays, until somebody unlinks it
	const message = "hello from go"
	err = locked(region, func(bytes []byte) error {
		binary.NativeEndian.PutUint32(bytes, uint32(len(message)))
		copy(bytes[4:], message)
		return nil
	})
	if err == nil {
		fmt.Println("wrote:", message)
	}
	return err
}

func read(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	defer region.Close()
	var message string
	err = locked(region, func(bytes []byte) error {
		length := int(binary.NativeEndian.Uint32(bytes))
		if length > len(bytes)-4 { // never trust a length that others can write
			return fmt.Errorf("a message of %d bytes does not fit", length)
		}
		message = string(bytes[4 : 4+length])
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println("read:", message)
	if err := shmkit.Unlink(name); err != nil {
		return err
	}
	fmt.Println("unlinked")
	return nil
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "write":
		err = write(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "read":
		err = read(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: named_region write|read NAME")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "named_region:", err)
		os.Exit(1)
	}
}
