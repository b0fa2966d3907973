// A file as memory: one process writes through a mapping, another one reads, in any language.
//
//	main write data.bin     creates the file, maps it and writes `Hi` at offset 0
//	main read data.bin      maps the existing file for reading only
package main

import (
	"fmt"
	"os"

	shmkit "github.com/shmkit/shmkit/go"
)

func write(path string) error {
	// Made when it is missing, with mode 0644, and at least 4096 bytes long; never cut short.
	mapping, err := shmkit.Map(path, shmkit.WithCreate(), shmkit.WithLen(4096), shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		return err
	}
	defer mapping.Close()
	if _, err := mapping.WriteAt([]byte("Hi"), 0); err != nil {
		return err
	}
	// Others who map the file see the bytes already. This carries them to the disk.
	if err := mapping.Flush(shmkit.FlushSync); err != nil {
		return err
	}
	fmt.Printf("wrote 2 bytes to %s\n", path)
	return nil
}

func read(path string) error {
	mapping, err := shmkit.Map(path)
	if err != nil {
		return err
	}
	defer mapping.Close()
	bytes := make([]byte, 2)
	if err := mapping.ReadFullAt(bytes, 0); err != nil {
		return err
	}
	fmt.Printf("read: %s\n", bytes)
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
		fmt.Fprintln(os.Stderr, "usage: file_mapping write|read PATH")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "file_mapping:", err)
		os.Exit(1)
	}
}
