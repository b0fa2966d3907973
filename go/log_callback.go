package shmkit

// #include <shmkit.h>
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// shmkitGoDurable is what the library calls for [Log.OnDurable]. It must be short, so the callback gets a goroutine.
//
//export shmkitGoDurable
func shmkitGoDurable(context unsafe.Pointer, status C.shmkit_status_t, details *C.shmkit_error_t) {
	handle := cgo.Handle(uintptr(context))
	callback := handle.Value().(func(error))
	handle.Delete()
	var err error
	if status != C.SHMKIT_OK {
		err = newError(status, details)
	}
	go callback(err)
}
