package shmkit_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// What is done to the bytes of a block while its heap or pool is nobody's but the block's.
func fillWhileCollecting(data []byte) error {
	for i := range data {
		data[i] = 7
	}
	collect()
	collect()
	if bytes.Count(data, []byte{7}) != len(data) {
		return fmt.Errorf("found %v", data)
	}
	return nil
}

// As TestMethodsKeepTheirNamedObjectAlive. Each call has a handle of its own, which its method is the last to use.
func TestMethodsKeepTheirPoolAlive(t *testing.T) {
	region := newRegion(t, 64)
	pool := func() *shmkit.Pool { p, err := region.Pool("pool", 64, 2); succeed(t, err); return p }
	given := func(block shmkit.PoolBlock, err error) shmkit.PoolBlock { succeed(t, err); return block }
	first := given(pool().Allocate(t.Context()))
	succeed(t, fillWhileCollecting(first.Bytes()))
	second, taken, err := pool().TryAllocate()
	if !taken || err != nil {
		t.Fatal(taken, err)
	}
	if _, taken, err := pool().TryAllocate(); taken || err != nil {
		t.Error(taken, err)
	}
	_, err = pool().Allocate(soon(t, 5*time.Millisecond))
	expect(t, err, shmkit.ErrTimeout)
	handle, err := first.Publish()
	succeed(t, err)
	adopted := given(pool().Adopt(handle))
	_, err = pool().Adopt(handle)
	expect(t, err, shmkit.ErrStaleHandle)
	if bytes.Count(adopted.Bytes(), []byte{7}) != 64 {
		t.Error("found", adopted.Bytes())
	}
	if count, err := pool().Recover(); count != 0 || err != nil {
		t.Error(count, err)
	}
	if status, err := pool().Status(); err != nil || status.Owned != 2 {
		t.Error(status, err)
	}
	if blocks, err := pool().Blocks(); err != nil || len(blocks) != 2 || !blocks[0].Mine || !blocks[1].Mine {
		t.Error(blocks, err)
	}
	succeed(t, adopted.Free())
	expect(t, adopted.Free(), shmkit.ErrInvalidBlock)
	succeed(t, second.Free())
	succeed(t, pool().Close())
}

func TestMethodsKeepTheirHeapAlive(t *testing.T) {
	region := newRegion(t, 64)
	heap := func() *shmkit.Heap { h, err := region.Heap("heap", 20000); succeed(t, err); return h }
	given := func(block *shmkit.Block, err error) *shmkit.Block { succeed(t, err); return block }
	block := given(heap().Allocate(100))
	succeed(t, block.View(fillWhileCollecting))
	succeed(t, block.Resize(3000))
	succeed(t, block.ResizeInPlace(100))
	offset, err := block.Publish()
	succeed(t, err)
	block = given(heap().Adopt(offset))
	if block.Len() < 100 {
		t.Error(block.Len())
	}
	succeed(t, heap().View(offset, fillWhileCollecting))
	if size, err := heap().UsableSize(offset); err != nil || size < 100 {
		t.Error(size, err)
	}
	succeed(t, given(heap().Block(offset)).View(fillWhileCollecting))
	succeed(t, given(heap().AllocateZeroed(50)).Free())
	succeed(t, given(heap().AllocateAligned(50, 1024)).Free())
	_, err = heap().Allocate(1 << 20)
	expect(t, err, shmkit.ErrNoSpace)
	if found, err := heap().Status(); err != nil || found.UsedBlocks != 1 {
		t.Error(found, err)
	}
	succeed(t, heap().Free(offset))
	expect(t, heap().Free(offset), shmkit.ErrInvalidBlock)
	if count, err := heap().Reclaim(); count != 0 || err != nil {
		t.Error(count, err)
	}
	succeed(t, heap().Check())
	succeed(t, heap().Close())
}

func TestMethodsKeepTheirValueAlive(t *testing.T) {
	region := newRegion(t, 64)
	value := func() *shmkit.Value[[3]float64] {
		v, err := shmkit.OpenValue(region, "value", [3]float64{1, 2, 3})
		succeed(t, err)
		return v
	}
	if now, err := value().Load(); err != nil || now != [3]float64{1, 2, 3} {
		t.Error(now, err)
	}
	succeed(t, value().Store([3]float64{4, 5, 6}))
	after, err := value().Update(func(now [3]float64) [3]float64 { now[0]++; return now })
	if err != nil || after != [3]float64{5, 5, 6} {
		t.Error(after, err)
	}
	if format := value().Format(); format != "3d" {
		t.Error(format)
	}
	succeed(t, value().Close())
}

// A block that a pool or a heap gave keeps its bytes when nothing refers to the handles any more, and the region is closed.
func TestBlocksOutliveForgottenHandles(t *testing.T) {
	ofPool := func() []byte {
		region, err := shmkit.Create(freshName(t), 64)
		succeed(t, err)
		pool, err := region.Pool("pool", 64, 2)
		succeed(t, err)
		block, err := pool.Allocate(t.Context())
		succeed(t, err)
		succeed(t, region.Close())
		return block.Bytes()
	}()
	ofHeap := func() []byte {
		region, err := shmkit.Create(freshName(t), 64)
		succeed(t, err)
		heap, err := region.Heap("heap", 5000)
		succeed(t, err)
		block, err := heap.Allocate(64)
		succeed(t, err)
		data, err := block.Bytes()
		succeed(t, err)
		succeed(t, region.Close())
		return data
	}()
	for range 20 {
		collect()
	}
	succeed(t, fillWhileCollecting(ofPool))
	succeed(t, fillWhileCollecting(ofHeap))
}

// A pool that gave no block, a heap whose bytes were not handed out, and a value go with their region.
func TestForgottenHandlesAreReleased(t *testing.T) {
	name := freshName(t)
	func() {
		created, err := shmkit.Create(name, 64)
		succeed(t, err)
		succeed(t, created.Close())
		region, err := shmkit.Open(name) // the kernel shows the name only of what was opened by it
		succeed(t, err)
		pool, err := region.Pool("pool", 64, 2)
		succeed(t, err)
		heap, err := region.Heap("heap", 5000)
		succeed(t, err)
		value, err := shmkit.OpenValue(region, "value", uint64(1))
		succeed(t, err)
		succeed(t, region.Close())
		if pool.Closed() || heap.Closed() || value.Closed() || mapped(t, name) == 0 {
			t.Fatal("not open")
		}
	}()
	eventually(t, "the forgotten objects are released", func() bool { collect(); return mapped(t, name) == 0 })
}
