package shmkit_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	shmkit "github.com/shmkit/shmkit/go"
)

var (
	_ io.ReaderAt = (*shmkit.Mapping)(nil)
	_ io.WriterAt = (*shmkit.Mapping)(nil)
	_ io.Closer   = (*shmkit.Mapping)(nil)
)

// newFile writes a file of three pages and returns its path and content.
func newFile(t testing.TB) (string, []byte) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*4096/16)
	path := filepath.Join(t.TempDir(), "data.bin")
	succeed(t, os.WriteFile(path, content, 0o600))
	return path, content
}

// newMapping maps a file and closes it when the test ends.
func newMapping(t testing.TB, path string, opts ...shmkit.MapOption) *shmkit.Mapping {
	t.Helper()
	mapping, err := shmkit.Map(path, opts...)
	succeed(t, err)
	t.Cleanup(func() { succeed(t, mapping.Close()) })
	return mapping
}

func TestAFileIsReadThroughItsMapping(t *testing.T) {
	path, content := newFile(t)
	mapping := newMapping(t, path)
	if mapping.Len() != len(content) || mapping.Path() != path || !strings.Contains(mapping.String(), path) {
		t.Errorf("%v", mapping)
	}
	succeed(t, iotest.TestReader(io.NewSectionReader(mapping, 0, int64(len(content))), content))
	n, err := mapping.ReadAt(make([]byte, 10), int64(len(content)-4))
	if n != 4 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	_, err = mapping.WriteAt([]byte("no"), 0)
	expect(t, err, shmkit.ErrReadOnly)
	expect(t, mapping.View(nil), shmkit.ErrReadOnly)
	expect(t, mapping.Protect(shmkit.ProtectReadWrite), shmkit.ErrReadOnly)

	part := newMapping(t, path, shmkit.WithOffset(4093), shmkit.WithLen(10), shmkit.WithPopulate())
	succeed(t, part.ViewReadOnly(func(b []byte) error {
		if !bytes.Equal(b, content[4093:4103]) {
			t.Errorf("%q", b)
		}
		return nil
	}))
}

func TestWritesReachTheFileUnlessPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.bin")
	writable := shmkit.WithProtection(shmkit.ProtectReadWrite)
	mapping := newMapping(t, path, shmkit.WithCreate(), shmkit.WithFileMode(0o600), shmkit.WithLen(4096), writable)
	n, err := mapping.WriteAt([]byte("Hi"), 0)
	if n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, mode := range []shmkit.FlushMode{shmkit.FlushSync, shmkit.FlushAsync, shmkit.FlushSync | shmkit.FlushInvalidate} {
		succeed(t, mapping.Flush(mode))
		succeed(t, mapping.FlushRange(0, 2, mode))
	}
	succeed(t, mapping.Advise(shmkit.AdviseSequential))
	succeed(t, mapping.AdviseRange(0, 2, shmkit.AdviseWillNeed))
	expect(t, mapping.AdviseRange(1, 2, shmkit.AdviseDontNeed), shmkit.ErrInvalidArgument)

	private := newMapping(t, path, shmkit.WithPrivate(), shmkit.WithNoReserve(), writable)
	_, err = private.WriteAt([]byte("Me"), 0)
	succeed(t, err)
	grown := newMapping(t, path, shmkit.WithLen(8192), shmkit.WithGrow())
	content, err := os.ReadFile(path)
	succeed(t, err)
	if !bytes.HasPrefix(content, []byte("Hi\x00")) || len(content) != 8192 || grown.Len() != 8192 {
		t.Errorf("%d bytes, %q", len(content), content[:4])
	}
	info, err := os.Stat(path)
	succeed(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestMappingsThatCannotBe(t *testing.T) {
	path, content := newFile(t)
	empty := filepath.Join(t.TempDir(), "empty")
	succeed(t, os.WriteFile(empty, nil, 0o600))
	for name, c := range map[string]struct {
		path string
		opts []shmkit.MapOption
		kind shmkit.ErrorKind
	}{
		"missing":         {path + ".no", nil, shmkit.ErrNotFound},
		"a directory":     {filepath.Dir(path), nil, shmkit.ErrWrongKind},
		"a zero byte":     {path + "\x00", nil, shmkit.ErrInvalidName},
		"empty":           {empty, nil, shmkit.ErrInvalidLength},
		"length 0":        {path, []shmkit.MapOption{shmkit.WithLen(0)}, shmkit.ErrInvalidLength},
		"length -1":       {path, []shmkit.MapOption{shmkit.WithLen(-1)}, shmkit.ErrInvalidLength},
		"offset -1":       {path, []shmkit.MapOption{shmkit.WithOffset(-1)}, shmkit.ErrInvalidLength},
		"beyond the end":  {path, []shmkit.MapOption{shmkit.WithLen(len(content) + 1)}, shmkit.ErrOutOfRange},
		"grow, no length": {path, []shmkit.MapOption{shmkit.WithGrow()}, shmkit.ErrInvalidArgument},
		"protection 7":    {path, []shmkit.MapOption{shmkit.WithProtection(7)}, shmkit.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shmkit.Map(c.path, c.opts...)
			expect(t, err, c.kind)
		})
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
		t.Error("a refused mapping changed the file")
	}
	_, err := shmkit.MapAnonymous(0)
	expect(t, err, shmkit.ErrInvalidLength)
	_, err = shmkit.MapAnonymous(4096, shmkit.WithCreate())
	expect(t, err, shmkit.ErrInvalidArgument)
}

