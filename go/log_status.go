package shmkit

// #include <shmkit.h>
import "C"

import (
	"runtime"
	"syscall"
	"time"
)

// LogStatus is a log's parameters and counters. Each was true at some instant while it was asked for.
type LogStatus struct {
	// The oldest position that is kept, where the next record will be, and up to where everything is on the disk.
	Start, End, FlushedTo uint64
	// Record bytes of a file, and the longest record.
	SegmentLen, MaxRecordLen uint64
	// A file is left when its first record is this old; 0: never for that reason.
	MaxAge time.Duration
	// Files and record bytes that are kept; 0: all.
	RetainCount, RetainBytes uint64
	// Living processes that are attached.
	Attached int
	// Files that are there, and that retention has removed.
	Segments, RemovedSegments uint64
	// Records whose writers died before they were complete, and that were reserved and given up.
	Dead, Abandoned uint64
	// Places that power cuts left incomplete, and their bytes.
	Cuts, CutBytes uint64
	// How often the log was made ready after a start of the machine.
	Recoveries uint64
	// Flushes that ended, and that failed.
	Flushes       uint64
	FlushFailures uint32
	// What the last one that failed reported; 0: none did.
	FlushErrno syscall.Errno
}

// Status returns parameters and counters. It changes nothing and waits for nobody.
func (l *Log) Status() (LogStatus, error) {
	seen := C.shmkit_log_status_t{size: C.sizeof_shmkit_log_status_t}
	details := newDetails()
	status := C.shmkit_log_status(l.native(), &seen, &details)
	runtime.KeepAlive(l)
	return LogStatus{
		Start: uint64(seen.start), End: uint64(seen.end), FlushedTo: uint64(seen.flushed_to),
		SegmentLen: uint64(seen.segment_len), MaxRecordLen: uint64(seen.max_record_len),
		MaxAge:      time.Duration(seen.max_age_ns),
		RetainCount: uint64(seen.retain_count), RetainBytes: uint64(seen.retain_bytes),
		Attached: int(seen.attached), Segments: uint64(seen.segments), RemovedSegments: uint64(seen.removed_segments),
		Dead: uint64(seen.dead), Abandoned: uint64(seen.abandoned), Cuts: uint64(seen.cuts), CutBytes: uint64(seen.cut_bytes),
		Recoveries: uint64(seen.recoveries), Flushes: uint64(seen.flushes),
		FlushFailures: uint32(seen.flush_failures), FlushErrno: syscall.Errno(seen.flush_errno),
	}, failure(status, &details)
}

// LogVerified is what a look at every byte of a log found.
type LogVerified struct {
	// Good records, and their bytes.
	Records, PayloadBytes uint64
	// Records whose writers died before they were complete, that were given up, and that are being written.
	Dead, Abandoned, Claimed uint64
	// Bytes that fill the ends of files and of records that were made shorter.
	FillBytes uint64
	// Places that power cuts left incomplete, and their bytes.
	Cuts, CutBytes uint64
	// Places that hold no records where some should be, and their bytes.
	Corruptions, CorruptedBytes uint64
	// Bytes of files that are missing. Those that retention removes meanwhile are not.
	MissedBytes uint64
	// Where it ended.
	End uint64
}

// Verify looks at every byte that is kept, which takes as long as reading the log. Errors: [ErrClosed].
func (l *Log) Verify() (LogVerified, error) {
	seen := C.shmkit_log_verified_t{size: C.sizeof_shmkit_log_verified_t}
	details := newDetails()
	status := C.shmkit_log_verify(l.native(), &seen, &details)
	runtime.KeepAlive(l)
	return LogVerified{
		Records: uint64(seen.records), PayloadBytes: uint64(seen.payload_bytes),
		Dead: uint64(seen.dead), Abandoned: uint64(seen.abandoned), Claimed: uint64(seen.claimed),
		FillBytes: uint64(seen.fill_bytes), Cuts: uint64(seen.cuts), CutBytes: uint64(seen.cut_bytes),
		Corruptions: uint64(seen.corruptions), CorruptedBytes: uint64(seen.corrupted_bytes),
		MissedBytes: uint64(seen.missed_bytes), End: uint64(seen.end),
	}, failure(status, &details)
}
