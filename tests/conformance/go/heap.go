package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	shmkit "github.com/shmkit/shmkit/go"
)

// openHeap opens the heap that a command names, or creates it; without a length, only one that exists.
func openHeap(region *shmkit.Region, name string, c command) (object, error) {
	if !c.has("len") {
		return region.FindHeap(name)
	}
	strategies := map[string]shmkit.HeapStrategy{
		"": shmkit.BestFit, "best_fit": shmkit.BestFit, "first_fit": shmkit.FirstFit, "buddy": shmkit.Buddy,
	}
	strategy, known := strategies[c.arguments["strategy"]]
	if !known {
		return nil, fmt.Errorf("strategy=%s", c.arguments["strategy"])
	}
	length, err := c.number("len")
	if err != nil {
		return nil, err
	}
	minBlock, err := c.numberOr("min_block", 0)
	if err != nil {
		return nil, err
	}
	options := []shmkit.HeapOption{shmkit.WithStrategy(strategy), shmkit.WithMinBlock(int(min(minBlock, math.MaxInt)))}
	if c.flag("reclaim") {
		options = append(options, shmkit.WithReclaim())
	}
	return region.Heap(name, int(min(length, math.MaxInt)), options...)
}

// runHeap does what a command says with a heap.
func runHeap(heap *shmkit.Heap, c command) (string, error) {
	offset, err := c.numberOr("offset", 0)
	if err != nil {
		return "", err
	}
	number, err := c.numberOr("size", 0)
	if err != nil {
		return "", err
	}
	size := int(min(number, math.MaxInt))
	switch c.op {
	case "heap_allocate":
		return allocate(heap, size, c)
	case "heap_free":
		return "", heap.Free(offset)
	case "heap_usable":
		size, err := heap.UsableSize(offset)
		return fmt.Sprintf(" size=%d", size), err
	case "heap_resize":
		return withBlock(heap, offset, func(block *shmkit.Block) error {
			if c.flag("in_place") {
				return block.ResizeInPlace(size)
			}
			return block.Resize(size)
		})
	case "heap_publish":
		return withBlock(heap, offset, func(block *shmkit.Block) error {
			_, err := block.Publish()
			return err
		})
	case "heap_adopt":
		block, err := heap.Adopt(offset)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(" size=%d", block.Len()), nil
	case "heap_read":
		length, err := c.number("len")
		if err != nil {
			return "", err
		}
		var data string
		err = heap.View(offset, func(bytes []byte) error {
			data = hex.EncodeToString(bytes[:length])
			return nil
		})
		return " data=" + data, err
	case "heap_write":
		data, err := c.bytes("data")
		if err != nil {
			return "", err
		}
		return "", heap.View(offset, func(bytes []byte) error {
			copy(bytes, data)
			return nil
		})
	case "heap_check":
		return "", heap.Check()
	case "heap_reclaim":
		count, err := heap.Reclaim()
		return fmt.Sprintf(" count=%d", count), err
	case "heap_info":
		found, err := heap.Status()
		return fmt.Sprintf(" used=%d published=%d free=%d fragmented=%d",
			found.UsedBlocks, found.PublishedBlocks, found.FreeBlocks, digit(found.Fragmentation() > 0)), err
	case "heap_play":
		return "", playHeap(heap, c)
	}
	return unknown(c)
}

func allocate(heap *shmkit.Heap, size int, c command) (string, error) {
	align, err := c.numberOr("align", 16)
	if err != nil {
		return "", err
	}
	block, err := (*shmkit.Block)(nil), error(nil)
	if c.flag("zeroed") {
		block, err = heap.AllocateZeroed(size)
	} else {
		block, err = heap.AllocateAligned(size, int(min(align, math.MaxInt)))
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(" offset=%d", block.Offset()), nil
}

// withBlock does something with a block of this process's own, and answers where it is then.
func withBlock(heap *shmkit.Heap, offset uint64, do func(*shmkit.Block) error) (string, error) {
	block, err := heap.Block(offset)
	if err == nil {
		err = do(block)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(" offset=%d", block.Offset()), nil
}

// playHeap does so many steps at random, on blocks that hold one byte all over; in the end all are freed.
func playHeap(heap *shmkit.Heap, c command) error {
	seed, err := c.number("seed")
	if err != nil {
		return err
	}
	count, err := c.number("count")
	if err != nil {
		return err
	}
	var blocks []*shmkit.Block
	random, fill := seed, byte(seed)
	for ; count > 0 && err == nil; count-- {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		length := int((random>>20)%600) + 1
		if len(blocks) == 0 || len(blocks) < 40 && random&1 != 0 {
			var block *shmkit.Block
			block, err = heap.Allocate(length)
			if err == nil {
				blocks = append(blocks, block)
				err = fillBlock(block, fill)
			}
		} else {
			index := int((random >> 8) % uint64(len(blocks)))
			block := blocks[index]
			err = block.View(func(data []byte) error {
				if bytes.Count(data, []byte{fill}) != len(data) {
					return errors.New("somebody else wrote into a block")
				}
				return nil
			})
			switch {
			case err != nil:
			case random>>1&3 != 0:
				err = block.Free()
				blocks[index] = blocks[len(blocks)-1]
				blocks = blocks[:len(blocks)-1]
			default:
				if err = block.Resize(length); err == nil {
					err = fillBlock(block, fill)
				}
			}
		}
		if errors.Is(err, shmkit.ErrNoSpace) {
			err = nil
		}
	}
	for _, block := range blocks {
		err = errors.Join(err, block.Free())
	}
	return err
}

func fillBlock(block *shmkit.Block, fill byte) error {
	return block.View(func(data []byte) error {
		for i := range data {
			data[i] = fill
		}
		return nil
	})
}
