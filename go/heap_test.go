package shmkit_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

const heapLen = 64 << 10

var strategies = []shmkit.HeapStrategy{shmkit.BestFit, shmkit.FirstFit, shmkit.Buddy}

// newHeap creates a heap in a region of its own, which goes away with the test.
func newHeap(t *testing.T, opts ...shmkit.HeapOption) (*shmkit.Heap, string) {
	t.Helper()
	name := freshName(t)
	heap, err := shmkit.CreateHeap(name, heapLen, opts...)
	succeed(t, err)
	t.Cleanup(func() {
		succeed(t, heap.Check())
		succeed(t, heap.Close())
		succeed(t, shmkit.Unlink(name))
	})
	return heap, name
}

// made returns a block that there must be.
func made(t *testing.T) func(*shmkit.Block, error) *shmkit.Block {
	t.Helper()
	return func(block *shmkit.Block, err error) *shmkit.Block {
		t.Helper()
		succeed(t, err)
		return block
	}
}

func heapStatusOf(t *testing.T, heap *shmkit.Heap) shmkit.HeapStatus {
	t.Helper()
	status, err := heap.Status()
	succeed(t, err)
	return status
}

func TestBlocksAreAllocatedAndFreed(t *testing.T) {
	for _, strategy := range strategies {
		t.Run(strategy.String(), func(t *testing.T) {
			heap, _ := newHeap(t, shmkit.WithStrategy(strategy))
			if heap.Strategy() != strategy || heap.Name() != "heap" || heap.String() != `shmkit.Heap("heap")` {
				t.Fatal(heap, heap.Strategy())
			}
			first := made(t)(heap.AllocateZeroed(100))
			second := made(t)(heap.AllocateAligned(100, 1024))
			data, err := first.Bytes()
			succeed(t, err)
			if len(data) != 100 || first.Len() != 100 || !bytes.Equal(data, make([]byte, 100)) || second.Offset()%1024 != 0 {
				t.Fatal(len(data), second.Offset())
			}
			copy(data, "hello")
			before := first.Offset()
			succeed(t, first.Resize(5000))
			succeed(t, first.View(func(data []byte) error {
				if first.Offset() == before || len(data) != 5000 || string(data[:5]) != "hello" {
					t.Fatal(first.Offset(), len(data), data[:5])
				}
				expect(t, first.Free(), shmkit.ErrBusy)
				expect(t, first.Resize(10), shmkit.ErrBusy)
				expect(t, heap.Close(), shmkit.ErrBusy)
				return nil
			}))
			succeed(t, first.ResizeInPlace(50))
			expect(t, first.ResizeInPlace(1<<20), shmkit.ErrNoSpace)
			expect(t, first.Resize(1<<20), shmkit.ErrNoSpace)
			if usable, err := heap.UsableSize(first.Offset()); err != nil || usable < 50 || first.Len() != 50 {
				t.Fatal(usable, err, first.Len())
			}
			data, err = first.Bytes()
			succeed(t, err)
			numbers, err := shmkit.SliceAs[uint64](data)
			if err != nil || len(numbers) != 6 {
				t.Fatal(len(numbers), err)
			}
			status := heapStatusOf(t, heap)
			blocks, err := heap.Blocks()
			succeed(t, err)
			owners, err := heap.Owners()
			succeed(t, err)
			if uint64(len(blocks)) != status.UsedBlocks+status.FreeBlocks || status.UsedBlocks != 2 || len(owners) != 1 {
				t.Fatal(blocks, status, owners)
			}
			if !owners[0].Alive || owners[0].PID != uint32(os.Getpid()) || owners[0].Bytes != status.Used {
				t.Fatal(owners)
			}
			succeed(t, first.Free())
			succeed(t, first.Free())
			succeed(t, second.Free())
			if status := heapStatusOf(t, heap); status.UsedBlocks != 0 || status.Fragmentation() != 0 {
				t.Fatal(status)
			}
		})
	}
}

func TestWhatIsNoBlockIsRefused(t *testing.T) {
	heap, _ := newHeap(t)
	for _, length := range []int{0, -1, 1 << 40} {
		want := shmkit.ErrInvalidLength
		if length > 0 {
			want = shmkit.ErrNoSpace
		}
		_, err := heap.Allocate(length)
		expect(t, err, want)
		block, err := heap.Allocate(10)
		succeed(t, err)
		expect(t, block.Resize(length), want)
		expect(t, block.ResizeInPlace(length), want)
		succeed(t, block.Free())
	}
	for _, align := range []int{0, 3, 8192, -16} {
		_, err := heap.AllocateAligned(10, align)
		expect(t, err, shmkit.ErrInvalidArgument)
	}
	block := made(t)(heap.Allocate(1000))
	offset := block.Offset()
	for _, wrong := range []uint64{0, offset + 1, offset + 16, ^uint64(0)} {
		expect(t, heap.Free(wrong), shmkit.ErrInvalidBlock)
		_, err := heap.Adopt(wrong)
		expect(t, err, shmkit.ErrInvalidBlock)
		_, err = heap.Block(wrong)
		expect(t, err, shmkit.ErrInvalidBlock)
		_, err = heap.UsableSize(wrong)
		expect(t, err, shmkit.ErrInvalidBlock)
		expect(t, heap.View(wrong, func([]byte) error { return nil }), shmkit.ErrInvalidBlock)
	}
	_, err := heap.Adopt(offset)
	expect(t, err, shmkit.ErrNotOwner)
	succeed(t, heap.Free(offset))
	expect(t, block.Free(), shmkit.ErrInvalidBlock)
	_, err = block.IntoOffset()
	succeed(t, err)
	succeed(t, block.Free())
	for _, err := range []error{block.Resize(10), block.View(nil)} {
		expect(t, err, shmkit.ErrInvalidBlock)
	}
	_, err = block.Publish()
	expect(t, err, shmkit.ErrInvalidBlock)
	if !strings.Contains(err.Error(), "EINVAL") {
		t.Fatal(err)
	}
}

