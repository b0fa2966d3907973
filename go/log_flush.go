package shmkit

// #include <stdint.h>
// #include <shmkit.h>
// extern void shmkitGoDurable(void *context, shmkit_status_t status, shmkit_error_t *error);
// static inline shmkit_status_t on_durable(const shmkit_log_t *log, const shmkit_log_ticket_t *ticket, uintptr_t context,
//                                          shmkit_error_t *error) {
//     return shmkit_log_on_durable(log, ticket, (shmkit_log_callback_t)shmkitGoDurable, (void *)context, error);
// }
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"time"
	"unsafe"
)

// A Ticket is an append whose record may not be on the disk yet.
type Ticket struct {
	// Where the record is.
	Position uint64
	// The number of the flush that carries it to the disk. Means something in this run of the machine.
	Flush uint64
}

func ticketOf(t C.shmkit_log_ticket_t) Ticket { return Ticket{uint64(t.position), uint64(t.flush)} }

func (t Ticket) native() C.shmkit_log_ticket_t {
	return C.shmkit_log_ticket_t{position: C.uint64_t(t.Position), flush: C.uint64_t(t.Flush)}
}

// Ticket returns one for everything that was committed before this call. Errors: [ErrClosed].
func (l *Log) Ticket() (Ticket, error) {
	details := newDetails()
	var ticket C.shmkit_log_ticket_t
	status := C.shmkit_log_ticket(l.native(), &ticket, &details)
	runtime.KeepAlive(l)
	return ticketOf(ticket), failure(status, &details)
}

// Flush carries everything that was committed before this call to the disk, or as much of that as is done when ctx ends.
//
// Errors: those of [Log.WaitDurable].
func (l *Log) Flush(ctx context.Context) error {
	if l.words.me == nil || l.isClosed() { // refused without a wait
		details := newDetails()
		status := C.shmkit_log_flush(l.native(), &details)
		runtime.KeepAlive(l)
		return failure(status, &details)
	}
	ticket, err := l.Ticket()
	if err != nil {
		return err
	}
	return l.WaitDurable(ctx, ticket)
}

// IsDurable reports whether the record of a ticket is on the disk. The error is the one that its flush failed with, or
// [ErrClosed].
func (l *Log) IsDurable(ticket Ticket) (bool, error) {
	details := newDetails()
	var durable C.bool
	t := ticket.native()
	status := C.shmkit_log_is_durable(l.native(), &t, &durable, &details)
	runtime.KeepAlive(l)
	return bool(durable), failure(status, &details)
}

// WaitDurable waits until the record of a ticket is on the disk or ctx ends. If nobody flushes, it does; a flush that has begun
// takes as long as it takes. However many goroutines wait, one of them is in the kernel.
//
// Errors: [ErrTimeout] (ctx's deadline), [ErrInterrupted] (ctx was cancelled; it wraps ctx's cause), [ErrClosed],
// [ErrReadOnly], and what the disk reported.
func (l *Log) WaitDurable(ctx context.Context, ticket Ticket) error {
	if durable, err := l.IsDurable(ticket); durable || err != nil {
		return err
	}
	return l.flushing.wait(ctx, l.gone, func(atMost time.Duration) error {
		return l.orClosed(l.durableWithin(ticket, timeoutOf(atMost)), func() error { return l.durableWithin(ticket, 0) })
	})
}

// settle waits for the disk as the policy of the log says. The record is there, so a handle that is closed meanwhile does not
// end the wait.
func (l *Log) settle(ticket Ticket) error {
	return l.flushing.wait(context.Background(), nil, func(atMost time.Duration) error {
		if durable, err := l.IsDurable(ticket); durable || err != nil {
			return err
		}
		return l.durableWithin(ticket, timeoutOf(atMost))
	})
}

// appendAlone appends a record with a flush of its own, one goroutine at a time.
func (l *Log) appendAlone(kind uint32, data []byte) (position uint64, err error) {
	raceRelease(l.gate)
	err = l.flushing.wait(context.Background(), nil, func(time.Duration) error {
		details := newDetails()
		var at C.uint64_t
		status := C.shmkit_log_append(l.native(), C.uint32_t(kind), unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), &at, &details)
		runtime.KeepAlive(data)
		runtime.KeepAlive(l)
		position = uint64(at)
		return failure(status, &details)
	})
	return position, err
}

func (l *Log) durableWithin(ticket Ticket, timeout C.uint64_t) error {
	details := newDetails()
	t := ticket.native()
	status := C.shmkit_log_wait_durable(l.native(), &t, timeout, 0, &details)
	runtime.KeepAlive(l)
	return failure(status, &details)
}

// OnDurable calls back once, on a goroutine of its own, when the record of a ticket is on the disk, or with the disk's error.
// With [FlushInterval] and [FlushBytes] it waits for the policy's next flush, else it causes one.
//
// Errors, and then nothing is called: [ErrClosed], [ErrReadOnly].
func (l *Log) OnDurable(ticket Ticket, callback func(error)) error {
	handle := cgo.NewHandle(callback)
	details := newDetails()
	t := ticket.native()
	status := C.on_durable(l.native(), &t, C.uintptr_t(handle), &details)
	runtime.KeepAlive(l)
	err := failure(status, &details)
	if err != nil {
		handle.Delete()
	}
	return err
}

// Durable returns a channel that gives nil when the record of a ticket is on the disk, or the error why it is not.
func (l *Log) Durable(ticket Ticket) <-chan error {
	told := make(chan error, 1)
	if err := l.OnDurable(ticket, func(err error) { told <- err }); err != nil {
		told <- err
	}
	return told
}
