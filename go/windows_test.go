package shmkit_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"

	shmkit "github.com/shmkit/shmkit/go"
)

const windowLen = 16384

var (
	_ io.ReaderAt = (*shmkit.WindowCache)(nil)
	_ io.WriterAt = (*shmkit.WindowCache)(nil)
	_ io.Closer   = (*shmkit.WindowCache)(nil)
)

func windowFile(t testing.TB) (string, []byte) {
	content := make([]byte, 5*windowLen+100)
	for i := range content {
		content[i] = byte(i/7 + i/windowLen)
	}
	path := filepath.Join(t.TempDir(), "large.bin")
	succeed(t, os.WriteFile(path, content, 0o600))
	return path, content
}

func openWindows(t testing.TB, path string, windows int) *shmkit.WindowCache {
	t.Helper()
	cache, err := shmkit.OpenWindows(path, shmkit.WithWindowLen(windowLen), shmkit.WithWindows(windows), shmkit.WithWritableWindows())
	succeed(t, err)
	t.Cleanup(func() { succeed(t, cache.Close()) })
	return cache
}

func TestWindowsShowTheFile(t *testing.T) {
	path, content := windowFile(t)
	cache := openWindows(t, path, 2)
	if cache.Len() != int64(len(content)) || cache.WindowLen() != windowLen || cache.WindowCount() != 2 || cache.Path() != path {
		t.Errorf("%v", cache)
	}
	succeed(t, iotest.TestReader(io.NewSectionReader(cache, 0, cache.Len()), content))
	n, err := cache.ReadAt(make([]byte, 10), cache.Len()-4)
	if n != 4 || err != io.EOF {
		t.Error(n, err)
	}
	if n, err = cache.ReadAt(make([]byte, 10), cache.Len()+10); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	_, err = cache.ReadAt(make([]byte, 1), -1)
	expect(t, err, shmkit.ErrOutOfRange)
	last := make([]byte, 10)
	succeed(t, cache.ReadFullAt(last, cache.Len()-10))
	if !bytes.Equal(last, content[len(content)-10:]) {
		t.Error(last)
	}
	expect(t, cache.ReadFullAt(last, cache.Len()-9), shmkit.ErrOutOfRange)
	expect(t, cache.ReadFullAt(last, -1), shmkit.ErrOutOfRange)
	_, err = cache.WriteAt([]byte("across"), windowLen-3)
	succeed(t, err)
	_, err = cache.WriteAt([]byte("x"), cache.Len())
	expect(t, err, shmkit.ErrOutOfRange)
	succeed(t, cache.Flush(shmkit.FlushSync))
	succeed(t, cache.Flush(shmkit.FlushAsync))
	expect(t, cache.Flush(shmkit.FlushInvalidate), shmkit.ErrInvalidArgument)
	after, err := os.ReadFile(path)
	succeed(t, err)
	if !bytes.Equal(after[windowLen-3:windowLen+3], []byte("across")) {
		t.Error("the file does not hold what was written")
	}
	stats := cache.Stats()
	if stats.Misses != stats.Maps || stats.Mapped != 2 || stats.Hits == 0 || stats.Evictions != stats.Misses-2 || stats.Kernel == 0 {
		t.Errorf("%+v", stats)
	}
}

func TestViewsKeepTheirWindow(t *testing.T) {
	path, content := windowFile(t)
	cache := openWindows(t, path, 1)
	succeed(t, cache.View(100, 1000, func(b []byte) error {
		copy(b, "view")
		expect(t, cache.Close(), shmkit.ErrBusy)
		expect(t, cache.ViewReadOnly(windowLen, 1, nil), shmkit.ErrBusy)
		var p [1]byte
		_, err := cache.ReadAt(p[:], 3*windowLen)
		succeed(t, err)
		if p[0] != content[3*windowLen] || cache.Stats().Bypasses != 1 || cache.Stats().Views != 1 {
			t.Errorf("%v, %+v", p, cache.Stats())
		}
		return nil
	}))
	succeed(t, cache.ViewReadOnly(100, 4, func(b []byte) error {
		if string(b) != "view" {
			t.Errorf("%q", b)
		}
		return nil
	}))
	expect(t, cache.View(windowLen-1, 2, nil), shmkit.ErrInvalidArgument)
	expect(t, cache.View(cache.Len(), 1, nil), shmkit.ErrOutOfRange)
	expect(t, cache.View(-1, 1, nil), shmkit.ErrOutOfRange)
	succeed(t, cache.Close())
	expect(t, cache.View(0, 1, nil), shmkit.ErrClosed)
	_, err := cache.ReadAt(make([]byte, 1), 0)
	expect(t, err, shmkit.ErrClosed)
}

