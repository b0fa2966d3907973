package shmkit_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

const pages = 64

func privateMemory(t testing.TB, opts ...shmkit.MapOption) *shmkit.Mapping {
	t.Helper()
	opts = append([]shmkit.MapOption{shmkit.WithPrivate(), shmkit.WithHugePages(shmkit.HugePagesNever)}, opts...)
	mapping, err := shmkit.MapAnonymous(pages*os.Getpagesize(), opts...)
	succeed(t, err)
	t.Cleanup(func() { succeed(t, mapping.Close()) })
	return mapping
}

func resident(t testing.TB, mapping *shmkit.Mapping) int {
	t.Helper()
	state, err := mapping.Residency()
	succeed(t, err)
	return state.Counts().Resident
}

func TestPagesAreThereWhenTheyWereTouched(t *testing.T) {
	mapping, page := privateMemory(t), os.Getpagesize()
	if n := resident(t, mapping); n != 0 || mapping.PageSize() != page || mapping.Persistent() {
		t.Fatal(n, "resident at first")
	}
	_, err := mapping.WriteAt([]byte("x"), int64(3*page))
	succeed(t, err)
	state, err := mapping.ResidencyRange(page, 3*page)
	succeed(t, err)
	want := shmkit.PageResident | shmkit.PagePresent
	if len(state.States) != 3 || state.States[0] != 0 || !state.States[2].Has(want) || !state.Known.Has(want) {
		t.Errorf("%v", state)
	}
	if text := state.States[2].String(); !strings.HasPrefix(text, "resident|present") {
		t.Error(text)
	}
	cells, _, err := mapping.PageCounts(16)
	succeed(t, err)
	if len(cells) != 16 || cells[0].Resident != 1 || cells[1].Resident != 0 || cells[15].Pages != 4 {
		t.Errorf("%v", cells)
	}
	few, _, err := mapping.PageCounts(2 * pages)
	succeed(t, err)
	if len(few) != pages {
		t.Errorf("%d parts of %d pages", len(few), pages)
	}
	succeed(t, mapping.Advise(shmkit.AdvisePopulateWrite))
	if n := resident(t, mapping); n != pages {
		t.Errorf("%d resident when populated", n)
	}
	used, err := mapping.MemoryUse()
	succeed(t, err)
	if used.Resident < int64(pages*page) || used.Proportional > used.Resident {
		t.Errorf("%+v", used)
	}
	succeed(t, mapping.Advise(shmkit.AdviseDontNeed))
	if n := resident(t, mapping); n != 0 {
		t.Errorf("%d resident when let go", n)
	}
	for _, parts := range []int{0, -1} {
		_, _, err = mapping.PageCounts(parts)
		expect(t, err, shmkit.ErrInvalidArgument)
	}
	_, err = mapping.ResidencyRange(page, pages*page)
	expect(t, err, shmkit.ErrOutOfRange)
	empty, err := mapping.ResidencyRange(0, 0)
	succeed(t, err)
	if len(empty.States) != 0 {
		t.Error(empty)
	}
}

func TestFaultsAreCountedAroundWork(t *testing.T) {
	mapping := privateMemory(t)
	touch := func() {
		succeed(t, mapping.View(func(b []byte) error {
			for i := 0; i < len(b); i += os.Getpagesize() {
				b[i] = 1
			}
			return nil
		}))
	}
	first, err := shmkit.CountUsage(touch)
	succeed(t, err)
	again, err := shmkit.CountUsage(touch)
	succeed(t, err)
	if first.MinorFaults < 4 || again.MinorFaults >= first.MinorFaults {
		t.Errorf("first %v, again %v", first, again)
	}
	whole, err := shmkit.ProcessUsage()
	succeed(t, err)
	if whole.MinorFaults < first.MinorFaults {
		t.Error(whole)
	}
}

func TestLockedPagesStay(t *testing.T) {
	mapping := privateMemory(t, shmkit.WithLockedMemory(shmkit.LockNow))
	locked := func() int64 {
		used, err := mapping.MemoryUse()
		succeed(t, err)
		return used.Locked
	}
	if n := resident(t, mapping); n != pages || locked() < int64(mapping.Len()) {
		t.Errorf("%d resident, %d locked", n, locked())
	}
	succeed(t, mapping.UnlockMemory())
	succeed(t, mapping.LockMemoryRange(0, 1, shmkit.LockOnFault))
	succeed(t, mapping.UnlockMemoryRange(0, 1))
	expect(t, mapping.LockMemory(7), shmkit.ErrInvalidArgument)
	expect(t, mapping.LockMemoryRange(1, mapping.Len(), shmkit.LockNow), shmkit.ErrOutOfRange)
	privateMemory(t, shmkit.WithLockedMemory(shmkit.LockOnFault))
}

