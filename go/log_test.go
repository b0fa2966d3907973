package shmkit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

func init() {
	children["appendLines"] = appendLines
	children["claimAndStay"] = claimAndStay
}

// newLog creates a log in a fresh directory and closes it when the test ends.
func newLog(t testing.TB, opts ...shmkit.LogOption) *shmkit.Log {
	t.Helper()
	opts = append([]shmkit.LogOption{shmkit.WithSegmentLen(1 << 16)}, opts...)
	log, err := shmkit.CreateLog(filepath.Join(t.TempDir(), "log"), opts...)
	succeed(t, err)
	t.Cleanup(func() { succeed(t, log.Close()) })
	return log
}

func newReader(t testing.TB, log *shmkit.Log, from shmkit.ReadFrom) *shmkit.LogReader {
	t.Helper()
	reader, err := log.Reader(from)
	succeed(t, err)
	t.Cleanup(func() { succeed(t, reader.Close()) })
	return reader
}

func appendText(t testing.TB, log *shmkit.Log, text string) uint64 {
	t.Helper()
	position, err := log.Append(1, []byte(text))
	succeed(t, err)
	return position
}

// textsOf returns all records that are there.
func textsOf(t testing.TB, log *shmkit.Log) (texts []string) {
	t.Helper()
	for record, err := range newReader(t, log, shmkit.FromStart).All() {
		succeed(t, err)
		texts = append(texts, string(record.Data))
	}
	return texts
}

func TestLogRecordsComeBackInOrder(t *testing.T) {
	log := newLog(t)
	before := time.Now()
	var positions []uint64
	// The first goes through C, the others do not.
	for n := range 1000 {
		position, err := log.Append(uint32(n), bytes.Repeat([]byte{byte(n)}, n%300))
		succeed(t, err)
		positions = append(positions, position)
	}
	reader, n := newReader(t, log, shmkit.FromStart), 0
	for record, err := range reader.All() {
		succeed(t, err)
		if record.Kind != uint32(n) || !bytes.Equal(record.Data, bytes.Repeat([]byte{byte(n)}, n%300)) {
			t.Fatalf("record %d: kind %d, %d bytes", n, record.Kind, len(record.Data))
		}
		if record.Position != positions[n] || record.Time().Before(before.Add(-time.Second)) || record.Time().After(time.Now()) {
			t.Fatalf("record %d at %d, %v", n, record.Position, record.Time())
		}
		n++
	}
	if n != 1000 || reader.Missed() != 0 || reader.Corrupted() != 0 || reader.Skipped() != 0 {
		t.Fatal(n, "records")
	}
	verified, err := log.Verify()
	succeed(t, err)
	status, err := log.Status()
	succeed(t, err)
	if verified.Records != 1000 || verified.Corruptions != 0 || status.Segments < 2 || status.Attached != 1 {
		t.Fatalf("%+v %+v", verified, status)
	}
}

func TestLogBatchComesAsOne(t *testing.T) {
	log := newLog(t)
	positions, err := log.AppendBatch([]shmkit.AppendRecord{{1, []byte("a")}, {2, nil}, {3, []byte("ccc")}})
	succeed(t, err)
	none, err := log.AppendBatch(nil)
	succeed(t, err)
	if len(none) != 0 {
		t.Fatal(none)
	}
	n := 0
	for record, err := range newReader(t, log, shmkit.FromStart).All() {
		succeed(t, err)
		if record.Position != positions[n] || record.Kind != uint32(n+1) {
			t.Fatal(record)
		}
		n++
	}
	if n != 3 {
		t.Fatal(n)
	}
	_, err = log.AppendBatch([]shmkit.AppendRecord{{1, make([]byte, 16000)}, {1, make([]byte, 16000)}})
	expect(t, err, shmkit.ErrRecordTooLarge)
}

func TestLogRecordIsFilledInPlace(t *testing.T) {
	log := newLog(t)
	reservation, err := log.Reserve(5, 100)
	succeed(t, err)
	copy(reservation.Bytes(), "in place")
	appendText(t, log, "behind")
	if found := textsOf(t, log); found != nil {
		t.Fatalf("a reader passed a claim: %v", found)
	}
	expect(t, log.Close(), shmkit.ErrBusy)
	_, err = reservation.Commit(8)
	succeed(t, err)
	_, err = reservation.Commit(8)
	expect(t, err, shmkit.ErrClosed)
	given, err := log.Reserve(5, 10)
	succeed(t, err)
	given.Abandon()
	given.Abandon()
	tooLong, err := log.Reserve(5, 10)
	succeed(t, err)
	_, err = tooLong.Commit(11)
	expect(t, err, shmkit.ErrOutOfRange)
	_, err = log.Reserve(5, -1)
	expect(t, err, shmkit.ErrRecordTooLarge)
	empty, err := log.Reserve(6, 0)
	succeed(t, err)
	_, err = empty.Commit(0)
	succeed(t, err)
	if found := textsOf(t, log); fmt.Sprint(found) != "[in place behind ]" {
		t.Fatal(found)
	}
	if status, err := log.Status(); err != nil || status.Abandoned != 2 {
		t.Fatal(status, err)
	}
}

