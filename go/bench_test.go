package shmkit_test

import (
	"context"
	"sync"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

func BenchmarkGuard(b *testing.B) {
	region := newRegion(b, 4096)
	ctx := context.Background()
	for b.Loop() {
		if region.Lock(ctx) != nil || region.Unlock() != nil {
			b.Fatal("lock or unlock failed")
		}
	}
}

func BenchmarkMutexForComparison(b *testing.B) {
	var mutex sync.Mutex
	for b.Loop() {
		mutex.Lock()
		mutex.Unlock()
	}
}

func BenchmarkReadAt(b *testing.B) {
	region := newRegion(b, 4096)
	mapping, err := shmkit.MapAnonymous(4096)
	succeed(b, err)
	defer mapping.Close()
	p := make([]byte, 64)
	b.Run("region", func(b *testing.B) {
		for b.Loop() {
			if _, err := region.ReadAt(p, 64); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("mapping", func(b *testing.B) {
		for b.Loop() {
			if _, err := mapping.ReadAt(p, 64); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("view", func(b *testing.B) {
		for b.Loop() {
			if err := region.View(func(bytes []byte) error { copy(p, bytes[64:]); return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkContendedGuard(b *testing.B) {
	region := newRegion(b, 4096)
	ctx := context.Background()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if region.Lock(ctx) != nil || region.Unlock() != nil {
				b.Error("lock or unlock failed")
				return
			}
		}
	})
}
