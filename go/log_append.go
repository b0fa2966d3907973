package shmkit

// #include <shmkit.h>
import "C"

import (
	"hash/crc32"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// This file appends in Go what shmkit_log_append would append in C: claim, fill, commit. Its steps are those of the header's
// shmkit_log_words_t; whatever is not the usual case goes to C.

// The logWords are a log's shared words, which belong to the library, and its parameters.
type logWords struct {
	tail, syncedTo, started *uint64
	signal, failures, me    *uint32
	maxRecordLen            int
	maxAge                  int64
	durability              C.uint32_t
	durabilityValue         uint64
}

func (w *logWords) load(log *C.shmkit_log_t) error {
	view := C.shmkit_log_words_t{size: C.sizeof_shmkit_log_words_t}
	details := newDetails()
	if err := failure(C.shmkit_log_words(log, &view, &details), &details); err != nil {
		return err
	}
	*w = logWords{
		tail: (*uint64)(view.tail), syncedTo: (*uint64)(view.synced_to), started: (*uint64)(view.started),
		signal: (*uint32)(view.signal), failures: (*uint32)(view.failures), me: (*uint32)(view.me),
		maxRecordLen: int(view.max_record_len), maxAge: int64(view.max_age_ns),
		durability: view.durability, durabilityValue: uint64(view.durability_value),
	}
	return nil
}

// A logSegment is a segment that is kept mapped while somebody uses it.
type logSegment struct {
	handle  *C.shmkit_log_segment_t
	base    uint64
	length  uint64
	records unsafe.Pointer
	firstNs *uint64
	damage  damageWord
	// Pages before it were faulted in.
	touched atomic.Uint64
	// Where the last claim through this handle ended, or an earlier one.
	claimed atomic.Uint64
	// One for each append under way, and one more while it is the current one. Who could still come in when it is 0 finds that
	// it is not the current one any more, so only the first 0 counts.
	users atomic.Int64
	freed atomic.Bool
	free  func()
}

// hold returns the segment to append to, held, or nil.
func (l *Log) hold() *logSegment {
	segment := l.current.Load()
	if segment == nil {
		return nil
	}
	segment.users.Add(1)
	if l.current.Load() != segment {
		segment.release()
		return nil
	}
	return segment
}

// release ends a hold, or being the current one.
func (s *logSegment) release() {
	if s.users.Add(-1) == 0 && !s.freed.Swap(true) {
		s.free()
	}
}

// logSpan returns the bytes of a record, with its header and up to the next one.
func logSpan(length uint64) uint64 {
	const mask = C.SHMKIT_LOG_RECORD_ALIGN - 1
	return (C.SHMKIT_LOG_RECORD_HEADER_SIZE + length + mask) &^ mask
}

// appendHere appends a record without a call into C, if nothing unusual is in the way. Nothing was done when it reports false.
func (l *Log) appendHere(kind uint32, data []byte) (Ticket, bool) {
	w := &l.words
	if w.me == nil || l.closed.Load() || len(data) > w.maxRecordLen {
		return Ticket{}, false
	}
	if atomic.LoadUint32(w.failures) != l.knownFailures.Load() {
		return Ticket{}, false
	}
	segment := l.hold()
	if segment == nil {
		return Ticket{}, false
	}
	defer segment.release()
	if isDamaged(segment.damage) {
		return Ticket{}, false
	}
	collectHere()
	me := uint64(atomic.LoadUint32(w.me))
	claim := (me|C.SHMKIT_LOG_CLAIMED)<<C.SHMKIT_LOG_STATE_SHIFT | uint64(len(data))
	if me == 0 {
		return Ticket{}, false
	}
	now := stampNs()
	word, offset := l.claim(segment, claim, uint64(len(data)), now)
	if word == nil {
		return Ticket{}, false
	}
	position := segment.base + offset
	record := unsafe.Add(segment.records, offset)
	payload := unsafe.Slice((*byte)(unsafe.Add(record, C.SHMKIT_LOG_RECORD_HEADER_SIZE)), len(data))
	copy(payload, data)
	checksum := crc32.Update(logChecksum(uint32(len(data)), kind, uint64(now), position), castagnoli, payload)
	*(*uint64)(unsafe.Add(record, 8)) = uint64(checksum) | uint64(kind)<<32
	*(*uint64)(unsafe.Add(record, 16)) = uint64(now)
	if isDamaged(segment.damage) {
		return Ticket{}, false // C finds out what is wrong, and says so
	}
	committed := uint64(C.SHMKIT_LOG_COMMITTED)<<C.SHMKIT_LOG_STATE_SHIFT | uint64(len(data))
	// Nobody but us settles a claim while this process lives and is attached, and the handle keeps it attached.
	atomic.CompareAndSwapUint64(word, claim, committed)
	// Drawn before the policy may cause a flush: that one is to carry it.
	ticket := Ticket{position, atomic.LoadUint64(w.started) + 1}
	l.afterCommit(position + logSpan(uint64(len(data))))
	runtime.KeepAlive(l)
	return ticket, true
}

// claim takes room for a record in a segment. It returns nil if there is none, or something that C has to look at.
func (l *Log) claim(s *logSegment, claim, length uint64, now int64) (*uint64, uint64) {
	tail, need := l.words.tail, logSpan(length)
	seenTail := atomic.LoadUint64(tail)
	at, wait := s.likelyEnd(seenTail), logBackoff(seenTail)
	for {
		offset := at - s.base
		if offset >= s.length || need > s.length-offset || offset%C.SHMKIT_LOG_RECORD_ALIGN != 0 {
			return nil, 0
		}
		if l.words.maxAge != 0 && offset != 0 {
			first := int64(atomic.LoadUint64(s.firstNs))
			if first == 0 || first > now || now-first >= l.words.maxAge {
				return nil, 0
			}
		}
		word := (*uint64)(unsafe.Add(s.records, offset))
		if atomic.LoadUint64(word) == 0 {
			s.touch(offset, offset+need)
			if atomic.CompareAndSwapUint64(word, 0, claim) {
				s.claimed.Store(offset + need)
				l.pullTail(s, seenTail, at+need)
				if offset == 0 {
					atomic.StoreUint64(s.firstNs, uint64(now))
				}
				return word, offset
			}
			wait.lose(s, at)
		}
		span := spanOfWord(atomic.LoadUint64(word))
		if span == 0 || span > s.length-offset {
			return nil, 0
		}
		at += span
		l.pullTail(s, atomic.LoadUint64(tail), at)
		wait.met(s, at)
		seenTail = atomic.LoadUint64(tail)
		at = max(at, seenTail)
	}
}

// likelyEnd returns where to look for the end of the log, if its tail is in this segment.
func (s *logSegment) likelyEnd(tail uint64) uint64 {
	if claimed := s.claimed.Load(); claimed < s.length {
		return max(tail, s.base+claimed)
	}
	return tail
}

// touch has the kernel make pages ready up to this offset, unless that was done.
func (s *logSegment) touch(offset, end uint64) {
	if end > s.touched.Load() {
		s.touched.Store(uint64(C.shmkit_log_segment_touch(s.handle, C.uint64_t(offset), C.uint64_t(end))))
	}
}

// pullTail moves the tail to the end of a claim, unless it is near.
func (l *Log) pullTail(s *logSegment, seen, end uint64) {
	for seen < end && (end-seen >= C.SHMKIT_LOG_TAIL_LAG || end >= s.base+s.length) {
		if atomic.CompareAndSwapUint64(l.words.tail, seen, end) {
			return
		}
		seen = atomic.LoadUint64(l.words.tail)
	}
}

// A logWait is what an append does that has met another writer: it stays away for as long as some dozen appends take, since
// the words that both want cost more to hand over than an append. Meanwhile it has pages made ready for both.
type logWait struct {
	// Claims before this position may be old; behind it they were made since the append began.
	since uint64
	time  time.Duration
}

const (
	logWaitFirst   = 1500 * time.Nanosecond
	logWaitLongest = 12 * time.Microsecond
	logWaitAhead   = 1 << 20
)

func logBackoff(tail uint64) logWait {
	return logWait{tail + C.SHMKIT_LOG_TAIL_LAG, logWaitFirst}
}

// met hears that somebody has claimed what lies before end.
func (w *logWait) met(s *logSegment, end uint64) {
	if end > w.since {
		w.lose(s, end)
	}
}

// lose waits: somebody was faster.
func (w *logWait) lose(s *logSegment, end uint64) {
	start := time.Now()
	if offset := end - s.base; offset < s.length {
		s.touch(offset, min(offset+logWaitAhead, s.length))
	}
	for time.Since(start) < w.time {
	}
	w.time = min(2*w.time, logWaitLongest)
	w.since = end + C.SHMKIT_LOG_TAIL_LAG
}

// spanOfWord returns how many bytes a record's word covers; 0 when it says nothing that this file knows.
func spanOfWord(word uint64) uint64 {
	length := uint64(uint32(word))
	switch word >> C.SHMKIT_LOG_STATE_SHIFT & 7 {
	case C.SHMKIT_LOG_CLAIMED, C.SHMKIT_LOG_COMMITTED, C.SHMKIT_LOG_ABANDONED, C.SHMKIT_LOG_DEAD:
		return logSpan(length)
	}
	return 0
}

// afterCommit wakes readers that sleep, and begins a flush when the policy asks for one for a record that ends here.
func (l *Log) afterCommit(end uint64) {
	w := &l.words
	due := atomic.LoadUint32(w.signal)&C.SHMKIT_WORD_WAITERS != 0
	if w.durability == C.SHMKIT_DURABILITY_BYTES {
		synced := atomic.LoadUint64(w.syncedTo)
		due = due || end > synced && end-synced >= w.durabilityValue
	}
	if due {
		C.shmkit_log_after_commit(l.pointer)
	}
}

// appendSlowly appends a record through C, and goes to the segment that it went to.
func (l *Log) appendSlowly(kind uint32, data []byte) (Ticket, error) {
	details := newDetails()
	var ticket C.shmkit_log_ticket_t
	from := unsafe.Pointer(unsafe.SliceData(data))
	status := C.shmkit_log_append_deferred(l.native(), C.uint32_t(kind), from, C.size_t(len(data)), &ticket, &details)
	runtime.KeepAlive(data)
	runtime.KeepAlive(l)
	if l.words.failures != nil {
		l.knownFailures.Store(atomic.LoadUint32(l.words.failures))
	}
	if err := failure(status, &details); err != nil {
		return Ticket{}, err
	}
	l.follow(uint64(ticket.position))
	return ticketOf(ticket), nil
}

// follow makes the segment that C appends to the one of the fast path, unless it is already.
func (l *Log) follow(position uint64) {
	if current := l.current.Load(); current != nil && position-current.base < current.length {
		return
	}
	if !l.entering.TryLock() {
		return // somebody else does it
	}
	defer l.entering.Unlock()
	view := C.shmkit_log_segment_view_t{size: C.sizeof_shmkit_log_segment_view_t}
	details := newDetails()
	var handle *C.shmkit_log_segment_t
	status := C.shmkit_log_segment_current(l.native(), &handle, &view, &details)
	runtime.KeepAlive(l)
	if status != C.SHMKIT_OK {
		return // the next append goes through C too
	}
	segment := &logSegment{
		handle: handle, base: uint64(view.base), length: uint64(view.len),
		records: view.records, firstNs: (*uint64)(view.first_ns), damage: damageWord(unsafe.Pointer(view.damage)),
		free: func() { C.shmkit_log_segment_free(handle) },
	}
	segment.users.Store(1)
	if before := l.current.Swap(segment); before != nil {
		before.release()
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Tables for eight bytes at a time: the checksum of a record's header is too short for the instruction's set-up, and a
// slice of it would escape to the heap.
var castagnoli8 = func() (tables [8][256]uint32) {
	tables[0] = *castagnoli
	for i := range 256 {
		for k := 1; k < 8; k++ {
			before := tables[k-1][i]
			tables[k][i] = tables[0][before&0xff] ^ before>>8
		}
	}
	return tables
}()

// logChecksum returns the checksum of what identifies a record; the payload's follows it.
func logChecksum(length, kind uint32, time, position uint64) uint32 {
	crc := ^uint32(0)
	crc = step8(crc, uint64(length)|uint64(kind)<<32)
	crc = step8(crc, time)
	crc = step8(crc, position)
	return ^crc
}

// step8 takes the bytes of a word in the order of a little-endian machine, which all platforms of this package are.
func step8(crc uint32, word uint64) uint32 {
	word ^= uint64(crc)
	t := &castagnoli8
	return t[7][byte(word)] ^ t[6][byte(word>>8)] ^ t[5][byte(word>>16)] ^ t[4][byte(word>>24)] ^
		t[3][byte(word>>32)] ^ t[2][byte(word>>40)] ^ t[1][byte(word>>48)] ^ t[0][byte(word>>56)]
}