// lockBeyondTheLimit is a process that may lock next to nothing.
func lockBeyondTheLimit(string) error {
	if err := syscall.Setrlimit(8, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil { // RLIMIT_MEMLOCK
		return err
	}
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
	}
	_, err := shmkit.MapAnonymous(1<<20, shmkit.WithLockedMemory(shmkit.LockNow))
	if !errors.Is(err, shmkit.ErrOutOfMemory) || !strings.Contains(err.Error(), "may lock 4096") {
		return errors.New("not told of the limit: " + err.Error())
	}
	return nil
}

func TestTheLimitOfLockedMemoryIsTold(t *testing.T) {
	child := exec.Command(os.Args[0], "")
	child.Env = append(os.Environ(), childVariable+"=lockBeyondTheLimit")
	if output, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

// Holds where huge pages are reserved and where none are.
func TestReservedHugePagesOrAClearError(t *testing.T) {
	mapping, err := shmkit.MapAnonymous(1<<21, shmkit.WithHugePages(shmkit.HugePagesReserved2MiB))
	switch {
	case err == nil:
		if mapping.PageSize() != 1<<21 {
			t.Error(mapping.PageSize())
		}
		succeed(t, mapping.Close())
	case errors.Is(err, shmkit.ErrOutOfMemory):
		if !strings.Contains(err.Error(), "nr_hugepages") {
			t.Error(err)
		}
	default:
		expect(t, err, shmkit.ErrUnsupported)
	}
	_, err = shmkit.MapAnonymous(4096, shmkit.WithHugePages(77))
	expect(t, err, shmkit.ErrInvalidArgument)
}

func TestARegionHasPagesToo(t *testing.T) {
	region := newRegion(t, 10*4096)
	succeed(t, region.Advise(shmkit.AdvisePopulateWrite))
	state, err := region.Residency()
	succeed(t, err)
	if counts := state.Counts(); counts.Present != counts.Pages || counts.Pages == 0 || region.Persistent() {
		t.Errorf("%+v", counts)
	}
	parts, _, err := region.PageCounts(2)
	succeed(t, err)
	if len(parts) != 2 || parts[1].Resident != parts[1].Pages {
		t.Errorf("%+v", parts)
	}
	succeed(t, region.LockMemory(shmkit.LockNow))
	used, err := region.MemoryUse()
	succeed(t, err)
	if used.Locked < int64(region.Len()) {
		t.Errorf("%+v", used)
	}
	succeed(t, region.UnlockMemory())
	expect(t, region.Advise(shmkit.AdviseRemove), shmkit.ErrInvalidArgument)
	expect(t, region.AdviseRange(1, region.Len(), shmkit.AdviseCold), shmkit.ErrOutOfRange)
	expect(t, region.Advise(shmkit.AdviseWipeOnFork), shmkit.ErrUnsupported)
	if err := shmkit.ClearSoftDirty(); err != nil {
		expect(t, err, shmkit.ErrUnsupported)
	}
}

func TestAFileOnADeviceIsPersistent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	succeed(t, os.WriteFile(path, make([]byte, 8192), 0o600))
	mapping := newMapping(t, path, shmkit.WithProtection(shmkit.ProtectReadWrite))
	if !mapping.Persistent() {
		t.Skip("the temporary directory is in memory")
	}
	_, err := mapping.WriteAt([]byte("data"), 0)
	succeed(t, err)
	succeed(t, mapping.Flush(shmkit.FlushSync))
	state, err := mapping.Residency()
	succeed(t, err)
	if n := state.Counts().Dirty; n != 0 {
		t.Errorf("%d dirty pages when flushed", n)
	}
	succeed(t, mapping.AdviseRange(0, 4096, shmkit.AdviseRemove))
	if content, err := os.ReadFile(path); err != nil || content[0] != 0 {
		t.Error("storage is given back as zeros", err)
	}
	private := newMapping(t, path, shmkit.WithPrivate())
	if private.Persistent() {
		t.Error("a private map reaches no device")
	}
}
