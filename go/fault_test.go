package shmkit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

const pageSize = 4096

// sevens maps a file of sevens for reading and writing.
func sevens(t *testing.T, path string, pages int, opts ...shmkit.MapOption) *shmkit.Mapping {
	t.Helper()
	succeed(t, os.WriteFile(path, bytes.Repeat([]byte{7}, pages*pageSize), 0o600))
	mapping, err := shmkit.Map(path, append(opts, shmkit.WithProtection(shmkit.ProtectReadWrite))...)
	succeed(t, err)
	return mapping
}

func isTruncated(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, shmkit.ErrMappingTruncated) || !errors.Is(err, shmkit.ErrTruncated) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestLostBytesAreZerosAndAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	mapping := sevens(t, path, 8)
	succeed(t, mapping.Check())
	data, err := mapping.Bytes()
	succeed(t, err)
	succeed(t, os.Truncate(path, pageSize+5))
	isTruncated(t, "untouched", mapping.Check())
	if data[pageSize+4] != 7 || data[pageSize+5] != 0 {
		t.Error("the last page does not have what is left")
	}
	reader, writer, err := os.Pipe()
	succeed(t, err)
	if _, err := writer.Write(data[3*pageSize : 4*pageSize]); !errors.Is(err, syscall.EFAULT) {
		t.Errorf("a system call on lost bytes: %v", err)
	}
	succeed(t, errors.Join(reader.Close(), writer.Close()))
	succeed(t, mapping.ReadFullAt(make([]byte, 10), 0))

	isTruncated(t, "View", mapping.View(func(bytes []byte) error {
		if bytes[2*pageSize] != 0 {
			t.Error("a lost byte is no zero")
		}
		bytes[2*pageSize] = 9
		return nil
	}))
	own := errors.New("the caller's")
	if data[2*pageSize] != 9 {
		t.Error("a store was lost")
	}
	_, err = mapping.ReadAt(make([]byte, 1), 0)
	isTruncated(t, "ReadAt", err)
	_, err = mapping.WriteAt([]byte("x"), 0)
	isTruncated(t, "WriteAt", err)
	_, err = mapping.Bytes()
	isTruncated(t, "Bytes", err)
	isTruncated(t, "ViewReadOnly", mapping.ViewReadOnly(func([]byte) error { return own }))
	isTruncated(t, "Flush", mapping.Flush(shmkit.FlushSync))
	isTruncated(t, "Protect", mapping.Protect(shmkit.ProtectRead))
	isTruncated(t, "Resize", mapping.Resize(1))
	succeed(t, mapping.Close())
	if err := mapping.Check(); !errors.Is(err, shmkit.ErrClosed) {
		t.Error(err)
	}
}

func TestACopyThatMeetsTheEndFailsItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	mapping := sevens(t, path, 4)
	succeed(t, os.Truncate(path, 0))
	n, err := io.NewSectionReader(mapping, 0, 4*pageSize).Read(make([]byte, 2*pageSize))
	isTruncated(t, "Read", err)
	if n != 0 {
		t.Error(n)
	}
}

func TestGoroutinesLiveThroughCutsAtAnyMoment(t *testing.T) {
	for round := range 8 {
		path := filepath.Join(t.TempDir(), "file")
		mapping := sevens(t, path, 64)
		var group sync.WaitGroup
		var stop atomic.Bool
		for worker := range 64 {
			begin(&group, func() {
				succeed(t, ignoreTruncated(mapping.View(func(data []byte) error {
					for at := worker; !stop.Load(); at = (at*1103515245 + 12345) % (len(data) - 64) {
						for _, seen := range data[at : at+64] {
							if seen != 0 && seen != 7 {
								t.Errorf("a byte is %d", seen)
							}
						}
						atomic.StoreUint32(uint32At(data, at&^3), 0x07070707)
					}
					return nil
				})))
			})
		}
		for step := range 30 {
			succeed(t, os.Truncate(path, int64((step*7919*131+round)%(64*pageSize))))
			time.Sleep(100 * time.Microsecond)
		}
		succeed(t, os.Truncate(path, 0))
		stop.Store(true)
		group.Wait()
		isTruncated(t, "after all", mapping.Check())
		succeed(t, mapping.Close())
	}
}

