package shmkit_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	shmkit "github.com/shmkit/shmkit/go"
)

// mapped returns how many ranges of this process map an object whose path contains text.
func mapped(t testing.TB, text string) int {
	maps, err := os.ReadFile("/proc/self/maps")
	succeed(t, err)
	return strings.Count(string(maps), text)
}

func collect() {
	runtime.GC()
	time.Sleep(time.Millisecond)
}

func TestAForgottenRegionIsReleased(t *testing.T) {
	name := freshName(t)
	region, err := shmkit.Create(name, 4096)
	succeed(t, err)
	succeed(t, region.Close())
	region, err = shmkit.Open(name) // the kernel shows the name only of what was opened by it
	succeed(t, err)
	if region.Len() != 4096 || mapped(t, name) == 0 {
		t.Fatal("not mapped")
	}
	region = nil
	eventually(t, "the forgotten region is unmapped", func() bool { collect(); return mapped(t, name) == 0 })

	path, _ := newFile(t)
	mapping, err := shmkit.Map(path)
	succeed(t, err)
	if mapping.Len() == 0 || mapped(t, path) == 0 {
		t.Fatal("not mapped")
	}
	mapping = nil
	eventually(t, "the forgotten mapping is unmapped", func() bool { collect(); return mapped(t, path) == 0 })
}

func TestBytesOutliveAForgottenHandle(t *testing.T) {
	name := freshName(t)
	path, content := newFile(t)
	bytesOf := func(object interface{ Bytes() ([]byte, error) }, err error) []byte {
		succeed(t, err)
		held, err := object.Bytes()
		succeed(t, err)
		return held
	}
	ofRegion := bytesOf(shmkit.Create(name, 4096))
	ofMapping := bytesOf(shmkit.Map(path))
	copy(ofRegion, "still here")
	for range 20 {
		collect()
	}
	if string(ofRegion[:10]) != "still here" || !bytes.Equal(ofMapping, content) {
		t.Error("the bytes are gone")
	}
}

func TestAFormerHandleIsReleasedAfterClose(t *testing.T) {
	const length = 64 << 20
	region, err := shmkit.Create(freshName(t), length)
	succeed(t, err)
	held, err := region.Bytes()
	succeed(t, err)
	first := uintptr(unsafe.Pointer(unsafe.SliceData(held)))
	succeed(t, region.Close())
	if !isMapped(t, first, length) {
		t.Fatal("the addresses went with the close")
	}
	region = nil
	eventually(t, "the addresses are given back", func() bool { collect(); return !isMapped(t, first, length) })
}

// isMapped reports whether one range of this process's memory covers these bytes.
func isMapped(t testing.TB, first, length uintptr) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	succeed(t, err)
	for line := range strings.Lines(string(maps)) {
		var start, end uintptr
		_, err := fmt.Sscanf(line, "%x-%x", &start, &end)
		succeed(t, err)
		if start <= first && first+length <= end {
			return true
		}
	}
	return false
}

// Each method here is the last use of its object. With the tag shmkit_collect the collector runs inside each of them, at
// the worst moment; without it the calls are only calls.
func TestMethodsKeepTheirObjectAlive(t *testing.T) {
	name := freshName(t)
	keeper, err := shmkit.Create(name, 4096)
	succeed(t, err)
	defer keeper.Close()
	_, err = keeper.WriteAt([]byte("alive"), 0)
	succeed(t, err)
	open := func() *shmkit.Region {
		region, err := shmkit.Open(name)
		succeed(t, err)
		return region
	}
	isAlive := func(b []byte) error {
		collect()
		collect()
		if string(b[:5]) != "alive" {
			return fmt.Errorf("found %q", b[:5])
		}
		return nil
	}
	var p [5]byte
	succeed(t, open().ReadFullAt(p[:], 0))
	succeed(t, isAlive(p[:]))
	expect(t, open().ReadFullAt(p[:], 4096), shmkit.ErrOutOfRange)
	_, err = open().WriteAt(p[:], 4096)
	expect(t, err, shmkit.ErrOutOfRange)
	expect(t, open().ViewRange(4096, 1, nil), shmkit.ErrOutOfRange)
	_, err = open().WriteAt([]byte("alive"), 0)
	succeed(t, err)
	succeed(t, open().View(isAlive))
	succeed(t, open().ViewReadOnly(isAlive))
	succeed(t, open().Flush(shmkit.FlushAsync))
	succeed(t, open().Lock(t.Context()))
	if !open().Locked() {
		t.Error("not locked")
	}
	expect(t, open().Lock(soon(t, 5*time.Millisecond)), shmkit.ErrTimeout)
	if held, err := open().TryLock(); held || err != nil {
		t.Error(held, err)
	}
	succeed(t, open().MakeConsistent())
	succeed(t, open().Unlock())
	expect(t, open().Unlock(), shmkit.ErrNotOwner)
	succeed(t, open().Close())

	path, content := newFile(t)
	file := func() *shmkit.Mapping {
		mapping, err := shmkit.Map(path, shmkit.WithProtection(shmkit.ProtectReadWrite))
		succeed(t, err)
		return mapping
	}
	got := make([]byte, len(content))
	succeed(t, file().ReadFullAt(got, 0))
	if !bytes.Equal(got, content) {
		t.Error("read something else")
	}
	_, err = file().WriteAt([]byte("alive"), 0)
	succeed(t, err)
	expect(t, file().ReadFullAt(got, 1), shmkit.ErrOutOfRange)
	_, err = file().WriteAt(got, 1)
	expect(t, err, shmkit.ErrOutOfRange)
	expect(t, file().ViewRange(1, len(got), nil), shmkit.ErrOutOfRange)
	succeed(t, file().View(isAlive))
	succeed(t, file().ViewReadOnly(isAlive))
	succeed(t, file().Flush(shmkit.FlushSync))
	succeed(t, file().Protect(shmkit.ProtectRead))
	succeed(t, file().Advise(shmkit.AdviseNormal))
	succeed(t, file().Close())
}

