// What a real program allocated, played on heaps of the three strategies.
//
//	main TRACE     tells how fragmented each heap is after each tenth of the trace
//
// A trace is what tools/trace.sh makes; tests/traces has one of a Python program that compiles parts of its own library, and
// one of a data base that fills, searches and changes tables.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	shmkit "github.com/shmkit/shmkit/go"
)

const heapLen = 16 << 20

type step struct {
	// 0 allocates, 1 frees, 2 resizes.
	what   uint64
	number uint64
	length int
}

// readTrace returns the steps of a trace: numbers of seven bits a byte, whose two lowest bits say what is done.
func readTrace(path string) ([]step, error) {
	content, err := os.ReadFile(path)
	rest, good := bytes.CutPrefix(content, []byte("shmkit trace 1\n"))
	if err != nil || !good {
		return nil, fmt.Errorf("%s is no trace", path)
	}
	next := func() uint64 {
		number, size := binary.Uvarint(rest)
		rest = rest[max(size, 1):]
		return number
	}
	var steps []step
	for len(rest) > 0 {
		word := next()
		s := step{what: word & 3, number: word >> 2}
		switch s.what {
		case 0:
			s.length = int(word >> 2)
		case 2:
			s.length = int(next())
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func play(strategy shmkit.HeapStrategy, steps []step, name string) error {
	heap, err := shmkit.CreateHeap(name, heapLen, shmkit.WithStrategy(strategy))
	if err != nil {
		return err
	}
	defer heap.Close()
	if err := shmkit.Unlink(name); err != nil {
		return err
	}
	// Blocks have numbers in a trace. A number that became free last is the next to be given.
	var blocks []*shmkit.Block
	var freeNumbers []int
	var mostUsed uint64
	tenth := max(len(steps)/10, 1)
	fmt.Printf("%v: fragmentation", strategy)
	for i, s := range steps {
		switch s.what {
		case 0:
			number := len(blocks)
			if last := len(freeNumbers) - 1; last >= 0 {
				number, freeNumbers = freeNumbers[last], freeNumbers[:last]
			} else {
				blocks = append(blocks, nil)
			}
			blocks[number], err = heap.Allocate(s.length)
		case 1:
			err = blocks[s.number].Free()
			freeNumbers = append(freeNumbers, int(s.number))
		default:
			err = blocks[s.number].Resize(s.length)
		}
		if err != nil {
			return err
		}
		if (i+1)%tenth == 0 {
			status, err := heap.Status()
			if err != nil {
				return err
			}
			fmt.Printf(" %.3f", status.Fragmentation())
			mostUsed = max(mostUsed, status.Used)
		}
	}
	if err := heap.Check(); err != nil {
		return err
	}
	end, err := heap.Status()
	fmt.Printf("\n  at most %d KiB used, %d free blocks at the end\n", mostUsed/1024, end.FreeBlocks)
	return err
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: allocators TRACE")
		os.Exit(2)
	}
	steps, err := readTrace(os.Args[1])
	name := fmt.Sprintf("allocators-%d", os.Getpid())
	for _, strategy := range []shmkit.HeapStrategy{shmkit.BestFit, shmkit.FirstFit, shmkit.Buddy} {
		if err == nil {
			err = play(strategy, steps, name)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "allocators:", err)
		os.Exit(1)
	}
}
