package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	shmkit "github.com/shmkit/shmkit/go"
)

// runWindows does what a command on window caches says.
func (r *runner) runWindows(c command) (string, error) {
	if strings.HasPrefix(c.op, "windows_view_") {
		c.op = strings.TrimPrefix(c.op, "windows_")
		return r.useView(c)
	}
	if c.op == "windows_open" {
		return r.openWindows(c)
	}
	cache, found := r.windows[c.arguments["w"]]
	if !found {
		return "", fmt.Errorf("no window cache %q", c.arguments["w"])
	}
	switch c.op {
	case "windows_read", "windows_write":
		return copyWindows(cache, c)
	case "windows_flush":
		mode := shmkit.FlushSync
		if c.flag("async") {
			mode = shmkit.FlushAsync
		}
		return "", cache.Flush(mode)
	case "windows_stats":
		s := cache.Stats()
		return fmt.Sprintf(" hits=%d misses=%d evictions=%d bypasses=%d maps=%d mapped=%d views=%d",
			s.Hits, s.Misses, s.Evictions, s.Bypasses, s.Maps, s.Mapped, s.Views), nil
	case "windows_view":
		return "", r.viewWindow(cache, c)
	case "windows_close":
		return "", cache.Close()
	}
	return "", fmt.Errorf("unknown operation %s", c.op)
}

func (r *runner) openWindows(c command) (string, error) {
	path, err := c.text("path")
	if err != nil {
		return "", err
	}
	name, err := c.text("w")
	if err != nil {
		return "", err
	}
	var opts []shmkit.WindowOption
	if c.flag("writable") {
		opts = append(opts, shmkit.WithWritableWindows())
	}
	if c.has("pattern") {
		pattern, err := adviceOf(c, "pattern")
		if err != nil {
			return "", err
		}
		opts = append(opts, shmkit.WithPattern(pattern))
	}
	for key, option := range map[string]func(int) shmkit.WindowOption{
		"window_len": shmkit.WithWindowLen, "windows": shmkit.WithWindows,
	} {
		if c.has(key) {
			number, err := c.number(key)
			if err != nil {
				return "", err
			}
			opts = append(opts, option(int(min(number, math.MaxInt))))
		}
	}
	cache, err := shmkit.OpenWindows(path, opts...)
	if err != nil {
		return "", err
	}
	r.windows[name] = cache
	return fmt.Sprintf(" len=%d window_len=%d windows=%d", cache.Len(), cache.WindowLen(), cache.WindowCount()), nil
}

func copyWindows(cache *shmkit.WindowCache, c command) (string, error) {
	offset, err := c.number("offset")
	if err != nil {
		return "", err
	}
	if c.op == "windows_write" {
		data, err := c.bytes("data")
		if err != nil {
			return "", err
		}
		_, err = cache.WriteAt(data, int64(offset))
		return "", err
	}
	length, err := c.number("len")
	if err != nil {
		return "", err
	}
	bytes := make([]byte, length)
	if err := cache.ReadFullAt(bytes, int64(offset)); err != nil {
		return "", err
	}
	return " data=" + hex.EncodeToString(bytes), nil
}

func (r *runner) viewWindow(cache *shmkit.WindowCache, c command) error {
	name, err := c.text("v")
	if err != nil {
		return err
	}
	offset, err := c.number("offset")
	if err != nil {
		return err
	}
	length, err := c.number("len")
	if err != nil {
		return err
	}
	viewOf := cache.ViewReadOnly
	if c.flag("writable") {
		viewOf = cache.View
	}
	use := func(use func([]byte) error) error { return viewOf(int64(offset), int(length), use) }
	v, err := lend(use, c.flag("writable"))
	if err == nil {
		r.views[name] = v
	}
	return err
}
