package main

import (
	"fmt"
	"os"

	shmkit "github.com/shmkit/shmkit/go"
)

// runHeap allocates and frees a block of a heap, beside a slice that the garbage collector takes back.
func runHeap() {
	name := fmt.Sprintf("bench-go-heap-%d", os.Getpid())
	heap, err := shmkit.CreateHeap(name, 1<<20)
	must(err)
	must(shmkit.Unlink(name))
	defer heap.Close()
	var kept []byte
	compare("heap.pair_best_fit.go.vs_make", 20_000, func(count int) {
		for i := range count {
			block, err := heap.Allocate(16 + i*61%700)
			must(err)
			must(block.Free())
		}
	}, func(count int) {
		for i := range count {
			kept = make([]byte, 16+i*61%700)
		}
	})
	_ = kept
}
