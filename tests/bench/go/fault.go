package main

import (
	"os"
	"path/filepath"

	shmkit "github.com/shmkit/shmkit/go"
)

// runFault times a mapping under the fault guard beside one without it.
func runFault() {
	const size = 4 << 20
	directory, err := os.MkdirTemp("", "shmkit-bench")
	must(err)
	defer os.RemoveAll(directory)
	open := func(opts ...shmkit.MapOption) *shmkit.Mapping {
		opts = append(opts, shmkit.WithCreate(), shmkit.WithLen(size), shmkit.WithPopulate(), shmkit.WithProtection(shmkit.ProtectReadWrite))
		mapping, err := shmkit.Map(filepath.Join(directory, "file"), opts...)
		must(err)
		return mapping
	}
	guarded, unguarded := open(), open(shmkit.WithoutFaultGuard())
	both := func(name string, count int, work func(mapping *shmkit.Mapping, count int)) {
		compare("fault."+name+".go.vs_unguarded", count, func(count int) { work(guarded, count) }, func(count int) { work(unguarded, count) })
	}
	for _, read := range []struct {
		name          string
		length, count int
	}{{"read_4k", 4096, 50_000}, {"read_64b", 64, 200_000}} {
		place := make([]byte, read.length)
		both(read.name, read.count, func(mapping *shmkit.Mapping, count int) {
			for at := range count {
				_, err := mapping.ReadAt(place, int64(at*read.length%size))
				must(err)
			}
		})
	}
	both("sum_4m", 10, func(mapping *shmkit.Mapping, count int) {
		must(mapping.ViewReadOnly(func(bytes []byte) error {
			for range count {
				for _, value := range bytes {
					total += uint64(value)
				}
			}
			return nil
		}))
	})
	must(guarded.Close())
	must(unguarded.Close())
}

var total uint64
