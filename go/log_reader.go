package shmkit

// #include <shmkit.h>
import "C"

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// LogRecord is a record of a log.
type LogRecord struct {
	// The record's bytes, where they are in the log: valid until the reader's next call or its Close, or longer with
	// [LogReader.Keep]. They are not to be written; a write stops the program or damages the log.
	Data []byte
	// Where it is in the log.
	Position uint64
	// Where what follows it is: a reader that begins there goes on behind it.
	NextPosition uint64
	// When it was appended, nanoseconds since 1970: time.Unix(0, TimeNs).
	TimeNs int64
	// What its writer called a kind.
	Kind uint32
}

// Time returns when the record was appended.
func (r LogRecord) Time() time.Time { return time.Unix(0, r.TimeNs) }

// LogReader reads a log from a position on. It outlives the log's handle. One goroutine at a time reads with it.
type LogReader struct {
	object
	// Apart, so that the handle's cleanup can release it.
	handle *readerHandle
	// What readers sleep on; nil for a log that was opened for reading only.
	signal *uint32
	// The words belong to the log.
	log *Log
	// Held by who is inside C.
	inside sync.Mutex
}

// A readerHandle is what C knows of a reader; nil inside when it was closed.
type readerHandle struct{ pointer *C.shmkit_log_reader_t }

func (h *readerHandle) free() {
	C.shmkit_log_reader_free(h.pointer)
	h.pointer = nil
}

// A ReadFrom says where a reader begins.
type ReadFrom struct {
	place    C.uint32_t
	position uint64
}

var (
	// FromStart is at the oldest record that is kept.
	FromStart = ReadFrom{place: C.SHMKIT_READ_FROM_START}
	// FromEnd is behind the last record that was claimed: the reader sees what is appended from now on.
	FromEnd = ReadFrom{place: C.SHMKIT_READ_FROM_END}
)

// FromPosition is at a position: of a record, or behind one.
func FromPosition(position uint64) ReadFrom {
	return ReadFrom{place: C.SHMKIT_READ_FROM_POSITION, position: position}
}

// Reader returns a reader that begins at the given place. Close it after use: until then it keeps memory mapped.
//
// Errors: [ErrInvalidArgument] (no record begins at the position), [ErrMissed] (it was removed), [ErrClosed].
func (l *Log) Reader(from ReadFrom) (*LogReader, error) {
	var opened *C.shmkit_log_reader_t
	details := newDetails()
	status := C.shmkit_log_reader_open(l.native(), from.place, C.uint64_t(from.position), &opened, &details)
	runtime.KeepAlive(l)
	if err := failure(status, &details); err != nil {
		return nil, err
	}
	handle := &readerHandle{opened}
	r := &LogReader{log: l, signal: l.words.signal, handle: handle}
	manage(r, &r.object, l.name, l.rest.gate, handle.free)
	r.rest.exposed.Store(true)
	return r, nil
}

// Read returns the next record if it is there, and reports whether it was.
//
// Errors: [ErrMissed] once for each gap that retention made, [ErrCorrupted] once for each place that holds no records: either
// way reading goes on behind it; [ErrClosed], [ErrNotFound].
func (r *LogReader) Read() (LogRecord, bool, error) {
	record, err := r.read(atOnce)
	if kindOf(err) == ErrWouldBlock {
		return LogRecord{}, false, nil
	}
	return record, err == nil, err
}

// Next returns the next record, waiting until it comes or ctx ends. One that is there is returned without a look at ctx. One
// goroutine of the process at a time waits in the kernel for a log, and follows ctx within 15 ms.
//
// Errors: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause), and those of
// [LogReader.Read].
func (r *LogReader) Next(ctx context.Context) (LogRecord, error) {
	record, found, err := r.Read()
	if found || err != nil {
		return record, err
	}
	if r.signal == nil {
		return r.nextBySlices(ctx)
	}
	passed := r.gate.watch(ctx, r.gone, sharedWord{word: r.signal}, func() bool {
		record, found, err = r.Read()
		return found || err != nil
	})
	runtime.KeepAlive(r.log)
	if passed {
		return record, err
	}
	record, err = r.read(0)
	return record, because(ctx, err)
}

// nextBySlices is Next for a reader that cannot leave word that it sleeps.
func (r *LogReader) nextBySlices(ctx context.Context) (LogRecord, error) {
	for {
		slice := nextShortSlice(ctx)
		record, err := r.read(slice)
		if slice == 0 || kindOf(err) != ErrTimeout {
			return record, because(ctx, err)
		}
	}
}

// As a time limit: do not even ask how long.
const atOnce time.Duration = -1

