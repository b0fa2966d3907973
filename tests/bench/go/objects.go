package main

import (
	"context"
	"sync"

	shmkit "github.com/shmkit/shmkit/go"
)

func runMutex() {
	region := scratchRegion("go-mutex", 4096)
	defer region.Close()
	mutex, err := region.Mutex("m")
	must(err)
	defer mutex.Close()
	ctx := context.Background()
	var peer sync.Mutex
	compare("lock.mutex.go.vs_sync_mutex", 2_000_000, func(count int) {
		for range count {
			must(mutex.Lock(ctx))
			must(mutex.Unlock())
		}
	}, func(count int) {
		for range count {
			peer.Lock()
			peer.Unlock() //nolint:staticcheck // an empty section is what is timed
		}
	})
}

func runRwLock() {
	region := scratchRegion("go-rwlock", 4096)
	defer region.Close()
	lock, err := region.RwLock("l")
	must(err)
	defer lock.Close()
	ctx := context.Background()
	var peer sync.RWMutex
	compare("rwlock.read.go.vs_sync_rwmutex", 1_000_000, func(count int) {
		for range count {
			must(lock.RLock(ctx))
			must(lock.RUnlock())
		}
	}, func(count int) {
		for range count {
			peer.RLock()
			peer.RUnlock() //nolint:staticcheck // an empty section is what is timed
		}
	})
	compare("rwlock.write.go.vs_sync_rwmutex", 300_000, func(count int) {
		for range count {
			must(lock.Lock(ctx))
			must(lock.Unlock())
		}
	}, func(count int) {
		for range count {
			peer.Lock()
			peer.Unlock() //nolint:staticcheck // an empty section is what is timed
		}
	})
}

func runSemaphore() {
	region := scratchRegion("go-semaphore", 4096)
	defer region.Close()
	ctx := context.Background()
	channel := make(chan struct{}, 1)
	peer := func(count int) {
		for range count {
			channel <- struct{}{}
			<-channel
		}
	}
	for _, kind := range []struct {
		label string
		opts  []shmkit.SemaphoreOption
	}{{"signalling", nil}, {"tracked", []shmkit.SemaphoreOption{shmkit.Tracked()}}} {
		semaphore, err := region.Semaphore(kind.label, 1, kind.opts...)
		must(err)
		compare("semaphore."+kind.label+".go.vs_channel", 500_000, func(count int) {
			for range count {
				must(semaphore.Acquire(ctx))
				must(semaphore.Release(1))
			}
		}, peer)
		must(semaphore.Close())
	}
}

func runAtomic() {
	region := scratchRegion("go-atomic", 4096)
	defer region.Close()
	number, err := region.AtomicU64("n", 0)
	must(err)
	defer number.Close()
	var mutex sync.Mutex
	sum := 0
	compare("atomic.add.go.vs_sync_mutex", 2_000_000, func(count int) {
		for range count {
			number.Add(1)
		}
	}, func(count int) {
		for range count {
			mutex.Lock()
			sum++
			mutex.Unlock()
		}
	})
}
