package main

import (
	"fmt"
	"os"
	"path/filepath"

	shmkit "github.com/shmkit/shmkit/go"
)

const (
	fileLen = 1 << 30
	block   = 4096
)

// scratchFile returns a file of holes, which the caller removes.
func scratchFile(length int64) *os.File {
	file, err := os.CreateTemp("", "shmkit-bench-go-")
	must(err)
	must(file.Truncate(length))
	return file
}

// runWindows reads blocks at random from a cached file of 1 GiB.
func runWindows() {
	file := scratchFile(fileLen)
	defer os.Remove(file.Name())
	cache, err := shmkit.OpenWindows(file.Name(), shmkit.WithWindowLen(fileLen/64), shmkit.WithPattern(shmkit.AdviseRandom))
	must(err)
	defer cache.Close()
	whole, err := shmkit.Map(file.Name(), shmkit.WithPopulate())
	must(err)
	defer whole.Close()
	bytes := make([]byte, block)
	for off := int64(0); off < fileLen; off += block {
		_, err := cache.ReadAt(bytes, off)
		must(err)
	}
	random := uint64(1)
	reads := func(read func(p []byte, off int64) (int, error)) func(int) {
		return func(count int) {
			for range count {
				random = random*6364136223846793005 + 1442695040888963407
				_, err := read(bytes, int64(random>>33)%(fileLen/block)*block)
				must(err)
			}
		}
	}
	compare("windows.random_4k_fits.go.vs_one_mapping", 5_000, reads(cache.ReadAt), reads(whole.ReadAt))
	compare("windows.random_4k_fits.go.vs_pread", 5_000, reads(cache.ReadAt), reads(file.ReadAt))
}

func runFlush() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("shmkit-bench-go-flush-%d", os.Getpid()))
	mapping, err := shmkit.Map(path, shmkit.WithCreate(), shmkit.WithLen(1<<20), shmkit.WithProtection(shmkit.ProtectReadWrite))
	must(err)
	defer mapping.Close()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(err)
	must(os.Remove(path))
	page := make([]byte, 4096)
	compare("flush.one_page.go.vs_pwrite_fsync", 10, func(count int) {
		for range count {
			page[0]++
			_, err := mapping.WriteAt(page, 4096)
			must(err)
			must(mapping.FlushRange(4096, 4096, shmkit.FlushSync))
		}
	}, func(count int) {
		for range count {
			page[0]++
			_, err := file.WriteAt(page, 8192)
			must(err)
			must(file.Sync())
		}
	})
}

func runPages() {
	const length = 64 << 20
	mapping, err := shmkit.MapAnonymous(length, shmkit.WithPrivate(), shmkit.WithHugePages(shmkit.HugePagesNever))
	must(err)
	defer mapping.Close()
	compare("pages.populate_64m.go.vs_touch", 4, func(count int) {
		for range count {
			must(mapping.Advise(shmkit.AdviseDontNeed))
			must(mapping.Advise(shmkit.AdvisePopulateWrite))
		}
	}, func(count int) {
		for range count {
			must(mapping.Advise(shmkit.AdviseDontNeed))
			must(mapping.View(func(bytes []byte) error {
				for at := 0; at < length; at += 4096 {
					bytes[at] = 1
				}
				return nil
			}))
		}
	})
}
