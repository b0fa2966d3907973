package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"strconv"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// object is what a handle's name stands for.
type object interface{ Close() error }

// memory is an object with bytes: a region or a mapping.
type memory interface {
	Len() int
	ReadFullAt(p []byte, off int64) error
	WriteAt(p []byte, off int64) (int, error)
	ViewRange(offset, length int, fn func([]byte) error) error
	ViewRangeReadOnly(offset, length int, fn func([]byte) error) error
	FlushRange(offset, length int, mode shmkit.FlushMode) error
	Check() error
	Resize(length int) error
	Close() error
}

// view is a view that is being lent: the function that got it waits in a goroutine until it is released.
type view struct {
	bytes    []byte
	writable bool
	release  chan struct{}
	released chan error
}

// lend keeps the view that viewOf gives, for reading and writing or for reading.
func lend(viewOf func(use func([]byte) error) error, writable bool) (*view, error) {
	v := &view{writable: writable, release: make(chan struct{}), released: make(chan error, 1)}
	lent := make(chan struct{})
	use := func(bytes []byte) error {
		v.bytes = bytes
		close(lent)
		<-v.release
		return nil
	}
	go func() { v.released <- viewOf(use) }()
	select {
	case <-lent:
		return v, nil
	case err := <-v.released:
		return nil, err
	}
}

type runner struct {
	logs    logs
	objects map[string]object
	views   map[string]*view
	windows map[string]*shmkit.WindowCache
}

// find returns the object that argument h names.
func find[T any](r *runner, c command) (T, error) { return named[T](r, c, "h") }

// named returns the object that an argument names.
func named[T any](r *runner, c command, argument string) (T, error) {
	found, ok := r.objects[c.arguments[argument]].(T)
	if !ok {
		return found, fmt.Errorf("%s: %q is no such handle", c.op, c.arguments[argument])
	}
	return found, nil
}

func (r *runner) keep(c command, o memory) (string, error) {
	name, err := c.text("h")
	if err != nil {
		return "", err
	}
	r.objects[name] = o
	return fmt.Sprintf(" len=%d", o.Len()), nil
}

// drop forgets a handle, as a program does that loses its last reference, and lets the garbage collector find it.
func (r *runner) drop(c command) (string, error) {
	if _, err := find[object](r, c); err != nil {
		return "", err
	}
	delete(r.objects, c.arguments["h"])
	for range 2 {
		runtime.GC()
		time.Sleep(5 * time.Millisecond) // cleanups run on a goroutine of their own
	}
	return "", nil
}

func (r *runner) openRegion(c command) (string, error) {
	name, err := c.text("name")
	if err != nil {
		return "", err
	}
	opts, err := regionOptions(c)
	if err != nil {
		return "", err
	}
	if c.op == "region_unlink" {
		return "", shmkit.Unlink(name, opts...)
	}
	var region *shmkit.Region
	if c.op == "region_open" {
		region, err = shmkit.Open(name, opts...)
	} else {
		var length uint64
		if length, err = c.number("len"); err != nil {
			return "", err
		}
		create := shmkit.Create
		if c.op == "region_open_or_create" {
			create = shmkit.OpenOrCreate
		}
		region, err = create(name, int(length), opts...)
	}
	if err != nil {
		return "", err
	}
	return r.keep(c, region)
}

func regionOptions(c command) (opts []shmkit.Option, err error) {
	if c.flag("path") {
		opts = append(opts, shmkit.AsFile())
	}
	if c.flag("read_only") {
		opts = append(opts, shmkit.ReadOnly())
	}
	if c.has("mode") {
		mode, err := strconv.ParseUint(c.arguments["mode"], 8, 32)
		if err != nil {
			return nil, err
		}
		opts = append(opts, shmkit.WithMode(fs.FileMode(mode)))
	}
	if c.has("attachments") {
		count, err := c.number("attachments")
		if err != nil {
			return nil, err
		}
		opts = append(opts, shmkit.WithAttachments(int(min(count, math.MaxInt))))
	}
	if c.has("arena_len") {
		length, err := c.number("arena_len")
		if err != nil {
			return nil, err
		}
		opts = append(opts, shmkit.WithArenaLen(int(length)))
	}
	if c.has("capacity") {
		length, err := c.number("capacity")
		if err != nil {
			return nil, err
		}
		opts = append(opts, shmkit.WithCapacity(int(length)))
	}
	return opts, nil
}

