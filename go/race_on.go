//go:build cgo && race

package shmkit

import (
	"runtime"
	"unsafe"
)

// The race detector does not see atomics on mapped memory. Told of each lock and unlock, it knows that what one goroutine
// did before an unlock happened before what another does after the lock.

func raceAcquire(g *gate) { runtime.RaceAcquire(unsafe.Pointer(g)) }

func raceRelease(g *gate) { runtime.RaceRelease(unsafe.Pointer(g)) }
