package shmkit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// takeBlocks is a child that takes all blocks of the pool "p", publishes one, and keeps the others until it is killed.
func takeBlocks(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	pool, err := region.FindPool("p")
	if err != nil {
		return err
	}
	var first shmkit.PoolBlock
	for count := 0; ; count++ {
		block, taken, err := pool.TryAllocate()
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		if count == 0 {
			first = block
		}
	}
	copy(first.Bytes(), "passed on")
	handle, err := first.Publish()
	if err != nil {
		return err
	}
	fmt.Println(handle)
	waitForInput()
	return nil
}

func newPool(t *testing.T, blockSize, count int, opts ...shmkit.PoolOption) (*shmkit.Region, *shmkit.Pool) {
	region := newRegion(t, 64, shmkit.WithArenaLen(1<<20))
	return region, opened[*shmkit.Pool](t)(region.Pool("p", blockSize, count, opts...))
}

func status(t *testing.T, pool *shmkit.Pool) shmkit.PoolStatus {
	t.Helper()
	status, err := pool.Status()
	succeed(t, err)
	return status
}

func TestBlocksAreTakenAndFreed(t *testing.T) {
	for _, count := range []int{1, 64, 65, 200, 4200} {
		_, pool := newPool(t, 100, count)
		var blocks []shmkit.PoolBlock
		for {
			block, taken, err := pool.TryAllocate()
			succeed(t, err)
			if !taken {
				break
			}
			bytes := block.Bytes()
			if len(bytes) != 100 {
				t.Fatal(len(bytes))
			}
			for i := range bytes {
				bytes[i] = byte(len(blocks))
			}
			blocks = append(blocks, block)
		}
		if len(blocks) != count || status(t, pool).Owned != count {
			t.Fatalf("%d blocks of %d: %+v", len(blocks), count, status(t, pool))
		}
		expect(t, pool.Close(), shmkit.ErrBusy)
		for number, block := range blocks {
			for _, b := range block.Bytes() {
				if b != byte(number) {
					t.Fatalf("block %d was written to by another", number)
				}
			}
			succeed(t, block.Free())
			expect(t, block.Free(), shmkit.ErrInvalidBlock)
		}
		if now := status(t, pool); now.Free != count || now.BlockSize != 100 || now.Stride != 128 {
			t.Fatalf("%+v", now)
		}
	}
}

func TestPoolsAreFoundWithTheirNumbers(t *testing.T) {
	region, pool := newPool(t, 64, 4, shmkit.WithAlignment(256))
	_, err := region.Pool("p", 64, 5)
	expect(t, err, shmkit.ErrParameterMismatch)
	_, err = region.Pool("q", 64, 4, shmkit.WithAlignment(96))
	expect(t, err, shmkit.ErrInvalidArgument)
	_, err = region.Pool("q", 0, 4)
	expect(t, err, shmkit.ErrInvalidLength)
	_, err = region.Pool("q", 64, -1)
	expect(t, err, shmkit.ErrInvalidLength)
	_, err = region.FindPool("q")
	expect(t, err, shmkit.ErrNotFound)
	same := opened[*shmkit.Pool](t)(region.FindPool("p"))
	if same.BlockSize() != 64 || same.Count() != 4 || same.Name() != "p" || same.String() != `shmkit.Pool("p")` {
		t.Error(same, same.BlockSize(), same.Count())
	}
	block, err := same.Allocate(t.Context())
	succeed(t, err)
	numbers, err := shmkit.SliceAs[uint32](block.Bytes())
	succeed(t, err)
	numbers[3] = 7
	if status(t, pool).Owned != 1 {
		t.Error("both handles lead to one pool")
	}
	succeed(t, block.Free())
}

func TestABlockHasOneTenureForEachHandle(t *testing.T) {
	_, pool := newPool(t, 64, 1)
	block, err := pool.Allocate(t.Context())
	succeed(t, err)
	_, err = pool.Adopt(block.Handle())
	expect(t, err, shmkit.ErrInvalidBlock)
	handle, err := block.Publish()
	succeed(t, err)
	expect(t, block.Free(), shmkit.ErrInvalidBlock)
	adopted, err := pool.Adopt(handle)
	succeed(t, err)
	_, err = pool.Adopt(handle)
	expect(t, err, shmkit.ErrStaleHandle)
	expect(t, block.Free(), shmkit.ErrStaleHandle)
	succeed(t, adopted.Free())
	_, err = pool.Adopt(0)
	expect(t, err, shmkit.ErrInvalidBlock)
}

func TestNoBlockIsNothing(t *testing.T) {
	var none shmkit.PoolBlock
	expect(t, none.Free(), shmkit.ErrInvalidBlock)
	_, err := none.Publish()
	expect(t, err, shmkit.ErrInvalidBlock)
	if none.Bytes() != nil || none.Handle() != 0 {
		t.Error(none)
	}
}

