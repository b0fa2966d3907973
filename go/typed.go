//go:build cgo

package shmkit

import (
	"fmt"
	"reflect"
	"syscall"
	"unsafe"
)

// SliceAs shows bytes as values of type T, without a copy: as many as fit in whole. It is for what Bytes and View lend,
// and the result is valid as long as the bytes.
//
// T must mean the same in every process: integers, floats, and arrays and structs of them. A type with pointers, with
// bool (of which not every byte is a value) or with int, uint and uintptr (whose size varies) is refused, and so are bytes
// that are not aligned for T. The user bytes of a region begin on a page.
//
// Errors: [ErrInvalidArgument].
func SliceAs[T any](bytes []byte) ([]T, error) {
	t := reflect.TypeFor[T]()
	if field := unshareable(t); field != nil {
		return nil, refuseView(t, fmt.Sprintf("%v has no fixed form that processes could share", field))
	}
	if t.Size() == 0 {
		return nil, refuseView(t, "it has no bytes")
	}
	start := unsafe.Pointer(unsafe.SliceData(bytes))
	if uintptr(start)%uintptr(t.Align()) != 0 {
		return nil, refuseView(t, fmt.Sprintf("the bytes are not aligned to %d", t.Align()))
	}
	return unsafe.Slice((*T)(start), len(bytes)/int(t.Size())), nil
}

// unshareable returns the part of a type that must not be seen in shared memory, or nil.
func unshareable(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return nil
	case reflect.Array:
		return unshareable(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if part := unshareable(t.Field(i).Type); part != nil {
				return part
			}
		}
		return nil
	}
	return t
}

func refuseView(t reflect.Type, why string) error {
	return &Error{
		Kind:    ErrInvalidArgument,
		Op:      "view bytes",
		Object:  t.String(),
		Errno:   syscall.EINVAL,
		Message: fmt.Sprintf("cannot view bytes as '%v': %s (EINVAL)", t, why),
	}
}
