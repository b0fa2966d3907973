package shmkit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

func init() {
	children["inherit"] = inherit
}

func newMemfd(t testing.TB) *shmkit.Segment {
	t.Helper()
	segment, err := shmkit.NewMemfd("go-test", 4096)
	succeed(t, err)
	t.Cleanup(func() { succeed(t, segment.Close()) })
	return segment
}

// mapSegment maps a segment and closes the mapping when the test ends.
func mapSegment(t testing.TB, segment *shmkit.Segment, opts ...shmkit.MapOption) *shmkit.Mapping {
	t.Helper()
	mapping, err := segment.Map(opts...)
	succeed(t, err)
	t.Cleanup(func() { succeed(t, mapping.Close()) })
	return mapping
}

func TestASegmentLivesUntilItIsUnlinked(t *testing.T) {
	name := freshName(t)
	segment, err := shmkit.CreateSegment(name, 5000, shmkit.WithMode(0o640))
	succeed(t, err)
	_, err = shmkit.CreateSegment(name, 5000)
	expect(t, err, shmkit.ErrAlreadyExists)
	if length, err := segment.Len(); length != 5000 || err != nil || segment.ReadOnly() {
		t.Errorf("%d, %v, %v", length, err, segment)
	}
	writer := mapSegment(t, segment, shmkit.WithProtection(shmkit.ProtectReadWrite))
	_, err = writer.WriteAt([]byte("Hi"), 4998)
	succeed(t, err)
	reader, err := shmkit.OpenSegment(name, shmkit.ReadOnly())
	succeed(t, err)
	_, err = reader.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	expect(t, err, shmkit.ErrReadOnly)
	bytes := make([]byte, 2)
	mapping := mapSegment(t, reader)
	succeed(t, mapping.ReadFullAt(bytes, 4998))
	if string(bytes) != "Hi" {
		t.Errorf("%q", bytes)
	}
	_, err = mapping.WriteAt(bytes, 0)
	expect(t, err, shmkit.ErrReadOnly)
	succeed(t, reader.Close())
	succeed(t, reader.Close())
	for _, refused := range []func() error{
		func() error { _, err := reader.Map(); return err },
		func() error { _, err := reader.Len(); return err },
		func() error { _, err := reader.Seals(); return err },
		func() error { _, err := reader.File(); return err },
		func() error { return reader.Seal(shmkit.SealGrow) },
	} {
		expect(t, refused(), shmkit.ErrClosed)
	}
	succeed(t, segment.Close())
	succeed(t, shmkit.UnlinkSegment(name))
	_, err = shmkit.OpenSegment(name)
	expect(t, err, shmkit.ErrNotFound)
	_, err = shmkit.CreateSegment(name, 10, shmkit.WithAttachments(3))
	expect(t, err, shmkit.ErrInvalidArgument)
	path := filepath.Join(t.TempDir(), "file")
	file, err := shmkit.CreateSegment(path, 10, shmkit.AsFile())
	succeed(t, err)
	succeed(t, file.Close())
	succeed(t, shmkit.UnlinkSegment(path, shmkit.AsFile()))
}

func TestSealsHold(t *testing.T) {
	segment := newMemfd(t)
	mapping, err := segment.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	succeed(t, err)
	succeed(t, segment.Seal(shmkit.SealShrink|shmkit.SealGrow))
	file, err := segment.File()
	succeed(t, err)
	defer file.Close()
	for _, size := range []int64{100, 9000} {
		if err := file.Truncate(size); !errors.Is(err, syscall.EPERM) {
			t.Errorf("%d: %v", size, err)
		}
	}
	expect(t, segment.Seal(shmkit.SealWrite), shmkit.ErrBusy)
	succeed(t, mapping.Close())
	succeed(t, segment.Seal(shmkit.SealWrite|shmkit.SealSeal))
	seals, err := segment.Seals()
	succeed(t, err)
	if !strings.HasPrefix(seals.String(), "seal|shrink|grow|write") {
		t.Error(seals)
	}
	expect(t, segment.Seal(shmkit.SealFutureWrite), shmkit.ErrPermissionDenied)
	expect(t, segment.Seal(0x40), shmkit.ErrInvalidArgument)
	_, err = segment.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	expect(t, err, shmkit.ErrReadOnly)
}