func TestLogReadersBeginWhereTheyAreTold(t *testing.T) {
	log := newLog(t)
	first, second := appendText(t, log, "one"), appendText(t, log, "two")
	end := newReader(t, log, shmkit.FromEnd)
	if _, found, err := end.Read(); found || err != nil {
		t.Fatal(found, err)
	}
	_, err := end.Keep()
	expect(t, err, shmkit.ErrInvalidArgument)
	third := appendText(t, log, "three")
	if record, found, err := end.Read(); !found || err != nil || record.Position != third {
		t.Fatal(record, found, err)
	}
	succeed(t, end.Seek(shmkit.FromPosition(second)))
	if record, err := end.Next(context.Background()); err != nil || record.Position != second || end.Position() != third {
		t.Fatal(record, err)
	}
	expect(t, end.Seek(shmkit.FromPosition(first+8)), shmkit.ErrInvalidArgument)
	_, err = log.Reader(shmkit.FromPosition(1 << 40))
	expect(t, err, shmkit.ErrInvalidArgument)
	succeed(t, end.Close())
	_, _, err = end.Read()
	expect(t, err, shmkit.ErrClosed)
	expect(t, end.Seek(shmkit.FromStart), shmkit.ErrClosed)
}

func TestLogTellsWhatWasMissedAndKeepsWhatIsHeld(t *testing.T) {
	log := newLog(t, shmkit.WithSegmentLen(4096), shmkit.WithRetainCount(1))
	appendText(t, log, "the first")
	reader := newReader(t, log, shmkit.FromStart)
	kept, err := reader.Next(context.Background())
	succeed(t, err)
	pin, err := reader.Keep()
	succeed(t, err)
	for range 40 {
		_, err := log.Append(0, make([]byte, 500))
		succeed(t, err)
	}
	missed := 0
	for _, err := range reader.All() {
		if err != nil {
			expect(t, err, shmkit.ErrMissed)
			missed++
		}
	}
	if missed != 1 || reader.Missed() == 0 {
		t.Fatal(missed)
	}
	succeed(t, reader.Close())
	if string(kept.Data) != "the first" {
		t.Fatalf("%q", kept.Data)
	}
	pin.Release()
	pin.Release()
	// Segments that the fast path has left are not kept mapped.
	eventually(t, "old segments are unmapped", func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		succeed(t, err)
		return strings.Count(string(maps), log.Directory()+"/segment-") <= 2
	})
}

func TestLogReaderFollowsAnotherProcess(t *testing.T) {
	log := newLog(t)
	reader := newReader(t, log, shmkit.FromEnd)
	child := startChild(t, "appendLines", log.Directory())
	n := 0
	for record, err := range reader.Follow(within(t, 20*time.Second)) {
		succeed(t, err)
		if string(record.Data) != fmt.Sprint("line ", n) || record.Kind != 7 {
			t.Fatalf("%q", record.Data)
		}
		if n++; n == 2000 {
			break
		}
	}
	child.command.Wait()
}

func appendLines(directory string) error {
	log, err := shmkit.OpenLog(directory)
	if err != nil {
		return err
	}
	for n := range 2000 {
		if _, err := log.Append(7, fmt.Append(nil, "line ", n)); err != nil {
			return err
		}
	}
	return log.Close()
}

