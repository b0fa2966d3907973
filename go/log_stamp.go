//go:build cgo

package shmkit

import (
	"sync/atomic"
	"time"
)

// A stampBase is one reading of both clocks. Between two of them time stamps are counted on by the monotonic clock alone: it
// is read in half the time, and a clock that is set is followed soon enough.
type stampBase struct {
	at     time.Time
	wallNs int64
}

const stampLasts = 10 * time.Millisecond

var lastStamp atomic.Pointer[stampBase]

// stampNs returns the time, nanoseconds since 1970.
func stampNs() int64 {
	if base := lastStamp.Load(); base != nil {
		if since := time.Since(base.at); since < stampLasts {
			return base.wallNs + int64(since)
		}
	}
	now := time.Now()
	lastStamp.Store(&stampBase{now, now.UnixNano()})
	return now.UnixNano()
}