func TestWhoFindsNoBlockWaits(t *testing.T) {
	_, pool := newPool(t, 64, 1)
	block, err := pool.Allocate(t.Context())
	succeed(t, err)
	_, err = pool.Allocate(soon(t, 10*time.Millisecond))
	expect(t, err, shmkit.ErrTimeout)
	var waiters sync.WaitGroup
	for range 20 {
		waiters.Add(1)
		go func() {
			defer waiters.Done()
			block, err := pool.Allocate(context.Background())
			if err == nil {
				err = block.Free()
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	time.Sleep(5 * time.Millisecond)
	succeed(t, block.Free())
	waiters.Wait()
	block, err = pool.Allocate(t.Context())
	succeed(t, err)
	cancelled, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := pool.Allocate(cancelled)
		ended <- err
	}()
	cancel()
	expect(t, <-ended, shmkit.ErrInterrupted)
	succeed(t, block.Free())
}

func TestCloseEndsAWaitForABlock(t *testing.T) {
	region, pool := newPool(t, 64, 1)
	again := opened[*shmkit.Pool](t)(region.FindPool("p"))
	block, err := pool.Allocate(t.Context())
	succeed(t, err)
	ended := make(chan error)
	go func() {
		_, err := again.Allocate(context.Background())
		ended <- err
	}()
	time.Sleep(5 * time.Millisecond)
	succeed(t, again.Close())
	expect(t, <-ended, shmkit.ErrClosed)
	_, err = again.Allocate(t.Context())
	expect(t, err, shmkit.ErrClosed)
	_, _, err = again.TryAllocate()
	expect(t, err, shmkit.ErrClosed)
	_, err = again.Status()
	expect(t, err, shmkit.ErrClosed)
	_, err = again.Owners()
	expect(t, err, shmkit.ErrClosed)
	succeed(t, block.Free())
}

func TestGoroutinesShareBlocksWithoutARace(t *testing.T) {
	_, pool := newPool(t, 64, 5)
	handles := make(chan uint64, 5)
	var workers sync.WaitGroup
	for range 4 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for range 2000 {
				block, err := pool.Allocate(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				mark := byte(rand.IntN(256))
				bytes := block.Bytes()
				for i := range bytes {
					bytes[i] = mark
				}
				for _, b := range bytes {
					if b != mark {
						t.Error("somebody else wrote to the block")
					}
				}
				if mark%4 > 0 {
					err = block.Free()
				} else if handle, failed := block.Publish(); failed != nil {
					err = failed
				} else {
					handles <- handle
					adopted, failed := pool.Adopt(<-handles)
					if err = failed; err == nil {
						adopted.Bytes()[0]++
						err = adopted.Free()
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	workers.Wait()
	if now := status(t, pool); now.Free != 5 {
		t.Errorf("%+v", now)
	}
}

func TestBlocksComeBackFromTheDead(t *testing.T) {
	region, pool := newPool(t, 64, 4)
	child := startChild(t, "takeBlocks", region.Name())
	var handle uint64
	if _, err := fmt.Sscan(child.line(t), &handle); err != nil {
		t.Fatal(err)
	}
	if _, taken, err := pool.TryAllocate(); taken || err != nil {
		t.Fatal(taken, err)
	}
	blocks, err := pool.Blocks()
	succeed(t, err)
	owned, published := 0, 0
	for _, block := range blocks {
		switch block.State {
		case shmkit.BlockOwned:
			owned++
			if block.PID != child.command.Process.Pid || block.Mine {
				t.Errorf("%+v", block)
			}
		case shmkit.BlockPublished:
			published++
			if block.Handle != handle {
				t.Errorf("%+v", block)
			}
		}
	}
	if owned != 3 || published != 1 {
		t.Fatalf("%+v", blocks)
	}
	owners, err := pool.Owners()
	succeed(t, err)
	if len(owners) != 1 || owners[0].PID != child.command.Process.Pid || owners[0].Count != 3 || !owners[0].Alive {
		t.Errorf("%+v", owners)
	}
	child.kill()
	if owners, err = pool.Owners(); err != nil || len(owners) != 1 || owners[0].Alive {
		t.Errorf("%+v %v", owners, err)
	}
	block, err := pool.Allocate(soon(t, 20*time.Second))
	succeed(t, err)
	left, err := pool.Adopt(handle)
	succeed(t, err)
	if string(left.Bytes()[:9]) != "passed on" {
		t.Errorf("%q", left.Bytes())
	}
	if now := status(t, pool); now.Free != 2 || now.Recovered != 3 {
		t.Errorf("%+v", now)
	}
	if count, err := pool.Recover(); count != 0 || err != nil {
		t.Error(count, err)
	}
	succeed(t, left.Free())
	succeed(t, block.Free())
}

func TestObjectsAreFoundCreatedAndListed(t *testing.T) {
	region, _ := newPool(t, 64, 4)
	find := opened[*shmkit.Region](t)(region.WithMode(shmkit.Find))
	create := opened[*shmkit.Region](t)(region.WithMode(shmkit.CreateNew))
	_, err := region.WithMode(3)
	expect(t, err, shmkit.ErrInvalidArgument)
	_, err = find.Mutex("m")
	expect(t, err, shmkit.ErrNotFound)
	mutex, err := create.Mutex("m")
	succeed(t, err)
	_, err = create.Mutex("m")
	expect(t, err, shmkit.ErrAlreadyExists)
	same, err := find.Mutex("m")
	succeed(t, err)
	succeed(t, same.Close())
	objects, err := region.Objects()
	succeed(t, err)
	if len(objects) != 2 || objects[0].Name != "m" || objects[0].Kind != shmkit.KindMutex || objects[0].Users != 1 {
		t.Errorf("%+v", objects)
	}
	pool, err := region.FindObject("p")
	succeed(t, err)
	if pool.Kind != shmkit.KindPool || pool.Parameters[0] != 64 || pool.Bytes < 4*64 {
		t.Errorf("%+v", pool)
	}
	expect(t, region.RemoveObject("m"), shmkit.ErrBusy)
	succeed(t, mutex.Close())
	succeed(t, region.RemoveObject("m"))
	_, err = region.FindObject("m")
	expect(t, err, shmkit.ErrNotFound)
}
