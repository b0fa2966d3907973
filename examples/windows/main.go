// Reading a large file at random: a mapping for each read, beside windows that are mapped once and used again.
//
//	main data.bin 256     makes a sparse file of 256 MiB (or takes the one that is there) and reads it both ways
//
// Each mmap and munmap is a system call that changes the page table; each first touch of a page is a fault; and other
// processors must be told to forget what was unmapped. A window cache pays that once for each window.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

const (
	block = 4096
	reads = 20_000
)

// work reads blocks at random, the same in every language, and says what that cost.
func work(length int64, read func(offset int64) error) (shmkit.Usage, time.Duration, error) {
	random := uint64(1)
	start := time.Now()
	var failed error
	used, err := shmkit.CountUsage(func() {
		for i := 0; i < reads && failed == nil; i++ {
			random = random*6364136223846793005 + 1442695040888963407
			failed = read(int64(random>>33) % (length / block) * block)
		}
	})
	if failed != nil {
		err = failed
	}
	return used, time.Since(start), err
}

func row(name string, maps, unmaps int, used shmkit.Usage, duration time.Duration) {
	share := float64(used.Kernel) * 100 / float64(max(used.User+used.Kernel, 1))
	ms := float64(duration.Nanoseconds()) / 1e6
	fmt.Printf("%-18s %7d %7d %7d %9.1f %8.0f %%\n", name, maps, unmaps, used.MinorFaults+used.MajorFaults, ms, share)
}

func run(path string, length int64) error {
	// A file of holes is as good as any: the page cache holds zeros for them.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return err
	} else if info.Size() < length {
		if err := file.Truncate(length); err != nil {
			return err
		}
	}
	fmt.Printf("%d MiB, %d reads of %d bytes at random\n", length>>20, reads, block)
	fmt.Printf("%-18s %7s %7s %7s %9s %10s\n", "", "mmap", "munmap", "faults", "ms", "in kernel")

	bytes := make([]byte, block)
	mapAndRead := func(offset int64) error {
		mapping, err := shmkit.Map(path, shmkit.WithOffset(offset), shmkit.WithLen(block))
		if err != nil {
			return err
		}
		if err := mapping.ReadFullAt(bytes, 0); err != nil {
			return err
		}
		return mapping.Close()
	}
	// The first round brings the file into memory, so that both ways find it there.
	if _, _, err := work(length, mapAndRead); err != nil {
		return err
	}
	used, duration, err := work(length, mapAndRead)
	if err != nil {
		return err
	}
	row("a map for each", reads, reads, used, duration)

	cache, err := shmkit.OpenWindows(path)
	if err != nil {
		return err
	}
	defer cache.Close()
	used, duration, err = work(length, func(offset int64) error {
		_, err := cache.ReadAt(bytes, offset)
		return err
	})
	if err != nil {
		return err
	}
	stats := cache.Stats()
	row("windows, reused", stats.Maps, 0, used, duration)
	fmt.Printf("%d of %d reads found their window mapped; %d gave their place\n", stats.Hits, reads, stats.Evictions)
	return nil
}

func main() {
	mib := 0
	if len(os.Args) == 3 {
		mib, _ = strconv.Atoi(os.Args[2])
	}
	if mib < 1 || mib > 1<<20 {
		fmt.Fprintln(os.Stderr, "usage: windows PATH MIB")
		os.Exit(2)
	}
	if err := run(os.Args[1], int64(mib)<<20); err != nil {
		fmt.Fprintln(os.Stderr, "windows:", err)
		os.Exit(1)
	}
}
