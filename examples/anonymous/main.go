// Memory that no file backs: a process's own, and shared with a child that gets its descriptor.
//
//	main
//
// Go programs do not fork: a child that is started inherits a file.
package main

import (
	"fmt"
	"os"
	"os/exec"

	shmkit "github.com/shmkit/shmkit/go"
)

func run() error {
	// Like memory of the heap, from whole pages of zeros; gone with the process.
	own, err := shmkit.MapAnonymous(4096, shmkit.WithPrivate())
	if err != nil {
		return err
	}
	defer own.Close()
	if _, err := own.WriteAt([]byte("mine"), 0); err != nil {
		return err
	}
	bytes := make([]byte, 4)
	if err := own.ReadFullAt(bytes, 0); err != nil {
		return err
	}
	fmt.Printf("of my own: %s\n", bytes)

	// Shared: whoever has the descriptor has the memory, and it goes with the last of them.
	segment, err := shmkit.NewMemfd("example", 4096)
	if err != nil {
		return err
	}
	defer segment.Close()
	mapping, err := segment.Map()
	if err != nil {
		return err
	}
	defer mapping.Close()
	file, err := segment.File()
	if err != nil {
		return err
	}
	defer file.Close()
	child := exec.Command(os.Args[0], "child")
	child.ExtraFiles = []*os.File{file} // descriptor 3 of the child
	child.Stderr = os.Stderr
	if err := child.Run(); err != nil {
		return err
	}
	if err := mapping.ReadFullAt(bytes[:2], 0); err != nil {
		return err
	}
	fmt.Printf("the child wrote: %s\n", bytes[:2])
	return nil
}

func writeToInherited() error {
	segment, err := shmkit.SegmentFromFile(os.NewFile(3, "memory"))
	if err != nil {
		return err
	}
	mapping, err := segment.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		return err
	}
	_, err = mapping.WriteAt([]byte("Hi"), 0)
	return err
}

func main() {
	var err error
	switch {
	case len(os.Args) == 1:
		err = run()
	case len(os.Args) == 2 && os.Args[1] == "child":
		err = writeToInherited()
	default:
		fmt.Fprintln(os.Stderr, "usage: anonymous")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "anonymous:", err)
		os.Exit(1)
	}
}
