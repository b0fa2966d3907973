package shmkit_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

var (
	_ io.ReaderAt = (*shmkit.Region)(nil)
	_ io.WriterAt = (*shmkit.Region)(nil)
	_ io.Closer   = (*shmkit.Region)(nil)
)

func TestARegionHasExactlyTheBytesAskedFor(t *testing.T) {
	region := newRegion(t, 5003)
	again := openAgain(t, region)
	if region.Len() != 5003 || again.Len() != 5003 {
		t.Fatalf("%d and %d bytes", region.Len(), again.Len())
	}
	if region.ID() != again.ID() || region.ID() == [16]byte{} {
		t.Errorf("ids %x and %x", region.ID(), again.ID())
	}
	if region.ReadOnly() || region.Name() != again.Name() || !strings.Contains(region.String(), region.Name()) {
		t.Errorf("%v, %v", region, again)
	}
	n, err := region.WriteAt([]byte("Hi"), 5001)
	if n != 2 || err != nil {
		t.Fatal(n, err)
	}
	got := make([]byte, 2)
	succeed(t, again.ReadFullAt(got, 5001))
	if string(got) != "Hi" {
		t.Errorf("%q", got)
	}
}

func TestReadAtIsAReaderAt(t *testing.T) {
	region := newRegion(t, 1000)
	content := bytes.Repeat([]byte("0123456789"), 100)
	_, err := region.WriteAt(content, 0)
	succeed(t, err)
	succeed(t, iotest.TestReader(io.NewSectionReader(region, 0, 1000), content))

	for _, c := range []struct {
		off     int64
		len, n  int
		problem error
	}{
		{0, 1000, 1000, nil},
		{999, 1, 1, nil},
		{990, 20, 10, io.EOF},
		{1000, 1, 0, io.EOF},
		{math.MaxInt64, 1, 0, io.EOF},
		{1000, 0, 0, nil},
	} {
		p := make([]byte, c.len)
		n, err := region.ReadAt(p, c.off)
		if n != c.n || err != c.problem || !bytes.Equal(p[:n], content[min(c.off, 1000):][:n]) {
			t.Errorf("%d bytes at %d: %d, %v", c.len, c.off, n, err)
		}
	}
}

func TestAccessOutsideIsRefusedAndChangesNothing(t *testing.T) {
	region := newRegion(t, 100)
	for _, off := range []int64{-1, 97, 100, math.MaxInt64, math.MinInt64} {
		n, err := region.WriteAt([]byte("data"), off)
		expect(t, err, shmkit.ErrOutOfRange)
		if n != 0 {
			t.Errorf("%d bytes written at %d", n, off)
		}
		expect(t, region.ReadFullAt(make([]byte, 4), off), shmkit.ErrOutOfRange)
		expect(t, region.ViewRange(int(off), 4, nil), shmkit.ErrOutOfRange)
		expect(t, region.FlushRange(int(off), 4, shmkit.FlushSync), shmkit.ErrOutOfRange)
	}
	_, err := region.ReadAt(nil, -1)
	expect(t, err, shmkit.ErrOutOfRange)
	expect(t, region.ViewRange(0, -1, nil), shmkit.ErrOutOfRange)
	_, err = region.WriteAt(make([]byte, 101), 0)
	expect(t, err, shmkit.ErrOutOfRange)
	succeed(t, region.View(func(b []byte) error {
		if !bytes.Equal(b, make([]byte, 100)) {
			t.Error("a refused write left something behind")
		}
		return nil
	}))
}

func TestNamesLengthsAndOptionsThatCannotBe(t *testing.T) {
	name := freshName(t)
	for _, bad := range []string{"", "a/b", "a b", "ü", "a\x00b", "\xff", strings.Repeat("x", 201)} {
		_, err := shmkit.Create(bad, 64)
		expect(t, err, shmkit.ErrInvalidName)
		_, err = shmkit.Open(bad)
		expect(t, err, shmkit.ErrInvalidName)
		_, err = shmkit.OpenOrCreate(bad, 64)
		expect(t, err, shmkit.ErrInvalidName)
		expect(t, shmkit.Unlink(bad), shmkit.ErrInvalidName)
	}
	for _, length := range []int{0, -1, math.MaxInt} {
		_, err := shmkit.Create(name, length)
		expect(t, err, shmkit.ErrInvalidLength)
	}
	for _, opt := range []shmkit.Option{
		shmkit.WithAttachments(1024), shmkit.WithAttachments(-1), shmkit.WithAttachments(1 << 32),
		shmkit.WithMode(fs.ModeSetuid | 0o600), shmkit.ReadOnly(),
	} {
		_, err := shmkit.Create(name, 64, opt)
		expect(t, err, shmkit.ErrInvalidArgument)
	}
	_, err := shmkit.Create(name, 64, shmkit.WithArenaLen(-1))
	expect(t, err, shmkit.ErrInvalidLength)
	_, err = shmkit.Create(name, 1<<45)
	expect(t, err, shmkit.ErrNoSpace)
	_, err = shmkit.Open(name)
	expect(t, err, shmkit.ErrNotFound)
	expect(t, shmkit.Unlink(name), shmkit.ErrNotFound)
}