func within(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestLogStepsOverTheClaimOfAKilledWriter(t *testing.T) {
	log := newLog(t)
	child := startChild(t, "claimAndStay", log.Directory())
	if line := child.line(t); line != "claimed" {
		t.Fatal(line)
	}
	reader := newReader(t, log, shmkit.FromStart)
	_, err := reader.Next(within(t, 50*time.Millisecond))
	expect(t, err, shmkit.ErrTimeout)
	child.kill()
	record, err := reader.Next(within(t, 20*time.Second))
	succeed(t, err)
	if string(record.Data) != "behind" || reader.Skipped() != 1 {
		t.Fatalf("%q, %d skipped", record.Data, reader.Skipped())
	}
	// And a writer in Go goes over what a dead one left, in the same segment.
	appendText(t, log, "after")
	if record, found, err := reader.Read(); !found || err != nil || string(record.Data) != "after" {
		t.Fatal(record, found, err)
	}
}

func claimAndStay(directory string) error {
	log, err := shmkit.OpenLog(directory)
	if err != nil {
		return err
	}
	if _, err := log.Reserve(1, 64); err != nil {
		return err
	}
	if _, err := log.Append(2, []byte("behind")); err != nil {
		return err
	}
	fmt.Println("claimed")
	waitForInput()
	return nil
}

func TestLogNextFollowsItsContext(t *testing.T) {
	log := newLog(t)
	reader := newReader(t, log, shmkit.FromStart)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	_, err := reader.Next(ctx)
	expect(t, err, shmkit.ErrInterrupted)
	if !errors.Is(err, why) {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { reader.Close() })
	_, err = reader.Next(context.Background())
	expect(t, err, shmkit.ErrClosed)

	readOnly, err := shmkit.OpenLog(log.Directory(), shmkit.ReadOnlyLog())
	succeed(t, err)
	_, err = readOnly.Append(0, nil)
	expect(t, err, shmkit.ErrReadOnly)
	expect(t, readOnly.Flush(context.Background()), shmkit.ErrReadOnly)
	looking := newReader(t, readOnly, shmkit.FromStart)
	_, err = looking.Next(within(t, 30*time.Millisecond))
	expect(t, err, shmkit.ErrTimeout)
	time.AfterFunc(20*time.Millisecond, func() { log.Append(0, []byte("seen")) })
	if record, err := looking.Next(within(t, 20*time.Second)); err != nil || string(record.Data) != "seen" {
		t.Fatal(record, err)
	}
	succeed(t, readOnly.Close())
}

// Many goroutines, few threads, every record once and in each goroutine's order.
func TestLogManyGoroutines(t *testing.T) {
	const goroutines, each = 10_000, 20
	log := newLog(t, shmkit.WithSegmentLen(1<<20))
	before := threadCount(t)
	var all sync.WaitGroup
	for g := range goroutines {
		inGoroutine(&all, func() {
			for n := range each {
				if _, err := log.Append(uint32(g), fmt.Append(nil, n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	seen, total := make([]int, goroutines), 0
	for record, err := range newReader(t, log, shmkit.FromStart).Follow(within(t, 60*time.Second)) {
		succeed(t, err)
		if string(record.Data) != fmt.Sprint(seen[record.Kind]) {
			t.Fatalf("goroutine %d: %q after %d", record.Kind, record.Data, seen[record.Kind])
		}
		seen[record.Kind]++
		if total++; total == goroutines*each {
			break
		}
	}
	all.Wait()
	if after := threadCount(t); after > before+50 {
		t.Fatalf("%d threads, %d before", after, before)
	}
}

func inGoroutine(all *sync.WaitGroup, do func()) {
	all.Add(1)
	go func() {
		defer all.Done()
		do()
	}()
}

func threadCount(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/task")
	succeed(t, err)
	return len(entries)
}

func TestLogDurability(t *testing.T) {
	for name, option := range map[string]shmkit.LogOption{
		"none":     shmkit.WithRetainCount(0),
		"interval": shmkit.FlushInterval(5 * time.Millisecond), "bytes": shmkit.FlushBytes(2000),
		"group": shmkit.GroupCommit(), "every": shmkit.FlushEvery(),
	} {
		t.Run(name, func(t *testing.T) {
			log := newLog(t, option)
			var all sync.WaitGroup
			for range 8 {
				inGoroutine(&all, func() {
					for range 20 {
						if _, err := log.Append(0, make([]byte, 100)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			status, err := log.Status()
			succeed(t, err)
			if name == "group" || name == "every" {
				if status.FlushedTo != status.End {
					t.Fatalf("%+v", status)
				}
			} else if name != "none" {
				eventually(t, "the policy flushes", func() bool {
					status, err = log.Status()
					succeed(t, err)
					return status.Flushes > 0
				})
			}
			ticket, err := log.AppendDeferred(0, []byte("x"))
			succeed(t, err)
			succeed(t, log.WaitDurable(within(t, 20*time.Second), ticket))
			durable, err := log.IsDurable(ticket)
			succeed(t, err)
			ticket, err = log.AppendDeferred(0, []byte("y"))
			succeed(t, err)
			if !durable {
				t.Fatal("not durable after the wait")
			}
			told := log.Durable(ticket)
			succeed(t, log.Flush(context.Background()))
			succeed(t, <-told)
			reservation, err := log.Reserve(1, 4)
			succeed(t, err)
			_, err = reservation.Commit(4)
			succeed(t, err)
		})
	}
}

func TestLogHandleThatGoesAwayCallsWhoWaits(t *testing.T) {
	log, err := shmkit.CreateLog(filepath.Join(t.TempDir(), "log"), shmkit.WithSegmentLen(1<<16), shmkit.FlushInterval(time.Hour))
	succeed(t, err)
	ticket, err := log.AppendDeferred(0, []byte("x"))
	succeed(t, err)
	told := log.Durable(ticket)
	log = nil
	eventually(t, "the callback is called", func() bool {
		collect()
		select {
		case err := <-told:
			succeed(t, err)
			return true
		default:
			return false
		}
	})
}

func TestLogRefusesWhatCannotBe(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "log")
	_, err := shmkit.OpenLog(directory)
	expect(t, err, shmkit.ErrNotFound)
	_, err = shmkit.OpenLog("a\x00b")
	expect(t, err, shmkit.ErrInvalidName)
	for _, wrong := range []shmkit.LogOption{
		shmkit.WithSegmentLen(1), shmkit.WithMaxRecordLen(1 << 30), shmkit.FlushInterval(0), shmkit.FlushBytes(-1),
		shmkit.ReadOnlyLog(),
	} {
		_, err := shmkit.CreateLog(directory, wrong)
		expect(t, err, shmkit.ErrInvalidArgument)
	}
	log, err := shmkit.OpenOrCreateLog(directory, shmkit.WithMaxRecordLen(100), shmkit.WithLogMode(0o640))
	succeed(t, err)
	facts, err := os.Stat(directory)
	succeed(t, err)
	if facts.Mode().Perm() != 0o750 || log.Directory() != directory || !strings.Contains(log.String(), directory) {
		t.Fatal(facts.Mode(), log)
	}
	_, err = shmkit.CreateLog(directory)
	expect(t, err, shmkit.ErrAlreadyExists)
	_, err = shmkit.OpenOrCreateLog(directory, shmkit.WithMaxRecordLen(99))
	expect(t, err, shmkit.ErrParameterMismatch)
	for range 2 {
		_, err = log.Append(0, make([]byte, 101))
		expect(t, err, shmkit.ErrRecordTooLarge)
		appendText(t, log, "fits")
	}
	succeed(t, log.Close())
	succeed(t, log.Close())
	_, err = log.Append(0, nil)
	expect(t, err, shmkit.ErrClosed)
	_, err = log.Reader(shmkit.FromStart)
	expect(t, err, shmkit.ErrClosed)
	_, err = log.Ticket()
	expect(t, err, shmkit.ErrClosed)
	if !log.Closed() {
		t.Fatal("not closed")
	}
}

func TestLogRollsByAge(t *testing.T) {
	log := newLog(t, shmkit.WithMaxAge(10*time.Millisecond))
	appendText(t, log, "old")
	appendText(t, log, "as old")
	time.Sleep(20 * time.Millisecond)
	if position := appendText(t, log, "new"); position != 1<<16 {
		t.Fatal(position)
	}
	if found := textsOf(t, log); fmt.Sprint(found) != "[old as old new]" {
		t.Fatal(found)
	}
}

func TestLogBehindTheStandardLibrary(t *testing.T) {
	log := newLog(t)
	stdlog.New(log.Writer(3), "prefix ", 0).Print("a line")
	fmt.Fprint(log.Writer(4), "two\nlines\n\n")
	if found := textsOf(t, log); fmt.Sprintf("%q", found) != `["prefix a line" "two\nlines\n"]` {
		t.Fatalf("%q", found)
	}
	succeed(t, log.Close())
	if n, err := log.Writer(0).Write([]byte("x")); n != 0 || !errors.Is(err, shmkit.ErrClosed) {
		t.Fatal(n, err)
	}
}

func TestSlogHandlersFormatAsTheStandardOnes(t *testing.T) {
	noTime := func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime}
	log := newLog(t)
	var expected bytes.Buffer
	for _, pair := range [][2]slog.Handler{
		{shmkit.NewSlogHandler(log, options), slog.NewTextHandler(&expected, options)},
		{shmkit.NewSlogJSONHandler(log, options), slog.NewJSONHandler(&expected, options)},
	} {
		for _, handler := range pair {
			logger := slog.New(handler)
			logger.Debug("debug")
			logger.Info("a message", "key", "a value", "n", 7)
			with := logger.With("common", true).WithGroup("g").With("in", "group")
			with.Warn("grouped", "x", 1.5)
			with.WithGroup("h").Error("deeper", slog.Group("i", "y", 2))
			with.Error("not deeper", "err", errors.New("broken\npipe"))
		}
	}
	found := strings.Join(textsOf(t, log), "\n") + "\n"
	if found != expected.String() {
		t.Fatalf("%s\nexpected\n%s", found, expected.String())
	}
	var kinds []uint32
	for record, err := range newReader(t, log, shmkit.FromStart).All() {
		succeed(t, err)
		kinds = append(kinds, record.Kind)
	}
	if fmt.Sprint(kinds[:5]) != "[10 20 30 40 40]" {
		t.Fatal(kinds)
	}
	handler := shmkit.NewSlogHandler(log, nil)
	if handler.Enabled(context.Background(), slog.LevelDebug) || !handler.Enabled(context.Background(), slog.LevelInfo) {
		t.Fatal("the standard level is Info")
	}
	if handler.WithGroup("") != slog.Handler(handler) || handler.WithAttrs(nil) != slog.Handler(handler) {
		t.Fatal("nothing was added")
	}
}

func TestSlogCutsLinesThatAreTooLong(t *testing.T) {
	log := newLog(t, shmkit.WithMaxRecordLen(len("level=INFO msg=ääää")+1))
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	slog.New(shmkit.NewSlogHandler(log, &slog.HandlerOptions{ReplaceAttr: noTime})).Info(strings.Repeat("ä", 50))
	if texts := textsOf(t, log); len(texts) != 1 || texts[0] != "level=INFO msg=ääää" {
		t.Fatalf("%q", texts)
	}
}

func TestSlogManyGoroutines(t *testing.T) {
	log := newLog(t)
	logger := slog.New(shmkit.NewSlogJSONHandler(log, nil)).With("common", 1)
	var all sync.WaitGroup
	for g := range 100 {
		inGoroutine(&all, func() {
			for n := range 20 {
				logger.Info("message", "g", g, "n", n)
			}
		})
	}
	all.Wait()
	seen := map[[2]int]int{}
	for _, text := range textsOf(t, log) {
		var line struct{ G, N, Common int }
		succeed(t, json.Unmarshal([]byte(text), &line))
		seen[[2]int{line.G, line.N}] += line.Common
	}
	if len(seen) != 2000 {
		t.Fatal(len(seen))
	}
}

func TestAForgottenLogIsReleased(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "forgotten")
	log, err := shmkit.CreateLog(directory, shmkit.WithSegmentLen(1<<16))
	succeed(t, err)
	appendText(t, log, "x")
	appendText(t, log, "y")
	if mapped(t, directory) == 0 {
		t.Fatal("not mapped")
	}
	runtime.KeepAlive(log)
	log = nil
	eventually(t, "the forgotten log is unmapped", func() bool { collect(); return mapped(t, directory) == 0 })
}

func TestALogIsKeptAliveByItsCalls(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "alive")
	_, err := shmkit.CreateLog(directory, shmkit.WithSegmentLen(1<<16))
	succeed(t, err)
	for range 3 {
		log, err := shmkit.OpenLog(directory)
		succeed(t, err)
		appendText(t, log, "through C")
		appendText(t, log, "through Go")
		reader, err := log.Reader(shmkit.FromStart)
		succeed(t, err)
		record, err := reader.Next(context.Background())
		succeed(t, err)
		if string(record.Data) != "through C" {
			t.Fatalf("%q", record.Data)
		}
		succeed(t, reader.Close())
	}
}

func BenchmarkLogAppend(b *testing.B) {
	log := newLog(b, shmkit.WithSegmentLen(64<<20), shmkit.WithRetainCount(1))
	data := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := log.Append(1, data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLogRead(b *testing.B) {
	log := newLog(b, shmkit.WithSegmentLen(64<<20))
	data := make([]byte, 100)
	for range 100_000 {
		log.Append(1, data)
	}
	reader := newReader(b, log, shmkit.FromStart)
	b.ReportAllocs()
	for b.Loop() {
		if _, found, _ := reader.Read(); !found {
			reader.Seek(shmkit.FromStart)
		}
	}
}

func BenchmarkFileWrite(b *testing.B) {
	file, err := os.OpenFile(filepath.Join(b.TempDir(), "file"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	succeed(b, err)
	data := make([]byte, 100)
	for b.Loop() {
		file.Write(data)
	}
	file.Close()
}
