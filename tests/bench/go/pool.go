package main

import (
	"context"
	"sync"

	shmkit "github.com/shmkit/shmkit/go"
)

// runPool times an allocation and a free beside a lock and an unlock, and a value of several words beside a copy under a lock.
func runPool() {
	region := scratchRegion("go-pool", 4096)
	defer region.Close()
	pool, err := region.Pool("p", 64, 1024)
	must(err)
	defer pool.Close()
	mutex, err := region.Mutex("m")
	must(err)
	defer mutex.Close()
	ctx := context.Background()
	ours := func(count int) {
		for range count {
			block, err := pool.Allocate(ctx)
			must(err)
			must(block.Free())
		}
	}
	compare("pool.allocate_free.go.vs_mutex", 300_000, ours, func(count int) {
		for range count {
			must(mutex.Lock(ctx))
			must(mutex.Unlock())
		}
	})
	pooled := sync.Pool{New: func() any { return new([64]byte) }}
	compare("pool.allocate_free.go.vs_sync_pool", 300_000, ours, func(count int) {
		for range count {
			pooled.Put(pooled.Get())
		}
	})
}

func runValue() {
	region := scratchRegion("go-value", 4096)
	defer region.Close()
	value, err := shmkit.OpenValue(region, "v", [8]uint64{})
	must(err)
	defer value.Close()
	mutex, err := region.Mutex("m")
	must(err)
	defer mutex.Close()
	ctx := context.Background()
	var copied [64]byte
	compare("value.load_64_bytes.go.vs_mutex_and_copy", 100_000, func(count int) {
		for range count {
			_, err := value.Load()
			must(err)
		}
	}, func(count int) {
		for range count {
			must(mutex.Lock(ctx))
			must(region.ReadFullAt(copied[:], 0))
			must(mutex.Unlock())
		}
	})
}
