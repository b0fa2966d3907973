package shmkit_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

func init() {
	children["holdSysv"] = holdSysv
}

var sysvKeys atomic.Int32

func freshKey() int32 {
	return 0x47000000 | int32(os.Getpid()&0x3fff)<<10 | sysvKeys.Add(1)
}

func TestASysvSegmentLivesUntilItIsRemoved(t *testing.T) {
	key := freshKey()
	segment, err := shmkit.CreateSysvSegment(key, 5000, 0o640)
	succeed(t, err)
	_, err = shmkit.CreateSysvSegment(key, 5000, 0)
	expect(t, err, shmkit.ErrAlreadyExists)
	_, err = shmkit.OpenOrCreateSysvSegment(key, 4999, 0)
	expect(t, err, shmkit.ErrSizeMismatch)
	same, err := shmkit.OpenSysvSegment(key)
	succeed(t, err)
	if same.ID() != segment.ID() || same.Len() != 5000 || same.Key() != key {
		t.Errorf("%v, %v", same, segment)
	}
	writer, err := segment.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	succeed(t, err)
	_, err = writer.WriteAt([]byte("Hi"), 4998)
	succeed(t, err)
	byID, err := shmkit.SysvSegmentFromID(segment.ID())
	succeed(t, err)
	reader, err := byID.Map()
	succeed(t, err)
	bytes := make([]byte, 2)
	succeed(t, reader.ReadFullAt(bytes, 4998))
	if string(bytes) != "Hi" {
		t.Errorf("%q", bytes)
	}
	_, err = reader.WriteAt(bytes, 0)
	expect(t, err, shmkit.ErrReadOnly)
	_, err = segment.Map(shmkit.WithOffset(1))
	expect(t, err, shmkit.ErrInvalidArgument)
	status, err := segment.Status()
	succeed(t, err)
	if status.Attached != 2 || status.Mode != 0o640 || status.CreatorPID != os.Getpid() || status.Removed {
		t.Errorf("%+v", status)
	}
	succeed(t, segment.Remove())
	succeed(t, writer.Close())
	succeed(t, reader.Close())
	_, err = segment.Status()
	expect(t, err, shmkit.ErrNotFound)
	_, err = shmkit.OpenSysvSegment(key)
	expect(t, err, shmkit.ErrNotFound)
	_, err = shmkit.OpenSysvSegment(shmkit.SysvPrivate)
	expect(t, err, shmkit.ErrInvalidArgument)
	_, err = shmkit.CreateSysvSegment(shmkit.SysvPrivate, 0, 0)
	expect(t, err, shmkit.ErrInvalidLength)
}

func TestASysvSemaphoreIsWaitedFor(t *testing.T) {
	ctx := context.Background()
	semaphore, err := shmkit.CreateSysvSemaphore(freshKey(), 1, shmkit.WithSetCount(2), shmkit.WithSetIndex(1))
	succeed(t, err)
	defer semaphore.Remove()
	succeed(t, semaphore.Acquire(ctx, 1))
	if taken, err := semaphore.TryAcquire(1); taken || err != nil {
		t.Errorf("%v, %v", taken, err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	expect(t, semaphore.Acquire(short, 1), shmkit.ErrTimeout)
	succeed(t, semaphore.WaitForZero(ctx))
	done := make(chan error)
	for range 3 {
		go func() { done <- semaphore.Acquire(ctx, 1) }()
	}
	eventually(t, "somebody waits", func() bool {
		status, err := semaphore.Status()
		succeed(t, err)
		return status.Waiting == 1 // the others wait in Go
	})
	succeed(t, semaphore.Release(3))
	for range 3 {
		succeed(t, <-done)
	}
	go func() { done <- semaphore.Acquire(ctx, 1) }()
	eventually(t, "somebody waits", func() bool {
		status, err := semaphore.Status()
		succeed(t, err)
		return status.Waiting == 1
	})
	succeed(t, semaphore.Remove())
	expect(t, <-done, shmkit.ErrNotFound)
	expect(t, semaphore.Release(1), shmkit.ErrNotFound)
}

func TestMisuseOfSysvSemaphoresIsRefused(t *testing.T) {
	semaphore, err := shmkit.CreateSysvSemaphore(shmkit.SysvPrivate, 32767, shmkit.WithoutUndo())
	succeed(t, err)
	defer semaphore.Remove()
	expect(t, semaphore.Release(1), shmkit.ErrLimitExceeded)
	expect(t, semaphore.Release(0), shmkit.ErrInvalidArgument)
	expect(t, semaphore.Release(-1), shmkit.ErrInvalidArgument)
	expect(t, semaphore.SetValue(40000), shmkit.ErrInvalidArgument)
	succeed(t, semaphore.SetValue(3))
	if status, err := semaphore.Status(); err != nil || status.Value != 3 {
		t.Errorf("%+v, %v", status, err)
	}
	_, err = shmkit.SysvSemaphoreFromID(semaphore.ID(), shmkit.WithSetIndex(1))
	expect(t, err, shmkit.ErrOutOfRange)
	_, err = shmkit.OpenSysvSemaphore(freshKey())
	expect(t, err, shmkit.ErrNotFound)
}

func holdSysv(id string) error {
	var number int
	if _, err := fmt.Sscan(id, &number); err != nil {
		return err
	}
	semaphore, err := shmkit.SysvSemaphoreFromID(number)
	if err != nil {
		return err
	}
	if err := semaphore.Acquire(context.Background(), 1); err != nil {
		return err
	}
	fmt.Println("taken")
	waitForInput()
	return nil
}

func TestPermitsOfAKilledProcessComeBack(t *testing.T) {
	semaphore, err := shmkit.CreateSysvSemaphore(shmkit.SysvPrivate, 1)
	succeed(t, err)
	defer semaphore.Remove()
	holder := startChild(t, "holdSysv", fmt.Sprint(semaphore.ID()))
	if said := holder.line(t); said != "taken" {
		t.Fatal(said)
	}
	if taken, _ := semaphore.TryAcquire(1); taken {
		t.Error("taken twice")
	}
	holder.kill()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	succeed(t, semaphore.Acquire(ctx, 1))
}
