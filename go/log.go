package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Log is records that any number of processes append at once, in a directory of files. All methods may be called from any
// goroutine.
//
// An append takes no lock and makes no system call, unless the log's durability says that it waits for the disk; it runs in
// Go, on the same words as the other languages use. A writer that is killed leaves a record or none.
type Log struct {
	object
	pointer *C.shmkit_log_t
	words   logWords
	// Apart, so that the handle's cleanup can release the last segment.
	current *atomic.Pointer[logSegment]
	// One goroutine at a time leaves the fast path's segment for another.
	entering sync.Mutex
	// Who waits for the disk.
	flushing gate
	// Failures of flushes that were reported.
	knownFailures atomic.Uint32
}

// A LogOption says how a log is created or opened.
type LogOption func(*C.shmkit_log_options_t)

// WithSegmentLen sets the record bytes of each file, 4 KiB to 1 GiB; a file that is full is left for the next. Without it,
// they are 64 MiB.
func WithSegmentLen(length int) LogOption {
	return func(o *C.shmkit_log_options_t) { o.segment_len = C.uint64_t(length) }
}

// WithMaxRecordLen sets the longest record, in bytes. A record is never split. Without it, it is a quarter of a segment.
func WithMaxRecordLen(length int) LogOption {
	return func(o *C.shmkit_log_options_t) { o.max_record_len = C.uint64_t(length) }
}

// WithMaxAge makes a file whose first record is this old be left for the next, full or not.
func WithMaxAge(age time.Duration) LogOption {
	return func(o *C.shmkit_log_options_t) { o.max_age_ns = C.uint64_t(max(0, age)) }
}

// WithRetainCount keeps so many files and removes the oldest beyond that. Without it, or with 0, all are kept.
func WithRetainCount(segments int) LogOption {
	return func(o *C.shmkit_log_options_t) { o.retain_count = C.uint64_t(segments) }
}

// WithRetainBytes keeps so many record bytes, in whole files, and removes older files. Without it, or with 0, all are kept.
func WithRetainBytes(bytes int64) LogOption {
	return func(o *C.shmkit_log_options_t) { o.retain_bytes = C.uint64_t(bytes) }
}

// WithLogMode sets the permission bits of the files, exactly: the umask does not apply. Without it they are 0600.
func WithLogMode(mode fs.FileMode) LogOption {
	return func(o *C.shmkit_log_options_t) { o.mode = C.uint32_t(mode) }
}

// ReadOnlyLog opens a log for reading only: nothing in it changes.
func ReadOnlyLog() LogOption {
	return func(o *C.shmkit_log_options_t) { o.flags |= C.SHMKIT_LOG_READ_ONLY }
}

// FlushInterval makes a thread of each process that appends flush what is this old.
func FlushInterval(interval time.Duration) LogOption {
	return withDurability(C.SHMKIT_DURABILITY_INTERVAL, C.uint64_t(max(0, interval)))
}

// FlushBytes makes a flush begin when so many bytes were appended since the last one.
func FlushBytes(bytes int) LogOption {
	return withDurability(C.SHMKIT_DURABILITY_BYTES, C.uint64_t(max(0, bytes)))
}

// GroupCommit makes an append return when its record is on the disk. All who wait share a flush, across processes.
func GroupCommit() LogOption { return withDurability(C.SHMKIT_DURABILITY_GROUP, 0) }

// FlushEvery is as [GroupCommit], but each append makes a flush of its own.
func FlushEvery() LogOption { return withDurability(C.SHMKIT_DURABILITY_EVERY, 0) }

func withDurability(policy C.uint32_t, value C.uint64_t) LogOption {
	return func(o *C.shmkit_log_options_t) { o.durability, o.durability_value = policy, value }
}

// CreateLog creates a log in this directory, which is made if it is missing. Without one of [FlushInterval], [FlushBytes],
// [GroupCommit] and [FlushEvery], nobody flushes unless asked to.
//
// Errors: [ErrAlreadyExists], [ErrInvalidArgument], [ErrInvalidName], [ErrNotFound] (the directory's parent), [ErrNoSpace],
// [ErrPermissionDenied].
func CreateLog(directory string, opts ...LogOption) (*Log, error) {
	return openLog("create log", directory, opts,
		func(name *C.char, o *C.shmkit_log_options_t, l **C.shmkit_log_t, e *C.shmkit_error_t) C.shmkit_status_t {
			return C.shmkit_log_create(name, o, l, e)
		})
}