// read reads one record. With a time limit that passes the error is a time-out, with atOnce one of kind ErrWouldBlock.
func (r *LogReader) read(limit time.Duration) (LogRecord, error) {
	r.inside.Lock()
	defer r.inside.Unlock()
	pointer := r.native()
	if pointer == nil {
		return LogRecord{}, r.log.refuse("read log", ErrClosed)
	}
	view := C.shmkit_log_record_t{size: C.sizeof_shmkit_log_record_t}
	details := newDetails()
	var status C.shmkit_status_t
	if limit == atOnce {
		status = C.shmkit_log_reader_next(pointer, &view, &details)
	} else {
		status = C.shmkit_log_reader_next_wait(pointer, timeoutOf(limit), 0, &view, &details)
	}
	runtime.KeepAlive(r)
	if status != C.SHMKIT_OK {
		if status == C.SHMKIT_WOULD_BLOCK {
			return LogRecord{}, wouldBlock
		}
		return LogRecord{}, failure(status, &details)
	}
	raceAcquire(r.gate)
	return LogRecord{
		Data:     unsafe.Slice((*byte)(view.data), int(view.len)),
		Position: uint64(view.position), NextPosition: uint64(view.next_position),
		TimeNs: int64(view.time_ns), Kind: uint32(view.kind),
	}, nil
}

// What read returns when there is nothing yet: nobody outside sees it.
var wouldBlock = &Error{Kind: ErrWouldBlock}

// All returns the records that are there, and ends where the next one has not come yet. After an error other than [ErrMissed]
// and [ErrCorrupted] it ends.
func (r *LogReader) All() iter.Seq2[LogRecord, error] {
	return func(yield func(LogRecord, error) bool) {
		for {
			record, found, err := r.Read()
			if !found && err == nil || !yield(record, err) || !goesOn(err) {
				return
			}
		}
	}
}

// Follow returns the records that are there and that come, until ctx ends, with whose error it ends. After an error other than
// [ErrMissed] and [ErrCorrupted] it ends.
func (r *LogReader) Follow(ctx context.Context) iter.Seq2[LogRecord, error] {
	return func(yield func(LogRecord, error) bool) {
		for {
			record, err := r.Next(ctx)
			if !yield(record, err) || !goesOn(err) {
				return
			}
		}
	}
}

func goesOn(err error) bool {
	switch kindOf(err) {
	case ErrMissed, ErrCorrupted:
		return true
	}
	return err == nil
}

// A LogPin keeps the bytes of a record in place.
type LogPin struct {
	once    sync.Once
	pointer *C.shmkit_log_pin_t
}

// Keep makes the bytes of the record that was read last stay until [LogPin.Release], also when the reader goes on, is closed,
// or retention removes the file.
//
// Errors: [ErrInvalidArgument] when nothing was read yet, [ErrClosed].
func (r *LogReader) Keep() (*LogPin, error) {
	r.inside.Lock()
	defer r.inside.Unlock()
	pointer := r.native()
	if pointer == nil {
		return nil, r.log.refuse("read log", ErrClosed)
	}
	pin := &LogPin{}
	details := newDetails()
	status := C.shmkit_log_reader_keep(pointer, &pin.pointer, &details)
	runtime.KeepAlive(r)
	if err := failure(status, &details); err != nil {
		return nil, err
	}
	return pin, nil
}

// Release gives the record back. Repeating it does nothing.
func (p *LogPin) Release() { p.once.Do(func() { C.shmkit_log_pin_free(p.pointer) }) }

// Seek goes to another place. Errors: those of [Log.Reader].
func (r *LogReader) Seek(from ReadFrom) error {
	r.inside.Lock()
	defer r.inside.Unlock()
	pointer := r.native()
	if pointer == nil {
		return r.log.refuse("read log", ErrClosed)
	}
	details := newDetails()
	status := C.shmkit_log_reader_seek(pointer, from.place, C.uint64_t(from.position), &details)
	runtime.KeepAlive(r)
	return failure(status, &details)
}

// Position returns where the next record will be looked for. A reader that begins there goes on where this one is.
func (r *LogReader) Position() uint64 {
	return r.count(func(p *C.shmkit_log_reader_t) C.uint64_t { return C.shmkit_log_reader_position(p) })
}

// Missed returns how many bytes of the log were removed before this reader came to them.
func (r *LogReader) Missed() uint64 {
	return r.count(func(p *C.shmkit_log_reader_t) C.uint64_t { return C.shmkit_log_reader_missed(p) })
}

// Corrupted returns how many bytes held no records where some should have been.
func (r *LogReader) Corrupted() uint64 {
	return r.count(func(p *C.shmkit_log_reader_t) C.uint64_t { return C.shmkit_log_reader_corrupted(p) })
}

// Skipped returns how many records were skipped because their writers gave them up or died.
func (r *LogReader) Skipped() uint64 {
	return r.count(func(p *C.shmkit_log_reader_t) C.uint64_t { return C.shmkit_log_reader_skipped(p) })
}

func (r *LogReader) count(get func(*C.shmkit_log_reader_t) C.uint64_t) uint64 {
	r.inside.Lock()
	defer r.inside.Unlock()
	count := get(r.native())
	runtime.KeepAlive(r)
	return uint64(count)
}

// Close ends the reader, and with it the bytes of the record that it read last; repeating it does nothing. A goroutine that
// waits in it gets [ErrClosed]. It never fails.
func (r *LogReader) Close() error {
	return r.close(func() error {
		r.inside.Lock()
		defer r.inside.Unlock()
		r.handle.free()
		return nil
	})
}

// native returns the C handle. Whoever uses it keeps r alive until the call has returned.
func (r *LogReader) native() *C.shmkit_log_reader_t {
	pointer := r.handle.pointer
	collectHere()
	return pointer
}
