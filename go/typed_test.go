package shmkit_test

import (
	"sync/atomic"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

func TestBytesShownAsValues(t *testing.T) {
	type point struct {
		X, Y float64
		Tag  [4]uint16
	}
	region := newRegion(t, 100)
	succeed(t, region.View(func(b []byte) error {
		points, err := shmkit.SliceAs[point](b)
		succeed(t, err)
		if len(points) != 4 || cap(points) != 4 {
			t.Errorf("%d points in 100 bytes", len(points))
		}
		points[3].Tag[3] = 0x0101
		words, err := shmkit.SliceAs[uint64](b)
		succeed(t, err)
		atomic.AddUint64(&words[0], 1)
		if b[95] != 1 || b[94] != 1 || words[0] != 1 {
			t.Errorf("%v", b)
		}
		_, err = shmkit.SliceAs[uint64](b[4:])
		expect(t, err, shmkit.ErrInvalidArgument)
		none, err := shmkit.SliceAs[uint64](b[:7])
		if len(none) != 0 || err != nil {
			t.Errorf("%d values in 7 bytes, %v", len(none), err)
		}
		return nil
	}))
}

func TestTypesThatMustNotBeShared(t *testing.T) {
	refused := func(_ any, err error) {
		t.Helper()
		expect(t, err, shmkit.ErrInvalidArgument)
	}
	b := make([]byte, 64)
	refused(shmkit.SliceAs[*int32](b))
	refused(shmkit.SliceAs[string](b))
	refused(shmkit.SliceAs[bool](b))
	refused(shmkit.SliceAs[int](b))
	refused(shmkit.SliceAs[uintptr](b))
	refused(shmkit.SliceAs[any](b))
	refused(shmkit.SliceAs[struct{}](b))
	refused(shmkit.SliceAs[[2]struct{ name []byte }](b))
}
