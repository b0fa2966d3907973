//go:build cgo && race

package shmkit

import (
	"runtime"
	"unsafe"
)

// The race detector does not see atomics on mapped memory. Told of each operation that orders goroutines, under an address
// that they share, it knows that what one did before a release happened before what another does after the acquire.

func raceAcquire[T any](shared *T) { runtime.RaceAcquire(unsafe.Pointer(shared)) }

// raceRelease forgets the releases before: for locks, which only one has.
func raceRelease[T any](shared *T) { runtime.RaceRelease(unsafe.Pointer(shared)) }

// raceReleaseMerge adds to the releases before: for what many give.
func raceReleaseMerge[T any](shared *T) { runtime.RaceReleaseMerge(unsafe.Pointer(shared)) }
