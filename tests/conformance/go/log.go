package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// logs is what a runner has named.
type logs struct {
	logs         map[string]*shmkit.Log
	readers      map[string]*shmkit.LogReader
	reservations map[string]*shmkit.Reservation
}

func newLogs() logs {
	return logs{map[string]*shmkit.Log{}, map[string]*shmkit.LogReader{}, map[string]*shmkit.Reservation{}}
}

// small returns an argument as an int, and 0 when it is missing; one that no int holds is the largest, and refused as well.
func (c command) small(key string) int {
	number, err := c.numberOr(key, 0)
	if err != nil || number > math.MaxInt {
		return math.MaxInt
	}
	return int(number)
}

func (l logs) log(c command) (*shmkit.Log, error) {
	log, found := l.logs[c.arguments["l"]]
	if !found {
		return nil, fmt.Errorf("no log %s", c.arguments["l"])
	}
	return log, nil
}

// run does what a command says and returns the fields of its answer.
func (l logs) run(c command) (string, error) {
	switch c.op {
	case "log_create", "log_open", "log_open_or_create":
		return l.open(c)
	case "log_reader":
		return l.openReader(c)
	case "log_next", "log_texts", "log_counts":
		return l.read(c)
	case "log_reserve", "log_fill", "log_commit", "log_abandon":
		return l.reserve(c)
	}
	log, err := l.log(c)
	if err != nil {
		return "", err
	}
	switch c.op {
	case "log_append", "log_write", "log_batch":
		return appendTo(log, c)
	case "log_flush":
		return "", log.Flush(context.Background())
	case "log_close":
		return "", log.Close()
	case "log_status":
		s, err := log.Status()
		return fmt.Sprintf(" dead=%d abandoned=%d attached=%d segments=%d flushed=%d",
			s.Dead, s.Abandoned, s.Attached, s.Segments, digit(s.FlushedTo == s.End)), err
	}
	return "", fmt.Errorf("unknown operation %s", c.op)
}

func (l logs) open(c command) (string, error) {
	var opts []shmkit.LogOption
	for key, option := range map[string]func(int) shmkit.LogOption{
		"segment_len": shmkit.WithSegmentLen, "max_record_len": shmkit.WithMaxRecordLen, "retain_count": shmkit.WithRetainCount,
	} {
		if c.has(key) {
			opts = append(opts, option(c.small(key)))
		}
	}
	switch c.arguments["durability"] {
	case "interval":
		opts = append(opts, shmkit.FlushInterval(time.Duration(c.small("value"))))
	case "bytes":
		opts = append(opts, shmkit.FlushBytes(c.small("value")))
	case "group":
		opts = append(opts, shmkit.GroupCommit())
	case "every":
		opts = append(opts, shmkit.FlushEvery())
	}
	if c.flag("read_only") {
		opts = append(opts, shmkit.ReadOnlyLog())
	}
	open := map[string]func(string, ...shmkit.LogOption) (*shmkit.Log, error){
		"log_create": shmkit.CreateLog, "log_open": shmkit.OpenLog, "log_open_or_create": shmkit.OpenOrCreateLog,
	}[c.op]
	log, err := open(c.arguments["path"], opts...)
	if err == nil {
		l.logs[c.arguments["l"]] = log
	}
	return "", err
}

func (l logs) openReader(c command) (string, error) {
	log, err := l.log(c)
	if err != nil {
		return "", err
	}
	from := map[string]shmkit.ReadFrom{"start": shmkit.FromStart, "end": shmkit.FromEnd}
	place, found := from[c.arguments["from"]]
	if !found {
		position, err := c.number("from")
		if err != nil {
			return "", err
		}
		place = shmkit.FromPosition(position)
	}
	reader, err := log.Reader(place)
	if err == nil {
		l.readers[c.arguments["r"]] = reader
	}
	return "", err
}

func (l logs) read(c command) (string, error) {
	reader, found := l.readers[c.arguments["r"]]
	if !found {
		return "", fmt.Errorf("no reader %s", c.arguments["r"])
	}
	switch c.op {
	case "log_next":
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.small("timeout_ms"))*time.Millisecond)
		defer cancel()
		record, err := reader.Next(ctx)
		if errors.Is(err, shmkit.ErrTimeout) {
			return " none=1", nil
		}
		return fmt.Sprintf(" kind=%d position=%d data=%x", record.Kind, record.Position, record.Data), err
	case "log_texts":
		var texts []string
		for record, err := range reader.All() {
			if err != nil {
				return "", err
			}
			texts = append(texts, string(record.Data))
		}
		return fmt.Sprintf(" count=%d texts=%s", len(texts), encode(strings.Join(texts, ","))), nil
	}
	return fmt.Sprintf(" missed=%d corrupted=%d skipped=%d",
		digit(reader.Missed() > 0), reader.Corrupted(), reader.Skipped()), nil
}

func (l logs) reserve(c command) (string, error) {
	name := c.arguments["v"]
	if c.op == "log_reserve" {
		log, err := l.log(c)
		if err != nil {
			return "", err
		}
		reservation, err := log.Reserve(uint32(c.small("kind")), c.small("len"))
		if err == nil {
			l.reservations[name] = reservation
		}
		return "", err
	}
	reservation, found := l.reservations[name]
	if !found {
		return "", fmt.Errorf("no reservation %s", name)
	}
	if c.op == "log_fill" {
		data, err := c.bytes("data")
		copy(reservation.Bytes(), data)
		return "", err
	}
	delete(l.reservations, name)
	if c.op == "log_abandon" {
		reservation.Abandon()
		return "", nil
	}
	position, err := reservation.Commit(c.small("len"))
	return fmt.Sprint(" position=", position), err
}

func appendTo(log *shmkit.Log, c command) (string, error) {
	kind := uint32(c.small("kind"))
	var position uint64
	var err error
	if c.op == "log_write" {
		for n := c.small("from"); err == nil && n < c.small("from")+c.small("count"); n++ {
			position, err = log.Append(kind, fmt.Appendf(nil, "%s.%d", c.arguments["prefix"], n))
		}
		return fmt.Sprint(" position=", position), err
	}
	data, err := c.bytes("data")
	if err != nil {
		return "", err
	}
	if c.op == "log_append" {
		position, err = log.Append(kind, data)
		return fmt.Sprint(" position=", position), err
	}
	batch := make([]shmkit.AppendRecord, c.small("count"))
	for i := range batch {
		batch[i] = shmkit.AppendRecord{Kind: kind, Data: data}
	}
	positions, err := log.AppendBatch(batch)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(" position=", positions[len(positions)-1]), nil
}