func ignoreTruncated(err error) error {
	if errors.Is(err, shmkit.ErrMappingTruncated) {
		return nil
	}
	return err
}

func uint32At(data []byte, at int) *uint32 {
	values, err := shmkit.SliceAs[uint32](data)
	if err != nil {
		panic(err)
	}
	return &values[at/4]
}

// What Go does about faults and signals stays as it was, with the guard at work.
func TestPanicsAndSignalsStayAsGoHasThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	mapping := sevens(t, path, 1)
	succeed(t, os.Truncate(path, 0))
	if _, err := mapping.ReadAt(make([]byte, 1), 0); err == nil {
		t.Fatal("nothing was cut")
	}
	func() {
		defer func() {
			if err, isError := recover().(error); !isError || !strings.Contains(err.Error(), "nil pointer") {
				t.Errorf("a nil dereference: %v", err)
			}
		}()
		var nothing *int
		*nothing = 1
	}()

	unguarded := sevens(t, path, 1, shmkit.WithoutFaultGuard())
	data, err := unguarded.Bytes()
	succeed(t, err)
	succeed(t, os.Truncate(path, 0))
	func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			fault, ok := recover().(interface{ Addr() uintptr })
			if !ok || fault.Addr() == 0 {
				t.Errorf("SetPanicOnFault: %v", fault)
			}
		}()
		sink = data[0]
		t.Error("an unguarded fault went unnoticed")
	}()
	if unguarded.Guarded() || !mapping.Guarded() {
		t.Error("the wrong mapping is guarded")
	}
	succeed(t, unguarded.Close())

	for _, number := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		notes := make(chan os.Signal, 1)
		signal.Notify(notes, number, syscall.SIGBUS)
		succeed(t, syscall.Kill(os.Getpid(), number))
		select {
		case got := <-notes:
			if got != number {
				t.Error(got)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%v never came", number)
		}
		signal.Stop(notes)
	}
	again := sevens(t, path, 1)
	succeed(t, os.Truncate(path, 0))
	_, err = again.ReadAt(make([]byte, 1), 0)
	isTruncated(t, "after all that", err)
	succeed(t, errors.Join(again.Close(), mapping.Close()))
}

var sink byte

// A fault that nobody guards stops the program, and tells where.
func TestWithoutTheGuardTheProgramStopsAsEver(t *testing.T) {
	if way := os.Getenv("SHMKIT_TEST_FAULT"); way != "" {
		path := os.Getenv("SHMKIT_TEST_FAULT_FILE")
		guarded := sevens(t, path+"2", 1)
		succeed(t, os.Truncate(path+"2", 0))
		_ = guarded.ReadFullAt(make([]byte, 1), 0)
		if way == "kill" {
			succeed(t, syscall.Kill(os.Getpid(), syscall.SIGBUS))
			time.Sleep(20 * time.Second)
		}
		shmkit.SetFaultGuard(way != "process")
		var opts []shmkit.MapOption
		if way == "option" {
			opts = append(opts, shmkit.WithoutFaultGuard())
		}
		data, err := sevens(t, path, 1, opts...).Bytes()
		succeed(t, err)
		succeed(t, os.Truncate(path, 0))
		sink = data[0]
		t.Fatal("alive")
	}
	for way, message := range map[string]string{
		"option":  "unexpected fault address",
		"process": "unexpected fault address",
		"kill":    "SIGBUS",
	} {
		program := exec.Command(os.Args[0], "-test.run=^TestWithoutTheGuardTheProgramStopsAsEver$")
		program.Env = append(os.Environ(), "SHMKIT_TEST_FAULT="+way, "SHMKIT_TEST_FAULT_FILE="+filepath.Join(t.TempDir(), "file"))
		output, err := program.CombinedOutput()
		if err == nil || !strings.Contains(string(output), message) || strings.Contains(string(output), "alive") {
			t.Errorf("%s: %v\n%s", way, err, output)
		}
	}
}

