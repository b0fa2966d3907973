//go:build cgo && race

package shmkit

import (
	"runtime"
	"unsafe"
)

// The race detector does not see atomics on mapped memory. Told of each operation that orders goroutines, under an address
// that they share, it knows that what one did before a release happened before what another does after the acquire.

func raceAcquire[T any](shared *T) { runtime.RaceAcquire(unsafe.Pointer(shared)) }

// raceRelease adds to the releases before, at locks too: there whoever takes the lock has acquired them anyway, unless
// another goroutine gives it back than the one that took it, which may know less.
func raceRelease[T any](shared *T) { runtime.RaceReleaseMerge(unsafe.Pointer(shared)) }
