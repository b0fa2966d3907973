package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"
)

// Value is a number or a small struct in a region that processes read and write whole: no reader sees a half of one write and
// a half of another, and a writer that is killed leaves the value as it was. It stays usable when the [Region] it was opened
// from is closed. All methods may be called from any goroutine.
//
// T is what [SliceAs] allows: integers, floats, and arrays and structs of them. Other languages must say that it is made of the
// same.
type Value[T any] struct {
	object
	valueWords
	pointer *C.shmkit_value_t
}

// OpenValue returns the value of this name, creating it with initial when it is missing.
//
// Errors: [ErrInvalidArgument] (a T that cannot be shared), [ErrParameterMismatch] (it is made of other types),
// [ErrWrongKind] (the name is another object's), [ErrInvalidName], [ErrNoSpace] (no room for named objects left),
// [ErrReadOnly], [ErrClosed].
func OpenValue[T any](r *Region, name string, initial T) (*Value[T], error) {
	t := reflect.TypeFor[T]()
	if field := unshareable(t); field != nil {
		return nil, refuseView(t, fmt.Sprintf("%v has no fixed form that processes could share", field))
	}
	format := C.CString("=" + formatOf(t))
	defer C.free(unsafe.Pointer(format))
	v := &Value[T]{}
	words := C.shmkit_value_words_t{size: C.sizeof_shmkit_value_words_t}
	err := r.withName("open value", name, func(name *C.char, details *C.shmkit_error_t) C.shmkit_status_t {
		from := unsafe.Pointer(&initial)
		status := C.shmkit_value_open(r.native(), name, C.size_t(t.Size()), format, from, &v.pointer, details)
		if status != C.SHMKIT_OK {
			return status
		}
		return C.shmkit_value_words(v.pointer, &words, details)
	})
	pointer := v.pointer
	if err != nil {
		C.shmkit_value_free(pointer)
		return nil, err
	}
	v.valueWords.fill(&words)
	v.damage = r.damage
	manage(v, &v.object, name, r.meetingPoint("value", name), func() { C.shmkit_value_free(pointer) })
	return v, nil
}

// formatOf says what a type is made of, as Python's struct module writes it, with the padding spelt out.
func formatOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Array:
		return strings.Repeat(formatOf(t.Elem()), t.Len())
	case reflect.Struct:
		var text strings.Builder
		end := uintptr(0)
		for i := range t.NumField() {
			field := t.Field(i)
			text.WriteString(strings.Repeat("x", int(field.Offset-end)))
			text.WriteString(formatOf(field.Type))
			end = field.Offset + field.Type.Size()
		}
		text.WriteString(strings.Repeat("x", int(t.Size()-end)))
		return text.String()
	}
	return map[reflect.Kind]string{
		reflect.Int8: "b", reflect.Int16: "h", reflect.Int32: "i", reflect.Int64: "q",
		reflect.Uint8: "B", reflect.Uint16: "H", reflect.Uint32: "I", reflect.Uint64: "Q",
		reflect.Float32: "f", reflect.Float64: "d", reflect.Complex64: "ff", reflect.Complex128: "dd",
	}[t.Kind()]
}

// Load returns the value, as it was at one moment. It waits for nobody, and costs no call into C unless writers overtake it all
// the time. Errors: [ErrClosed].
func (v *Value[T]) Load() (T, error) {
	value, _, err := v.load()
	return value, err
}

// Store replaces the value. One of at most 8 bytes costs no call into C.
//
// Errors: [ErrClosed], [ErrTimeout] (of a value of more than 8 bytes, another writer has been stopped in the middle for 10 s).
func (v *Value[T]) Store(value T) error {
	raceRelease(v.gate)
	if v.isOneWord() && v.isQuick() {
		words := v.copies
		collectHere()
		atomic.StoreUint64(&words[0], wordOf(unsafe.Pointer(&value), unsafe.Sizeof(value)))
		quick := v.isQuick()
		runtime.KeepAlive(v)
		if quick {
			return nil
		}
	}
	details := newDetails()
	from, size := unsafe.Pointer(&value), C.size_t(unsafe.Sizeof(value))
	status := C.shmkit_value_store(v.native(), from, size, &details)
	runtime.KeepAlive(v)
	return failure(status, &details)
}

// Update replaces the value by what change makes of it, and returns that. change runs again when another writer was faster.
// Errors: as [Value.Store].
func (v *Value[T]) Update(change func(T) T) (T, error) {
	for {
		before, version, err := v.load()
		if err != nil {
			return before, err
		}
		after := change(before)
		raceRelease(v.gate)
		details := newDetails()
		from, size := unsafe.Pointer(&after), C.size_t(unsafe.Sizeof(after))
		status := C.shmkit_value_store_if(v.native(), version, from, size, &details)
		runtime.KeepAlive(v)
		if stored, err := tried(status, &details); stored || err != nil {
			return after, err
		}
	}
}

// isQuick reports whether the words may be used without a call: the handle is open, the process attached, nothing lost.
func (v *Value[T]) isQuick() bool {
	return !v.closed.Load() && !isDamaged(v.damage) && atomic.LoadUint32(v.me) != 0
}

func (v *Value[T]) load() (value T, version C.uint64_t, err error) {
	if v.isQuick() {
		words := v.valueWords
		collectHere()
		seen, whole := words.copyOut(unsafe.Pointer(&value), unsafe.Sizeof(value))
		// What was read of a handle that was closed meanwhile, or in a page that the file has lost, is no value.
		quick := v.isQuick()
		runtime.KeepAlive(v)
		if whole && quick {
			raceAcquire(v.gate)
			return value, C.uint64_t(seen), nil
		}
	}
	details := newDetails()
	into, size := unsafe.Pointer(&value), C.size_t(unsafe.Sizeof(value))
	status := C.shmkit_value_load(v.native(), into, size, &version, &details)
	runtime.KeepAlive(v)
	raceAcquire(v.gate)
	return value, version, failure(status, &details)
}

// Format returns what the value is made of, as Python's struct module writes it, in the form that all languages share.
func (v *Value[T]) Format() string {
	format := C.GoString(C.shmkit_value_format(v.native()))
	runtime.KeepAlive(v)
	return format
}

// Name returns the name in its region.
func (v *Value[T]) Name() string { return v.name }

// Closed reports whether this handle was closed.
func (v *Value[T]) Closed() bool { return v.isClosed() }

// String returns the kind and name, for people.
func (v *Value[T]) String() string { return v.describe("Value") }

// Close ends the use of the value through this handle; repeating it does nothing.
func (v *Value[T]) Close() error {
	return v.close(func() error {
		details := newDetails()
		status := C.shmkit_value_close(v.native(), &details)
		runtime.KeepAlive(v)
		return failure(status, &details)
	})
}

// native returns the C handle. Whoever uses it keeps v alive until the call has returned.
func (v *Value[T]) native() *C.shmkit_value_t {
	pointer := v.pointer
	collectHere()
	return pointer
}