func TestARegionThatIsCutOnlyFails(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "region")
	region, err := shmkit.Create(path, 4*pageSize, shmkit.AsFile())
	succeed(t, err)
	mutex, err := region.Mutex("m")
	succeed(t, err)
	rwlock, err := region.RwLock("l")
	succeed(t, err)
	event, err := region.Event("e", shmkit.ManualReset)
	succeed(t, err)
	semaphore, err := region.Semaphore("s", 0)
	succeed(t, err)
	number, err := region.AtomicU64("n", 5)
	succeed(t, err)
	succeed(t, region.Check())
	succeed(t, region.Lock(ctx))
	waits := map[string]func(context.Context) error{
		"guard": region.Lock, "event": event.Wait, "semaphore": semaphore.Acquire,
		"atomic": func(ctx context.Context) error { return number.Wait(ctx, 5) },
	}
	results := make(chan error, 2*len(waits))
	for name, wait := range waits {
		for range 2 { // one in front, one behind
			go func() { results <- named(name, wait(ctx)) }()
		}
	}
	time.Sleep(50 * time.Millisecond) // most sleep by now; the others find it cut
	succeed(t, os.Truncate(path, 0))
	isTruncated(t, "untouched", region.Check())
	_, err = region.ReadAt(make([]byte, 1), 3*pageSize)
	isTruncated(t, "ReadAt", err)
	for range cap(results) {
		err := <-results
		if !errors.Is(err, shmkit.ErrMappingTruncated) {
			t.Error(err)
		}
	}
	isTruncated(t, "guard", region.Unlock())
	for name, call := range map[string]func() error{
		"Lock": func() error { return region.Lock(ctx) }, "WriteAt": func() error { _, err := region.WriteAt([]byte("x"), 0); return err },
		"Bytes": func() error { _, err := region.Bytes(); return err }, "View": func() error { return region.View(func([]byte) error { return nil }) },
		"mutex": func() error { return mutex.Lock(ctx) }, "TryLock": func() error { _, err := mutex.TryLock(); return err },
		"RLock": func() error { return rwlock.RLock(ctx) }, "rwlock": func() error { return rwlock.Lock(ctx) },
		"Set": event.Set, "Wait": func() error { return event.Wait(ctx) }, "Release": func() error { return semaphore.Release(1) },
		"Acquire": func() error { return semaphore.Acquire(ctx) }, "Resize": func() error { return region.Resize(1) },
		"Event": func() error { _, err := region.Event("other", shmkit.ManualReset); return err },
	} {
		isTruncated(t, name, call())
	}
	succeed(t, errors.Join(mutex.Close(), rwlock.Close(), event.Close(), semaphore.Close(), number.Close(), region.Close()))
}

func named(name string, err error) error {
	if err == nil {
		return errors.New(name + " succeeded")
	}
	return err
}

// A lock whose very word is lost at the instant of taking it is not taken.
func TestALockInALostPageIsNone(t *testing.T) {
	for _, way := range []string{"guard", "mutex", "read", "write", "try"} {
		path := filepath.Join(t.TempDir(), way)
		region, err := shmkit.Create(path, 64, shmkit.AsFile())
		succeed(t, err)
		mutex, err := region.Mutex("m")
		succeed(t, err)
		rwlock, err := region.RwLock("l")
		succeed(t, err)
		succeed(t, os.Truncate(path, 0))
		switch way {
		case "guard":
			err = region.Lock(t.Context())
		case "mutex":
			err = mutex.Lock(t.Context())
		case "read":
			err = rwlock.RLock(t.Context())
		case "write":
			err = rwlock.Lock(t.Context())
		case "try":
			_, err = mutex.TryLock()
		}
		isTruncated(t, way, err)
	}
}

