//go:build cgo && shmkit_collect

package shmkit

import (
	"runtime"
	"time"
)

// collectHere stands between taking an address out of a handle and using it. With the tag shmkit_collect it gives the
// garbage collector every chance to release the handle in between, so that a missing runtime.KeepAlive shows.
func collectHere() {
	for range 2 {
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run on a goroutine of their own
	}
}