// OpenLog opens the log in this directory, for appending too unless [ReadOnlyLog] is given; other options do not matter. The
// first to open it for appending after the machine was started repairs what a power cut left.
//
// Errors: [ErrNotFound], [ErrPermissionDenied], [ErrWrongKind], [ErrCorrupted], [ErrTooManyAttachments].
func OpenLog(directory string, opts ...LogOption) (*Log, error) {
	return openLog("open log", directory, opts,
		func(name *C.char, o *C.shmkit_log_options_t, l **C.shmkit_log_t, e *C.shmkit_error_t) C.shmkit_status_t {
			return C.shmkit_log_open(name, o, l, e)
		})
}

// OpenOrCreateLog opens the log in this directory, or creates it. Of several at once, one creates and all get its log.
//
// Errors: [ErrParameterMismatch] (it exists with other options), and those of [OpenLog] and [CreateLog].
func OpenOrCreateLog(directory string, opts ...LogOption) (*Log, error) {
	return openLog("open or create log", directory, opts,
		func(name *C.char, o *C.shmkit_log_options_t, l **C.shmkit_log_t, e *C.shmkit_error_t) C.shmkit_status_t {
			return C.shmkit_log_open_or_create(name, o, l, e)
		})
}

func openLog(
	operation, directory string, opts []LogOption,
	open func(*C.char, *C.shmkit_log_options_t, **C.shmkit_log_t, *C.shmkit_error_t) C.shmkit_status_t,
) (*Log, error) {
	options := &C.shmkit_log_options_t{size: C.sizeof_shmkit_log_options_t}
	for _, set := range opts {
		set(options)
	}
	name, err := newCString(operation, directory)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	var pointer *C.shmkit_log_t
	details := newDetails()
	if err := failure(open(name, options, &pointer, &details), &details); err != nil {
		return nil, err
	}
	current := new(atomic.Pointer[logSegment])
	l := &Log{pointer: pointer, current: current, flushing: gate{front: make(chan struct{}, 1)}}
	key := gateKey{name: "log " + directory}
	if options.flags&C.SHMKIT_LOG_READ_ONLY == 0 {
		if err := l.words.load(pointer); err != nil {
			C.shmkit_log_free(pointer)
			return nil, err
		}
		l.knownFailures.Store(atomic.LoadUint32(l.words.failures))
		key = gateKey{word: l.words.signal}
	}
	manage(l, &l.object, directory, key, func() {
		if segment := current.Swap(nil); segment != nil {
			segment.release()
		}
		C.shmkit_log_free(pointer)
	})
	return l, nil
}

// Append appends a record and returns its position. The kind is yours. With [GroupCommit] and [FlushEvery] it is on the disk
// then.
//
// Errors: [ErrRecordTooLarge], [ErrNoSpace] (there is no room for another file; nothing was appended), [ErrClosed],
// [ErrReadOnly], and what the disk reported: with [FlushInterval] and [FlushBytes], once, that earlier records may not have
// reached it (nothing was appended); with [GroupCommit] and [FlushEvery], that this record may not have (it was appended).
func (l *Log) Append(kind uint32, data []byte) (uint64, error) {
	if l.words.durability == C.SHMKIT_DURABILITY_EVERY {
		return l.appendAlone(kind, data)
	}
	ticket, err := l.AppendDeferred(kind, data)
	if err == nil && l.words.durability == C.SHMKIT_DURABILITY_GROUP {
		err = l.settle(ticket)
	}
	return ticket.Position, err
}

// AppendDeferred appends a record without waiting for the disk, whatever the durability. The ticket says when it is there:
// [Log.WaitDurable], [Log.OnDurable], [Log.Durable]. Errors: those of [Log.Append].
func (l *Log) AppendDeferred(kind uint32, data []byte) (Ticket, error) {
	raceRelease(l.gate)
	if ticket, ok := l.appendHere(kind, data); ok {
		return ticket, nil
	}
	return l.appendSlowly(kind, data)
}

// AppendRecord is one record of a batch.
type AppendRecord struct {
	Kind uint32
	Data []byte
}

// AppendBatch appends several records, one behind the other, and returns their positions. Readers see all of them at once; if
// the process is killed, all or none. Together they must not be longer than a record may be. Errors: those of [Log.Append].
func (l *Log) AppendBatch(records []AppendRecord) ([]uint64, error) {
	raceRelease(l.gate)
	if len(records) == 0 {
		return nil, nil
	}
	// C must not be given Go pointers inside of Go memory, unless they stay where they are.
	var pinner runtime.Pinner
	defer pinner.Unpin()
	parts := make([]C.shmkit_log_part_t, len(records))
	for i, record := range records {
		data := unsafe.SliceData(record.Data)
		if len(record.Data) > 0 {
			pinner.Pin(data)
			parts[i].data = unsafe.Pointer(data)
		}
		parts[i].len, parts[i].kind = C.size_t(len(record.Data)), C.uint32_t(record.Kind)
	}
	positions := make([]uint64, len(records))
	details := newDetails()
	status := C.shmkit_log_append_batch(l.native(), &parts[0], C.size_t(len(parts)), (*C.uint64_t)(&positions[0]), &details)
	runtime.KeepAlive(l)
	if err := failure(status, &details); err != nil {
		return nil, err
	}
	return positions, nil
}