func TestHeapOptionsAreChecked(t *testing.T) {
	region := newRegion(t, 64)
	_, err := region.FindHeap("h")
	expect(t, err, shmkit.ErrNotFound)
	for _, length := range []int{0, -1} {
		_, err = region.Heap("h", length)
		expect(t, err, shmkit.ErrInvalidLength)
	}
	_, err = region.Heap("h", 1000, shmkit.WithMinBlock(128))
	expect(t, err, shmkit.ErrInvalidArgument)
	options := []shmkit.HeapOption{shmkit.WithStrategy(shmkit.Buddy), shmkit.WithMinBlock(32), shmkit.WithReclaim()}
	heap, err := region.Heap("h", 10_000, options...)
	succeed(t, err)
	block := made(t)(heap.Allocate(20))
	offset, err := block.IntoOffset()
	succeed(t, err)
	found, err := openAgain(t, region).FindHeap("h")
	succeed(t, err)
	if found.Strategy() != shmkit.Buddy || shmkit.HeapArenaLen(10_000, options...) < 10_000 || shmkit.HeapArenaLen(0) != 0 {
		t.Fatal(found.Strategy())
	}
	block = made(t)(found.Block(offset))
	succeed(t, block.Free())
	_, err = region.Heap("h", 10_000)
	expect(t, err, shmkit.ErrParameterMismatch)
	_, err = region.Heap("large", 1<<30)
	expect(t, err, shmkit.ErrNoSpace)
	succeed(t, found.Close())
	succeed(t, heap.Close())
	succeed(t, heap.Close())
	if !heap.Closed() {
		t.Fatal("it is open")
	}
	_, err = heap.Allocate(10)
	expect(t, err, shmkit.ErrClosed)

	path := t.TempDir() + "/heap"
	_, err = shmkit.OpenHeap(path, shmkit.HeapAsFile())
	expect(t, err, shmkit.ErrNotFound)
	heap, err = shmkit.OpenOrCreateHeap(path, 1000, shmkit.HeapAsFile())
	succeed(t, err)
	again, err := shmkit.OpenHeap(path, shmkit.HeapAsFile())
	succeed(t, err)
	_, err = shmkit.CreateHeap(path, 1000, shmkit.HeapAsFile())
	expect(t, err, shmkit.ErrAlreadyExists)
	succeed(t, again.Close())
	succeed(t, heap.Close())
}

// keepBlocks is a child that owns two blocks of a heap and published a third until it is killed.
func keepBlocks(name string) error {
	heap, err := shmkit.OpenHeap(name)
	if err != nil {
		return err
	}
	kept, err := heap.Allocate(1000)
	if err != nil {
		return err
	}
	if _, err = heap.Allocate(1000); err != nil {
		return err
	}
	given, err := heap.Allocate(100)
	if err != nil {
		return err
	}
	data, err := given.Bytes()
	if err != nil {
		return err
	}
	copy(data, "hello")
	offset, err := given.Publish()
	if err != nil {
		return err
	}
	fmt.Println(kept.Offset(), offset)
	waitForInput()
	return nil
}

func TestBlocksOfTheDeadAreAdoptedOrReclaimed(t *testing.T) {
	heap, name := newHeap(t)
	child := startChild(t, "keepBlocks", name)
	var kept, given uint64
	numbers := strings.Fields(child.line(t))
	for i, into := range []*uint64{&kept, &given} {
		number, err := strconv.ParseUint(numbers[i], 10, 64)
		succeed(t, err)
		*into = number
	}
	succeed(t, heap.View(given, func(data []byte) error {
		if string(data[:5]) != "hello" {
			t.Fatal(data[:5])
		}
		return nil
	}))
	block := made(t)(heap.Adopt(given))
	succeed(t, block.Free())
	_, err := heap.Adopt(kept)
	expect(t, err, shmkit.ErrNotOwner)
	expect(t, heap.Free(kept), shmkit.ErrNotOwner)
	child.kill()
	block = made(t)(heap.Adopt(kept))
	if count, err := heap.Reclaim(); count != 1 || err != nil {
		t.Fatal(count, err)
	}
	if status := heapStatusOf(t, heap); status.UsedBlocks != 1 || status.Reclaimed != 1 {
		t.Fatal(status)
	}
	succeed(t, block.Free())
}

func TestGoroutinesShareAHeap(t *testing.T) {
	heap, _ := newHeap(t, shmkit.WithStrategy(shmkit.FirstFit))
	var done sync.WaitGroup
	for range 4 {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := range 200 {
				block, err := heap.Allocate(i%300 + 1)
				if err != nil {
					t.Error(err)
					return
				}
				if err := block.View(func(data []byte) error {
					data[len(data)-1] = 1
					return nil
				}); err != nil {
					t.Error(err)
				}
				if err := block.Free(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	done.Wait()
	if status := heapStatusOf(t, heap); status.UsedBlocks != 0 {
		t.Fatal(status)
	}
}

// What a call needs for its error and its result stays on the stack: a block costs the Block, and nothing else.
func TestABlockCostsOneAllocation(t *testing.T) {
	heap, _ := newHeap(t)
	pair := func() {
		block, err := heap.Allocate(100)
		succeed(t, err)
		succeed(t, block.Resize(50))
		succeed(t, block.ResizeInPlace(60))
		succeed(t, block.Free())
	}
	if count := testing.AllocsPerRun(20, pair); count > 1 {
		t.Errorf("%v allocations", count)
	}
}