// inherit is a child with a segment and a region as its files 3 and 4.
func inherit(string) error {
	segment, err := shmkit.SegmentFromFile(os.NewFile(3, "segment"))
	if err != nil {
		return err
	}
	mapping, err := segment.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		return err
	}
	if _, err := mapping.WriteAt([]byte("Hi"), 100); err != nil {
		return err
	}
	region, err := shmkit.RegionFromFile(os.NewFile(4, "region"))
	if err != nil {
		return err
	}
	if err := region.Lock(context.Background()); err != nil {
		return err
	}
	if _, err := region.WriteAt([]byte("Ho"), 0); err != nil {
		return err
	}
	fmt.Println("locked")
	waitForInput()
	return nil
}

func TestAChildInheritsWhatHasNoName(t *testing.T) {
	segment := newMemfd(t)
	region, err := shmkit.CreateUnnamed(64)
	succeed(t, err)
	defer region.Close()
	c := &child{command: exec.Command(os.Args[0], "")}
	files := make([]*os.File, 2)
	files[0], err = segment.File()
	succeed(t, err)
	files[1], err = region.File()
	succeed(t, err)
	c.command.ExtraFiles = files
	c.start(t, "inherit")
	succeed(t, errors.Join(files[0].Close(), files[1].Close()))
	if said := c.line(t); said != "locked" {
		t.Fatal(said)
	}
	bytes := make([]byte, 2)
	succeed(t, mapSegment(t, segment).ReadFullAt(bytes, 100))
	if string(bytes) != "Hi" {
		t.Errorf("%q", bytes)
	}
	c.kill()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	expect(t, region.Lock(ctx), shmkit.ErrOwnerDied)
	succeed(t, region.ReadFullAt(bytes, 0))
	if string(bytes) != "Ho" {
		t.Errorf("%q", bytes)
	}
	succeed(t, region.MakeConsistent())
	succeed(t, region.Unlock())
}

func connectionPair(t *testing.T) (here, there *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	succeed(t, err)
	ends := make([]*net.UnixConn, 2)
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(file)
		succeed(t, err)
		succeed(t, file.Close())
		ends[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return ends[0], ends[1]
}

func TestASegmentGoesOverASocket(t *testing.T) {
	here, there := connectionPair(t)
	ctx := context.Background()
	segment := newMemfd(t)
	succeed(t, segment.Send(ctx, here))
	received, err := shmkit.ReceiveSegment(ctx, there)
	succeed(t, err)
	defer received.Close()
	_, err = mapSegment(t, received, shmkit.WithProtection(shmkit.ProtectReadWrite)).WriteAt([]byte("Hi"), 0)
	succeed(t, err)
	bytes := make([]byte, 2)
	succeed(t, mapSegment(t, segment).ReadFullAt(bytes, 0))
	if string(bytes) != "Hi" {
		t.Errorf("%q", bytes)
	}

	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = shmkit.ReceiveSegment(short, there)
	expect(t, err, shmkit.ErrTimeout)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = shmkit.ReceiveSegment(cancelled, there)
	expect(t, err, shmkit.ErrInterrupted)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// The deadline of the connection is as before.
	_, err = here.Write([]byte("x"))
	succeed(t, err)
	_, err = shmkit.ReceiveSegment(ctx, there)
	expect(t, err, shmkit.ErrWrongKind)
	file, err := here.File()
	succeed(t, err)
	_, _, err = here.WriteMsgUnix([]byte("x"), syscall.UnixRights(int(file.Fd()), int(file.Fd())), nil)
	succeed(t, err)
	succeed(t, file.Close())
	_, err = shmkit.ReceiveSegment(ctx, there)
	expect(t, err, shmkit.ErrWrongKind)
	succeed(t, here.Close())
	_, err = shmkit.ReceiveSegment(ctx, there)
	expect(t, err, shmkit.ErrIO)
	expect(t, segment.Send(ctx, there), shmkit.ErrIO)
}

func TestPassingLeavesNoDescriptorBehind(t *testing.T) {
	here, there := connectionPair(t)
	segment := newMemfd(t)
	ctx := context.Background()
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		succeed(t, err)
		return len(entries)
	}
	turn := func() {
		succeed(t, segment.Send(ctx, here))
		received, err := shmkit.ReceiveSegment(ctx, there)
		succeed(t, err)
		succeed(t, received.Close())
	}
	turn()
	before := count()
	for range 50 {
		turn()
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