// Nor is a block that is taken there a block, what is read there a value, or what is appended there a record.
func TestWhatIsTakenFromALostPageIsNotGiven(t *testing.T) {
	ctx := t.Context()
	for _, way := range []string{"allocate", "try", "adopt", "free", "heap", "heap free", "load", "store", "update", "load word", "store word"} {
		path := filepath.Join(t.TempDir(), way)
		region, err := shmkit.Create(path, 64, shmkit.AsFile(), shmkit.WithArenaLen(1<<16))
		succeed(t, err)
		pool, err := region.Pool("p", 64, 4)
		succeed(t, err)
		published, err := pool.Allocate(ctx)
		succeed(t, err)
		handle, err := published.Publish()
		succeed(t, err)
		kept, err := pool.Allocate(ctx)
		succeed(t, err)
		heap, err := region.Heap("h", 16<<10)
		succeed(t, err)
		block, err := heap.Allocate(100)
		succeed(t, err)
		value, err := shmkit.OpenValue(region, "v", [3]uint64{7, 7, 7})
		succeed(t, err)
		word, err := shmkit.OpenValue(region, "w", uint16(7))
		succeed(t, err)
		succeed(t, os.Truncate(path, 0))
		switch way {
		case "allocate":
			_, err = pool.Allocate(ctx)
		case "try":
			_, _, err = pool.TryAllocate()
		case "adopt":
			_, err = pool.Adopt(handle)
		case "free":
			err = kept.Free()
		case "heap":
			_, err = heap.Allocate(100)
		case "heap free":
			err = block.Free()
		case "load":
			_, err = value.Load()
		case "store":
			err = value.Store([3]uint64{})
		case "update":
			_, err = value.Update(func(value [3]uint64) [3]uint64 { return value })
		case "load word":
			_, err = word.Load()
		case "store word":
			err = word.Store(8)
		}
		isTruncated(t, way, err)
		_, err = pool.Allocate(ctx)
		isTruncated(t, way+", then another", err)
	}
}

func TestARecordInALostSegmentIsNone(t *testing.T) {
	for _, appended := range []int{0, 3} {
		directory := filepath.Join(t.TempDir(), "log")
		log, err := shmkit.CreateLog(directory, shmkit.WithSegmentLen(1<<16))
		succeed(t, err)
		for range appended { // the first goes through the library, the others do not
			_, err = log.Append(1, []byte("a record"))
			succeed(t, err)
		}
		segments, err := filepath.Glob(filepath.Join(directory, "*"))
		succeed(t, err)
		for _, segment := range segments {
			if filepath.Base(segment) != "control" {
				succeed(t, os.Truncate(segment, 0))
			}
		}
		// Seen as cut, or not even opened.
		if _, err = log.Append(1, []byte("lost")); err == nil {
			t.Errorf("after %d: a record was appended to nothing", appended)
		}
		// The log goes on in the next segment: the first through the library again, the others not.
		for i := range 3 {
			position, err := log.Append(1, []byte("kept"))
			succeed(t, err)
			if position < 1<<15 {
				t.Errorf("after %d: record %d was appended to nothing, at %d", appended, i, position)
			}
		}
		succeed(t, log.Close())
	}
}

func TestAFullFileSystemIsAnError(t *testing.T) {
	if place := os.Getenv("SHMKIT_TEST_SMALL"); place != "" {
		succeed(t, syscall.Mount("shmkit-test", place, "tmpfs", 0, "size=256k"))
		path := filepath.Join(place, "sparse")
		succeed(t, os.WriteFile(path, nil, 0o600))
		succeed(t, os.Truncate(path, 1<<20))
		mapping, err := shmkit.Map(path, shmkit.WithProtection(shmkit.ProtectReadWrite))
		succeed(t, err)
		err = mapping.View(func(data []byte) error {
			for at := 0; at < len(data); at += pageSize {
				data[at] = 1
			}
			return nil
		})
		if !errors.Is(err, shmkit.ErrNoSpace) {
			t.Error(err)
		}
		succeed(t, mapping.Close())
		succeed(t, os.Remove(path))
		_, err = shmkit.Create(filepath.Join(place, "region"), 300_000, shmkit.AsFile(), shmkit.WithArenaLen(pageSize))
		if !errors.Is(err, shmkit.ErrNoSpace) {
			t.Error(err)
		}
		return
	}
	program := exec.Command("unshare", "-rm", os.Args[0], "-test.run=^TestAFullFileSystemIsAnError$")
	program.Env = append(os.Environ(), "SHMKIT_TEST_SMALL="+t.TempDir())
	if output, err := program.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// begin runs work in a goroutine that the group waits for.
func begin(group *sync.WaitGroup, work func()) {
	group.Add(1)
	go func() {
		defer group.Done()
		work()
	}()
}