func TestCreationIsExclusive(t *testing.T) {
	region := newRegion(t, 64)
	_, err := shmkit.Create(region.Name(), 64)
	expect(t, err, shmkit.ErrAlreadyExists)
	_, err = shmkit.OpenOrCreate(region.Name(), 65)
	expect(t, err, shmkit.ErrSizeMismatch)
	again, err := shmkit.OpenOrCreate(region.Name(), 64)
	succeed(t, err)
	defer again.Close()
	if again.ID() != region.ID() {
		t.Error("opened another region")
	}
}

func TestOneOfManyCreatorsWins(t *testing.T) {
	name := freshName(t)
	var all sync.WaitGroup
	ids := make([][16]byte, 8)
	for i := range ids {
		all.Add(1)
		go func() {
			defer all.Done()
			region, err := shmkit.OpenOrCreate(name, 4096)
			if err != nil {
				t.Error(err)
				return
			}
			defer region.Close()
			ids[i] = region.ID()
		}()
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("ids %x and %x", id, ids[0])
		}
	}
}

func TestAFileIsARegionToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "region")
	region, err := shmkit.Create(path, 4096, shmkit.AsFile(), shmkit.WithMode(0o640), shmkit.WithAttachments(2), shmkit.WithArenaLen(4096))
	succeed(t, err)
	_, err = region.WriteAt([]byte("durable"), 0)
	succeed(t, err)
	succeed(t, region.Flush(shmkit.FlushSync))
	succeed(t, region.FlushRange(0, 7, shmkit.FlushAsync))
	succeed(t, region.Close())
	info, err := os.Stat(path)
	succeed(t, err)
	if info.Mode() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	region, err = shmkit.Open(path, shmkit.AsFile(), shmkit.ReadOnly())
	succeed(t, err)
	defer region.Close()
	got := make([]byte, 7)
	succeed(t, region.ReadFullAt(got, 0))
	if string(got) != "durable" {
		t.Errorf("%q", got)
	}
	succeed(t, shmkit.Unlink(path, shmkit.AsFile()))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the file is still there")
	}
}

func TestFilesThatAreNoRegion(t *testing.T) {
	directory := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(directory, name)
		succeed(t, os.WriteFile(path, content, 0o600))
		return path
	}
	made := filepath.Join(directory, "made")
	region, err := shmkit.Create(made, 64, shmkit.AsFile())
	succeed(t, err)
	succeed(t, region.Close())
	good, err := os.ReadFile(made)
	succeed(t, err)
	changed := func(at int, to byte) []byte {
		content := bytes.Clone(good)
		content[at] = to
		return content
	}
	for _, c := range []struct {
		path string
		kind shmkit.ErrorKind
	}{
		{write("text", bytes.Repeat([]byte("text "), 200)), shmkit.ErrBadMagic},
		{write("newer", changed(8, 99)), shmkit.ErrVersionMismatch},
		{write("checksum", changed(40, 1)), shmkit.ErrCorrupted},
		{write("short", good[:len(good)-4096]), shmkit.ErrTruncated},
		{directory, shmkit.ErrWrongKind},
		{filepath.Join(directory, "missing"), shmkit.ErrNotFound},
	} {
		_, err := shmkit.Open(c.path, shmkit.AsFile())
		expect(t, err, c.kind)
	}
}