func TestWindowsThatCannotBe(t *testing.T) {
	path, content := windowFile(t)
	for name, c := range map[string]struct {
		path string
		opts []shmkit.WindowOption
		kind shmkit.ErrorKind
	}{
		"missing":      {path + ".no", nil, shmkit.ErrNotFound},
		"a directory":  {filepath.Dir(path), nil, shmkit.ErrWrongKind},
		"odd windows":  {path, []shmkit.WindowOption{shmkit.WithWindowLen(5000)}, shmkit.ErrInvalidArgument},
		"no length":    {path, []shmkit.WindowOption{shmkit.WithWindowLen(0)}, shmkit.ErrInvalidArgument},
		"no windows":   {path, []shmkit.WindowOption{shmkit.WithWindows(0)}, shmkit.ErrInvalidArgument},
		"-1 windows":   {path, []shmkit.WindowOption{shmkit.WithWindows(-1)}, shmkit.ErrInvalidArgument},
		"5000 windows": {path, []shmkit.WindowOption{shmkit.WithWindows(5000)}, shmkit.ErrInvalidArgument},
		"a pattern":    {path, []shmkit.WindowOption{shmkit.WithPattern(shmkit.AdviseFree)}, shmkit.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shmkit.OpenWindows(c.path, c.opts...)
			expect(t, err, c.kind)
		})
	}
	file, err := os.Open(path)
	succeed(t, err)
	cache, err := shmkit.OpenWindowsOf(file, shmkit.WithPattern(shmkit.AdviseRandom))
	succeed(t, err)
	succeed(t, file.Close())
	defer cache.Close()
	_, err = cache.WriteAt([]byte("x"), 0)
	expect(t, err, shmkit.ErrReadOnly)
	got := make([]byte, len(content))
	_, err = cache.ReadAt(got, 0)
	succeed(t, err)
	if !bytes.Equal(got, content) {
		t.Error("other bytes")
	}
	succeed(t, os.Truncate(path, 10))
	small := openWindows(t, path, 1)
	succeed(t, os.Truncate(path, 5))
	_, err = small.ReadAt(make([]byte, 1), 0)
	expect(t, err, shmkit.ErrTruncated)
}

func TestGoroutinesShareWindows(t *testing.T) {
	path, content := windowFile(t)
	cache := openWindows(t, path, 2)
	var all sync.WaitGroup
	for range 6 {
		all.Add(1)
		go func() {
			defer all.Done()
			p := make([]byte, 100)
			for range 2000 {
				off := rand.IntN(len(content) - len(p))
				if _, err := cache.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, content[off:off+len(p)]) {
					t.Error("other bytes", err)
				}
			}
		}()
	}
	all.Wait()
	if cache.Stats().Evictions == 0 {
		t.Error("nothing was evicted")
	}
}

func TestAForgottenWindowCacheIsReleased(t *testing.T) {
	path, _ := windowFile(t)
	cache, err := shmkit.OpenWindows(path)
	succeed(t, err)
	_, err = cache.ReadAt(make([]byte, 1), 0)
	succeed(t, err)
	if mapped(t, path) == 0 {
		t.Fatal("not mapped")
	}
	cache = nil
	eventually(t, "the forgotten windows are unmapped", func() bool { collect(); return mapped(t, path) == 0 })
}

func TestMethodsKeepTheirWindowsAlive(t *testing.T) {
	path, _ := windowFile(t)
	open := func() *shmkit.WindowCache {
		cache, err := shmkit.OpenWindows(path, shmkit.WithWritableWindows())
		succeed(t, err)
		return cache
	}
	_, err := open().WriteAt([]byte("alive"), 0)
	succeed(t, err)
	var p [5]byte
	_, err = open().ReadAt(p[:], 0)
	succeed(t, err)
	succeed(t, open().View(0, 5, func(b []byte) error {
		collect()
		collect()
		if string(b) != "alive" || string(p[:]) != "alive" {
			t.Errorf("%q, %q", b, p)
		}
		return nil
	}))
	succeed(t, open().Flush(shmkit.FlushAsync))
	if open().WindowLen() == 0 || open().WindowCount() == 0 || open().Stats().Misses != 0 {
		t.Error("not alive")
	}
	succeed(t, open().Close())
}