// As above, for the objects of a region.
func TestMethodsKeepTheirNamedObjectAlive(t *testing.T) {
	region := newRegion(t, 64)
	mutex := func() *shmkit.Mutex { m, err := region.Mutex("mutex"); succeed(t, err); return m }
	succeed(t, mutex().Lock(t.Context()))
	if held, err := mutex().TryLock(); held || err != nil || !mutex().Locked() {
		t.Error(held, err)
	}
	expect(t, mutex().Lock(soon(t, 5*time.Millisecond)), shmkit.ErrTimeout)
	succeed(t, mutex().MakeConsistent())
	condvar := func() *shmkit.Condvar { c, err := region.Condvar("condvar"); succeed(t, err); return c }
	expect(t, condvar().Wait(soon(t, 20*time.Millisecond), mutex()), shmkit.ErrTimeout)
	succeed(t, condvar().NotifyOne())
	succeed(t, condvar().NotifyAll())
	succeed(t, mutex().Unlock())
	expect(t, mutex().Unlock(), shmkit.ErrNotOwner)
	succeed(t, mutex().Close())

	lock := func() *shmkit.RwLock { l, err := region.RwLock("lock"); succeed(t, err); return l }
	succeed(t, lock().RLock(t.Context()))
	if held, err := lock().TryRLock(); !held || err != nil || lock().Readers() != 2 {
		t.Error(held, err)
	}
	expect(t, lock().Lock(soon(t, 5*time.Millisecond)), shmkit.ErrTimeout)
	succeed(t, lock().RUnlock())
	succeed(t, lock().RUnlock())
	succeed(t, lock().Lock(t.Context()))
	expect(t, lock().RLock(soon(t, 5*time.Millisecond)), shmkit.ErrTimeout)
	succeed(t, lock().Unlock())

	for _, open := range semaphores {
		other := newRegion(t, 64)
		permits := func() *shmkit.Semaphore { s, err := open(other, 1); succeed(t, err); return s }
		succeed(t, permits().Acquire(t.Context()))
		expect(t, permits().Acquire(soon(t, 5*time.Millisecond)), shmkit.ErrTimeout)
		succeed(t, permits().Release(1))
		if permits().Available() != 1 {
			t.Error("no permit")
		}
	}
	for i, reset := range []shmkit.EventReset{shmkit.ManualReset, shmkit.AutomaticReset} {
		event := func() *shmkit.Event { e, err := region.Event(fmt.Sprint(i), reset); succeed(t, err); return e }
		expect(t, event().Wait(soon(t, 20*time.Millisecond)), shmkit.ErrTimeout)
		succeed(t, event().Set())
		if !event().IsSet() {
			t.Error("not set")
		}
		succeed(t, event().Wait(t.Context()))
		succeed(t, event().Reset())
	}
	number := func() *shmkit.Atomic[uint32] { a, err := region.AtomicU32("number", 1); succeed(t, err); return a }
	if old := number().Add(1); old != 1 || number().Load() != 2 || number().Swap(3) != 2 {
		t.Error(old)
	}
	expect(t, number().Wait(soon(t, 20*time.Millisecond), 3), shmkit.ErrTimeout)
	number().NotifyAll()
	barrier := func() *shmkit.Barrier { b, err := region.Barrier("barrier", 1); succeed(t, err); return b }
	if leader, err := barrier().Wait(t.Context()); !leader || err != nil || barrier().Parties() != 1 {
		t.Error(leader, err)
	}
}
