package shmkit_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

func TestAMappingGrowsAndShrinksInItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	mapping, err := shmkit.Map(path, shmkit.WithCreate(), shmkit.WithLen(100), shmkit.WithReserve(1<<20), shmkit.WithProtection(shmkit.ProtectReadWrite))
	succeed(t, err)
	if mapping.Capacity() != 1<<20 {
		t.Error(mapping.Capacity())
	}
	before, err := mapping.Bytes()
	succeed(t, err)
	succeed(t, mapping.Resize(10_000))
	after, err := mapping.Bytes()
	succeed(t, err)
	if &before[0] != &after[0] || len(before) != 100 || len(after) != 10_000 || mapping.Len() != 10_000 {
		t.Error("it moved, or has another length")
	}
	after[9_999] = 7
	is(t, mapping.ViewReadOnly(func([]byte) error { return mapping.Resize(50) }), shmkit.ErrBusy)
	succeed(t, mapping.Resize(50))
	if after[9_999] != 0 {
		t.Error("a stale slice leads somewhere")
	}
	is(t, mapping.ReadFullAt(make([]byte, 1), 50), shmkit.ErrOutOfRange)
	succeed(t, mapping.Resize(10_000))
	if after[9_999] != 7 {
		t.Error("the file lost a byte")
	}
	is(t, mapping.Resize(0), shmkit.ErrInvalidLength)
	is(t, mapping.Resize(-1), shmkit.ErrLimitExceeded)
	is(t, mapping.Resize(1<<20+1), shmkit.ErrLimitExceeded)
	succeed(t, mapping.Close())
	is(t, mapping.Resize(5), shmkit.ErrClosed)
	info, err := os.Stat(path)
	succeed(t, err)
	if info.Size() != 10_000 {
		t.Error(info.Size())
	}
}

func is(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%v, not %v", err, kind)
	}
}

func TestARegionGrowsAndShrinksForEverybody(t *testing.T) {
	name := freshName(t)
	region, err := shmkit.Create(name, 1000, shmkit.WithCapacity(1<<20))
	succeed(t, err)
	other, err := shmkit.Open(name)
	succeed(t, err)
	if region.Capacity() != 1<<20 || other.Capacity() != 1<<20 {
		t.Error("the capacity is another")
	}
	succeed(t, region.Resize(500_000))
	_, err = region.WriteAt([]byte{7}, 499_999)
	succeed(t, err)
	byteRead := make([]byte, 1)
	succeed(t, other.ReadFullAt(byteRead, 499_999))
	bytes, err := other.Bytes()
	succeed(t, err)
	if other.Len() != 500_000 || byteRead[0] != 7 || len(bytes) != 500_000 {
		t.Error("the other does not follow")
	}
	is(t, region.View(func([]byte) error { return region.Resize(5) }), shmkit.ErrBusy)
	succeed(t, other.Resize(5))
	is(t, region.ReadFullAt(byteRead, 5), shmkit.ErrOutOfRange)
	if bytes[499_999] != 0 {
		t.Error("what was taken away is not zero")
	}
	is(t, region.Resize(0), shmkit.ErrInvalidLength)
	is(t, region.Resize(1<<20+1), shmkit.ErrLimitExceeded)
	third, err := shmkit.OpenOrCreate(name, 1000, shmkit.WithCapacity(1<<20))
	succeed(t, err)
	_, err = shmkit.OpenOrCreate(name, 1000)
	is(t, err, shmkit.ErrSizeMismatch)
	looker, err := shmkit.Open(name, shmkit.ReadOnly())
	succeed(t, err)
	is(t, looker.Resize(5), shmkit.ErrReadOnly)
	succeed(t, errors.Join(looker.Close(), third.Close(), other.Close(), region.Close()))
	if region.Len() != 5 {
		t.Error("a closed region has another length")
	}
	succeed(t, shmkit.Unlink(name))
}

func TestResizersAndReadersGetAlong(t *testing.T) {
	name := freshName(t)
	region, err := shmkit.Create(name, 1, shmkit.WithCapacity(1<<20))
	succeed(t, err)
	mapping, err := shmkit.MapAnonymous(1, shmkit.WithReserve(1<<20))
	succeed(t, err)
	var group, readers sync.WaitGroup
	var done atomic.Bool
	for seed := range 2 {
		begin(&group, func() {
			for step := range 100 {
				length := step*7919*(seed+1)%(1<<20) + 1
				succeed(t, errors.Join(region.Resize(length), mapping.Resize(length)))
			}
		})
	}
	begin(&readers, func() {
		place := make([]byte, 1)
		for !done.Load() {
			for _, err := range []error{
				region.ReadFullAt(place, int64(region.Len()-1)),
				mapping.ReadFullAt(place, int64(mapping.Len()-1)),
			} {
				if err != nil && !errors.Is(err, shmkit.ErrOutOfRange) && err.Error() != "EOF" {
					t.Error(err)
				}
			}
		}
	})
	group.Wait()
	done.Store(true)
	readers.Wait()
	succeed(t, errors.Join(mapping.Close(), region.Close(), shmkit.Unlink(name)))
}