func (r *runner) openMapping(c command) (string, error) {
	opts, err := mapOptions(c)
	if err != nil {
		return "", err
	}
	var mapping *shmkit.Mapping
	if c.op == "map_anonymous" {
		var length uint64
		if length, err = c.number("len"); err != nil {
			return "", err
		}
		mapping, err = shmkit.MapAnonymous(int(length), opts...)
	} else {
		var path string
		if path, err = c.text("path"); err != nil {
			return "", err
		}
		mapping, err = shmkit.Map(path, opts...)
	}
	if err != nil {
		return "", err
	}
	return r.keep(c, mapping)
}

func mapOptions(c command) (opts []shmkit.MapOption, err error) {
	if c.has("protection") {
		protection, err := protectionOf(c)
		if err != nil {
			return nil, err
		}
		opts = append(opts, shmkit.WithProtection(protection))
	}
	if c.has("len") {
		length, err := c.number("len")
		if err != nil {
			return nil, err
		}
		opts = append(opts, shmkit.WithLen(int(length)))
	}
	offset, err := c.numberOr("offset", 0)
	if err != nil {
		return nil, err
	}
	reserve, err := c.numberOr("reserve", 0)
	if err != nil {
		return nil, err
	}
	opts = append(opts, shmkit.WithOffset(int64(offset)), shmkit.WithReserve(int(reserve)))
	switch c.arguments["sharing"] {
	case "", "shared":
	case "private":
		opts = append(opts, shmkit.WithPrivate())
	default:
		return nil, fmt.Errorf("sharing=%s", c.arguments["sharing"])
	}
	for key, opt := range map[string]shmkit.MapOption{
		"create": shmkit.WithCreate(), "grow": shmkit.WithGrow(), "populate": shmkit.WithPopulate(),
	} {
		if c.flag(key) {
			opts = append(opts, opt)
		}
	}
	return opts, nil
}

func protectionOf(c command) (shmkit.Protection, error) {
	protections := map[string]shmkit.Protection{
		"none": shmkit.ProtectNone, "read": shmkit.ProtectRead, "read_write": shmkit.ProtectReadWrite,
	}
	protection, ok := protections[c.arguments["protection"]]
	if !ok {
		return 0, fmt.Errorf("protection=%s", c.arguments["protection"])
	}
	return protection, nil
}

func (r *runner) copyBytes(c command) (string, error) {
	o, err := find[memory](r, c)
	if err != nil {
		return "", err
	}
	offset, err := c.number("offset")
	if err != nil {
		return "", err
	}
	if c.op == "write" {
		data, err := c.bytes("data")
		if err != nil {
			return "", err
		}
		_, err = o.WriteAt(data, int64(offset))
		return "", err
	}
	length, err := c.number("len")
	if err != nil {
		return "", err
	}
	p := make([]byte, length)
	if err := o.ReadFullAt(p, int64(offset)); err != nil {
		return "", err
	}
	return " data=" + hex.EncodeToString(p), nil
}

func (r *runner) takeView(c command) (string, error) {
	o, err := find[memory](r, c)
	if err != nil {
		return "", err
	}
	name, err := c.text("v")
	if err != nil {
		return "", err
	}
	offset, length, err := c.span(o.Len())
	if err != nil {
		return "", err
	}
	viewOf := o.ViewRangeReadOnly
	if c.flag("writable") {
		viewOf = o.ViewRange
	}
	v, err := lend(func(use func([]byte) error) error { return viewOf(offset, length, use) }, c.flag("writable"))
	if err != nil {
		return "", err
	}
	r.views[name] = v
	return fmt.Sprintf(" len=%d", length), nil
}

// useView reads, writes or releases a view. It is a plain slice in Go: a command that leaves it is wrong.
func (r *runner) useView(c command) (string, error) {
	v, ok := r.views[c.arguments["v"]]
	if !ok {
		return "", fmt.Errorf("no view %q", c.arguments["v"])
	}
	if c.op == "view_release" {
		delete(r.views, c.arguments["v"])
		close(v.release)
		if err := <-v.released; !errors.Is(err, shmkit.ErrMappingTruncated) {
			return "", err
		}
		return "", nil // Go says it at once, the others at the next call
	}
	offset, length, err := c.span(len(v.bytes))
	if err != nil {
		return "", err
	}
	var data []byte
	if c.op == "view_write" {
		if data, err = c.bytes("data"); err != nil {
			return "", err
		}
		length = len(data)
	}
	if offset < 0 || length < 0 || length > len(v.bytes) || offset > len(v.bytes)-length {
		return "", fmt.Errorf("%d bytes at %d are outside of the view", length, offset)
	}
	if c.op == "view_write" {
		if !v.writable {
			return "", fmt.Errorf("the view is for reading")
		}
		copy(v.bytes[offset:], data)
		return "", nil
	}
	return " data=" + hex.EncodeToString(v.bytes[offset:offset+length]), nil
}
