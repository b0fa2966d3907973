//go:build cgo

package shmkit

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"unicode/utf8"
)

// Writer returns an [io.Writer] that appends a record of this kind at each Write. A newline at the end is left out: what the
// standard library's log package writes, for one, is one Write for each line.
func (l *Log) Writer(kind uint32) io.Writer { return logWriter{l, kind} }

type logWriter struct {
	log  *Log
	kind uint32
}

func (w logWriter) Write(line []byte) (int, error) {
	if _, err := w.log.Append(w.kind, bytes.TrimSuffix(line, []byte{'\n'})); err != nil {
		return 0, err
	}
	return len(line), nil
}

// SlogHandler appends the records of [slog] to a log, as the standard library's handlers format them. Unlike these it takes no
// lock: goroutines and processes append at once.
//
// A line that is longer than a record may be is cut: a [slog.Logger] would drop the error and the line with it.
//
// A record's kind is its level in the numbers that all languages of this library use: 10 for Debug, 20 for Info, 30 for
// Warn, 40 for Error.
type SlogHandler struct {
	log     *Log
	options slog.HandlerOptions
	// Makes the handler that formats into a writer.
	make func(io.Writer, *slog.HandlerOptions) slog.Handler
	// What [slog.Handler.WithAttrs] and WithGroup added, in order.
	added []func(slog.Handler) slog.Handler
	// Of *slogLine: each formats one record at a time.
	lines *sync.Pool
}

// A slogLine is a line that is being formatted.
type slogLine struct {
	buffer  bytes.Buffer
	handler slog.Handler
}

// NewSlogHandler returns a handler whose lines are those of [slog.TextHandler]. opts may be nil.
func NewSlogHandler(log *Log, opts *slog.HandlerOptions) *SlogHandler {
	return newSlogHandler(log, opts, func(w io.Writer, o *slog.HandlerOptions) slog.Handler {
		return slog.NewTextHandler(w, o)
	})
}

// NewSlogJSONHandler returns a handler whose lines are those of [slog.JSONHandler]. opts may be nil.
func NewSlogJSONHandler(log *Log, opts *slog.HandlerOptions) *SlogHandler {
	return newSlogHandler(log, opts, func(w io.Writer, o *slog.HandlerOptions) slog.Handler {
		return slog.NewJSONHandler(w, o)
	})
}

func newSlogHandler(
	log *Log, opts *slog.HandlerOptions, make func(io.Writer, *slog.HandlerOptions) slog.Handler,
) *SlogHandler {
	h := &SlogHandler{log: log, make: make}
	if opts != nil {
		h.options = *opts
	}
	h.lines = h.newPool()
	return h
}

func (h *SlogHandler) newPool() *sync.Pool {
	options, make, added := h.options, h.make, h.added
	return &sync.Pool{New: func() any {
		line := &slogLine{}
		line.handler = make(&line.buffer, &options)
		for _, add := range added {
			line.handler = add(line.handler)
		}
		return line
	}}
}

// Enabled reports whether records of this level are appended.
func (h *SlogHandler) Enabled(_ context.Context, level slog.Level) bool {
	least := slog.LevelInfo
	if h.options.Level != nil {
		least = h.options.Level.Level()
	}
	return level >= least
}

// Handle appends a record. Errors: those of [Log.Append].
func (h *SlogHandler) Handle(ctx context.Context, record slog.Record) error {
	line := h.lines.Get().(*slogLine)
	defer h.lines.Put(line)
	line.buffer.Reset()
	if err := line.handler.Handle(ctx, record); err != nil {
		return err
	}
	text := bytes.TrimSuffix(line.buffer.Bytes(), []byte{'\n'})
	if h.log.words.me != nil {
		text = cutText(text, h.log.words.maxRecordLen)
	}
	_, err := h.log.Append(kindOfLevel(record.Level), text)
	return err
}

// cutText returns as much of a text as fits, in whole characters: a part of a message says more than none.
func cutText(text []byte, most int) []byte {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// kindOfLevel returns the kind of a record, whose levels are 4 apart where those of other languages are 10.
func kindOfLevel(level slog.Level) uint32 { return uint32(max(0, 20+int(level)*10/4)) }

// WithAttrs returns a handler that adds these attributes.
func (h *SlogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

// WithGroup returns a handler that puts what follows into a group.
func (h *SlogHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *SlogHandler) with(add func(slog.Handler) slog.Handler) *SlogHandler {
	// A copy, so that two that come from one do not share what they add.
	added := append(append([]func(slog.Handler) slog.Handler{}, h.added...), add)
	derived := &SlogHandler{log: h.log, options: h.options, make: h.make, added: added}
	derived.lines = derived.newPool()
	return derived
}