func TestAReadOnlyRegionIsOnlyRead(t *testing.T) {
	region := newRegion(t, 64)
	_, err := region.WriteAt([]byte("Hi"), 0)
	succeed(t, err)
	reader := openAgain(t, region, shmkit.ReadOnly())
	if !reader.ReadOnly() {
		t.Error("not read-only")
	}
	got := make([]byte, 2)
	succeed(t, reader.ReadFullAt(got, 0))
	if string(got) != "Hi" {
		t.Errorf("%q", got)
	}
	_, err = reader.WriteAt([]byte("No"), 0)
	expect(t, err, shmkit.ErrReadOnly)
	expect(t, reader.View(nil), shmkit.ErrReadOnly)
	expect(t, reader.Lock(t.Context()), shmkit.ErrReadOnly)
	_, err = reader.TryLock()
	expect(t, err, shmkit.ErrReadOnly)
	expect(t, reader.Unlock(), shmkit.ErrReadOnly)
	expect(t, reader.MakeConsistent(), shmkit.ErrReadOnly)
	succeed(t, reader.ViewReadOnly(func(b []byte) error {
		if string(b[:2]) != "Hi" || len(b) != 64 {
			t.Errorf("%q", b)
		}
		return nil
	}))
	if reader.Locked() {
		t.Error("a refused lock is held")
	}
}

func TestAViewKeepsTheRegionOpen(t *testing.T) {
	region := newRegion(t, 64)
	own := errors.New("the callback's")
	err := region.View(func(b []byte) error {
		copy(b, "seen")
		expect(t, region.Close(), shmkit.ErrBusy)
		return region.ViewRangeReadOnly(0, 4, func(part []byte) error {
			if string(part) != "seen" || cap(part) != 4 {
				t.Errorf("%q, capacity %d", part, cap(part))
			}
			return own
		})
	})
	if err != own {
		t.Errorf("%v", err)
	}
	func() {
		defer func() { recover() }()
		region.View(func([]byte) error { panic("in a view") })
	}()
	succeed(t, region.Close())
}

func TestAClosedRegionRefusesEverything(t *testing.T) {
	region := newRegion(t, 64)
	held, err := region.Bytes()
	succeed(t, err)
	copy(held, "mine")
	succeed(t, region.Close())
	succeed(t, region.Close())
	if !bytes.Equal(held, make([]byte, 64)) {
		t.Errorf("bytes after the close: %q", held)
	}
	_, err = region.ReadAt(make([]byte, 1), 0)
	expect(t, err, shmkit.ErrClosed)
	_, err = region.WriteAt(make([]byte, 1), 0)
	expect(t, err, shmkit.ErrClosed)
	_, err = region.Bytes()
	expect(t, err, shmkit.ErrClosed)
	_, err = region.TryLock()
	expect(t, err, shmkit.ErrClosed)
	for _, err := range []error{
		region.ReadFullAt(make([]byte, 1), 0), region.View(nil), region.ViewReadOnly(nil), region.Flush(shmkit.FlushSync),
		region.Lock(t.Context()), region.Unlock(), region.MakeConsistent(),
	} {
		expect(t, err, shmkit.ErrClosed)
	}
	if region.Len() != 64 {
		t.Error("the length was forgotten")
	}
}

func TestBytesAreTheRegion(t *testing.T) {
	region := newRegion(t, 64)
	again := openAgain(t, region)
	held, err := region.Bytes()
	succeed(t, err)
	copy(held, "without a copy")
	got := make([]byte, 14)
	succeed(t, again.ReadFullAt(got, 0))
	if string(got) != "without a copy" || len(held) != 64 || cap(held) != 64 {
		t.Errorf("%q, %d of %d bytes", got, len(held), cap(held))
	}
}

// Readers that run while others close must see the region or an error: no fault, and no zeros that pass for content.
func TestReadDuringClose(t *testing.T) {
	name := freshName(t)
	const length = 8 << 20 // long enough for the close to come in the middle
	keeper, err := shmkit.Create(name, length)
	succeed(t, err)
	_, err = keeper.WriteAt(bytes.Repeat([]byte{7}, length), 0)
	succeed(t, err)
	succeed(t, keeper.Close())
	buffers := [2][]byte{make([]byte, length), make([]byte, length)}
	for range 30 {
		region, err := shmkit.Open(name)
		succeed(t, err)
		var all sync.WaitGroup
		for _, p := range buffers {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					_, err := region.ReadAt(p, 0)
					if errors.Is(err, shmkit.ErrClosed) {
						return
					}
					if err != nil || bytes.IndexByte(p, 0) >= 0 {
						t.Errorf("%v, zero at %d", err, bytes.IndexByte(p, 0))
						return
					}
				}
			}()
		}
		time.Sleep(2 * time.Millisecond)
		succeed(t, region.Close())
		all.Wait()
	}
}
