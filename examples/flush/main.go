// Carrying changes to the disk: what each way of flushing a mapped file promises, and what it costs.
//
//		main data.bin     makes a file of 16 MiB, changes it through a mapping, and flushes it in each way
//
//	  - FlushAsync hands the pages to the kernel's write-back and returns: quick, and a power cut may still lose them.
//	  - FlushSync returns when they are on the disk, or tells what the device reported.
//	  - FlushInvalidate also drops cached copies that differ from the file.
//
// Without any of them the kernel writes changes back in its own time: other processes see them at once, the disk later.
package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

const length = 16 << 20

func timed(name string, flush func() error) error {
	start := time.Now()
	if err := flush(); err != nil {
		return err
	}
	fmt.Printf("%-14s %9.3f ms\n", name, float64(time.Since(start).Nanoseconds())/1e6)
	return nil
}

func run(path string) error {
	mapping, err := shmkit.Map(path, shmkit.WithCreate(), shmkit.WithLen(length), shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		return err
	}
	defer mapping.Close()
	answer := map[bool]string{true: "yes", false: "no"}[mapping.Persistent()]
	fmt.Println("a flush reaches a device:", answer)

	for _, step := range []struct {
		change byte
		name   string
		flush  func() error
	}{
		{1, "async", func() error { return mapping.Flush(shmkit.FlushAsync) }},
		{0, "sync", func() error { return mapping.Flush(shmkit.FlushSync) }},
		{0, "sync again", func() error { return mapping.Flush(shmkit.FlushSync) }},
		{2, "sync, one page", func() error { return mapping.FlushRange(0, mapping.PageSize(), shmkit.FlushSync) }},
		{0, "invalidate", func() error { return mapping.Flush(shmkit.FlushSync | shmkit.FlushInvalidate) }},
	} {
		if step.change != 0 {
			if _, err := mapping.WriteAt(bytes.Repeat([]byte{step.change}, length), 0); err != nil {
				return err
			}
		}
		if err := timed(step.name, step.flush); err != nil {
			return err
		}
	}

	pages, err := mapping.Residency()
	if err != nil {
		return err
	}
	if pages.Known.Has(shmkit.PageDirty) {
		fmt.Println("pages not on the disk:", pages.Counts().Dirty)
	} else {
		fmt.Println("pages not on the disk: unknown")
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: flush PATH")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "flush:", err)
		os.Exit(1)
	}
}