func TestAccessOutsideAMappingIsRefused(t *testing.T) {
	mapping, err := shmkit.MapAnonymous(100)
	succeed(t, err)
	defer mapping.Close()
	for _, off := range []int64{-1, 97, 100, math.MaxInt64, math.MinInt64} {
		n, err := mapping.WriteAt([]byte("data"), off)
		expect(t, err, shmkit.ErrOutOfRange)
		if n != 0 {
			t.Errorf("%d bytes written at %d", n, off)
		}
		expect(t, mapping.ReadFullAt(make([]byte, 4), off), shmkit.ErrOutOfRange)
		expect(t, mapping.ViewRange(int(off), 4, nil), shmkit.ErrOutOfRange)
		expect(t, mapping.ViewRangeReadOnly(int(off), 4, nil), shmkit.ErrOutOfRange)
		expect(t, mapping.FlushRange(int(off), 4, shmkit.FlushSync), shmkit.ErrOutOfRange)
		expect(t, mapping.ProtectRange(int(off), 4, shmkit.ProtectRead), shmkit.ErrOutOfRange)
		expect(t, mapping.AdviseRange(int(off), 4, shmkit.AdviseNormal), shmkit.ErrOutOfRange)
	}
	got := make([]byte, 100)
	succeed(t, mapping.ReadFullAt(got, 0))
	if !bytes.Equal(got, make([]byte, 100)) {
		t.Error("a refused write left something behind")
	}
}

func TestProtectionIsKept(t *testing.T) {
	mapping, err := shmkit.MapAnonymous(3 * 4096)
	succeed(t, err)
	defer mapping.Close()
	write := func(off int64) error {
		_, err := mapping.WriteAt([]byte("x"), off)
		return err
	}
	read := func(off int64) error {
		_, err := mapping.ReadAt(make([]byte, 1), off)
		return err
	}
	succeed(t, write(4096))
	succeed(t, mapping.ProtectRange(4096, 4096, shmkit.ProtectNone))
	expect(t, read(4096), shmkit.ErrPermissionDenied)
	expect(t, write(8191), shmkit.ErrReadOnly)
	succeed(t, write(0))
	succeed(t, read(8192))
	if err := read(3 * 4096); err != io.EOF {
		t.Errorf("%v at the end", err)
	}
	expect(t, mapping.ProtectRange(1, 10, shmkit.ProtectRead), shmkit.ErrInvalidArgument)
	succeed(t, mapping.Protect(shmkit.ProtectRead))
	succeed(t, read(4096))
	expect(t, write(0), shmkit.ErrReadOnly)
	succeed(t, mapping.Protect(shmkit.ProtectNone))
	expect(t, read(0), shmkit.ErrPermissionDenied)
	expect(t, mapping.ViewReadOnly(nil), shmkit.ErrPermissionDenied)
	succeed(t, mapping.Protect(shmkit.ProtectReadWrite))
	succeed(t, mapping.View(func(b []byte) error {
		expect(t, mapping.Protect(shmkit.ProtectRead), shmkit.ErrBusy)
		expect(t, mapping.Close(), shmkit.ErrBusy)
		b[0] = 1
		return nil
	}))
}

// Copies that run while the protection changes get an answer, and never a fault.
func TestCopiesDuringProtect(t *testing.T) {
	mapping, err := shmkit.MapAnonymous(4096)
	succeed(t, err)
	defer mapping.Close()
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		all.Add(1)
		go func() {
			defer all.Done()
			p := make([]byte, 4096)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := mapping.ReadAt(p, 0); err != nil && !errors.Is(err, shmkit.ErrPermissionDenied) {
					t.Error(err)
				}
				if _, err := mapping.WriteAt(p, 0); err != nil && !errors.Is(err, shmkit.ErrReadOnly) {
					t.Error(err)
				}
			}
		}()
	}
	for i := range 3000 {
		succeed(t, mapping.Protect([]shmkit.Protection{shmkit.ProtectNone, shmkit.ProtectRead, shmkit.ProtectReadWrite}[i%3]))
	}
	close(stop)
	all.Wait()
}

// What is closed says so, and only then.
func TestClosedIsToldByAllThatHoldBytes(t *testing.T) {
	path, _ := newFile(t)
	cache, err := shmkit.OpenWindows(path)
	succeed(t, err)
	code, err := shmkit.NewCodeMemory(100)
	succeed(t, err)
	for _, one := range []interface {
		io.Closer
		Closed() bool
	}{newRegion(t, 64), newMapping(t, path), cache, code} {
		before := one.Closed()
		succeed(t, one.Close())
		if before || !one.Closed() {
			t.Errorf("%v: closed %v before its end, %v after it", one, before, one.Closed())
		}
	}
}

func TestAClosedMappingRefusesEverything(t *testing.T) {
	path, _ := newFile(t)
	mapping := newMapping(t, path)
	held, err := mapping.Bytes()
	succeed(t, err)
	succeed(t, mapping.Close())
	succeed(t, mapping.Close())
	if !bytes.Equal(held, make([]byte, len(held))) {
		t.Error("bytes after the close")
	}
	_, err = mapping.ReadAt(make([]byte, 1), 0)
	expect(t, err, shmkit.ErrClosed)
	_, err = mapping.ReadAt(make([]byte, 1), math.MaxInt64)
	expect(t, err, shmkit.ErrClosed)
	_, err = mapping.WriteAt(make([]byte, 1), 0)
	expect(t, err, shmkit.ErrClosed)
	_, err = mapping.Bytes()
	expect(t, err, shmkit.ErrClosed)
	for _, err := range []error{
		mapping.ReadFullAt(make([]byte, 1), 0), mapping.View(nil), mapping.ViewReadOnly(nil), mapping.Flush(shmkit.FlushSync),
		mapping.Protect(shmkit.ProtectRead), mapping.Advise(shmkit.AdviseNormal),
	} {
		expect(t, err, shmkit.ErrClosed)
	}
}