// A Reservation is a record that was claimed and is filled in place, from [Log.Reserve].
type Reservation struct {
	log     *Log
	pointer *C.shmkit_log_reservation_t
	settled atomic.Bool
	data    []byte
}

// Reserve claims a record of so many bytes, to be filled in place.
//
// It has its place in the order from now on, so readers that come to it wait: call [Reservation.Commit] or
// [Reservation.Abandon] soon, and in any case; until then the log cannot be closed. Errors: those of [Log.Append].
func (l *Log) Reserve(kind uint32, length int) (*Reservation, error) {
	r := &Reservation{log: l}
	if length < 0 {
		length = math.MaxInt
	}
	var pointer *C.shmkit_log_reservation_t
	var data unsafe.Pointer
	details := newDetails()
	status := C.shmkit_log_reserve(l.native(), C.uint32_t(kind), C.size_t(length), &pointer, &data, &details)
	runtime.KeepAlive(l)
	if err := failure(status, &details); err != nil {
		return nil, err
	}
	r.pointer = pointer
	r.data = unsafe.Slice((*byte)(data), length)
	return r, nil
}

// Bytes returns the record's bytes, zero at first. They must not be used after Commit or Abandon.
func (r *Reservation) Bytes() []byte { return r.data }

// Commit makes a record of the first so many bytes, waits for the disk if the log's durability says so, and returns its
// position. Errors: [ErrOutOfRange] (it was abandoned), [ErrClosed] (it was committed or abandoned before), and what the disk
// reported.
func (r *Reservation) Commit(length int) (uint64, error) {
	raceRelease(r.log.gate)
	if r.settled.Swap(true) {
		return 0, r.log.refuse("commit log record", ErrClosed)
	}
	if length < 0 {
		length = math.MaxInt
	}
	r.data = nil
	details := newDetails()
	var ticket C.shmkit_log_ticket_t
	status := C.shmkit_log_commit_deferred(r.pointer, C.size_t(length), &ticket, &details)
	runtime.KeepAlive(r.log)
	if err := failure(status, &details); err != nil {
		return 0, err
	}
	var err error
	switch r.log.words.durability {
	case C.SHMKIT_DURABILITY_GROUP, C.SHMKIT_DURABILITY_EVERY:
		err = r.log.settle(ticketOf(ticket))
	}
	return uint64(ticket.position), err
}

// Abandon gives the record up: readers skip it. After Commit it does nothing.
func (r *Reservation) Abandon() {
	if !r.settled.Swap(true) {
		r.data = nil
		C.shmkit_log_abandon(r.pointer)
	}
}

// Directory returns the log's directory, as it was opened.
func (l *Log) Directory() string { return l.name }

// Closed reports whether this handle was closed.
func (l *Log) Closed() bool { return l.isClosed() }

// String returns the kind and the directory, for people.
func (l *Log) String() string { return l.describe("Log") }

// Close ends the use of the log through this handle; repeating it does nothing. With [FlushInterval] and [FlushBytes], what was
// appended is flushed first. Readers go on.
//
// Errors: [ErrBusy] while a reservation lives, then nothing has changed; what the last flush reported.
func (l *Log) Close() error {
	return l.close(func() error {
		details := newDetails()
		status := C.shmkit_log_close(l.native(), &details)
		runtime.KeepAlive(l)
		return failure(status, &details)
	})
}

// refuse returns the error for what cannot be tried any more.
func (l *Log) refuse(operation string, kind ErrorKind) error {
	description := C.GoString(C.shmkit_status_description(C.shmkit_status_t(kind)))
	return &Error{
		Kind: kind, Op: operation, Object: l.name, Errno: syscall.EBADF,
		Message: fmt.Sprintf("cannot %s '%s': %s (EBADF); %s", operation, l.name, description, kind.Advice()),
	}
}

// native returns the C handle. Whoever uses it keeps l alive until the call has returned.
func (l *Log) native() *C.shmkit_log_t {
	pointer := l.pointer
	collectHere()
	return pointer
}
