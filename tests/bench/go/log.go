package main

import (
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	shmkit "github.com/shmkit/shmkit/go"
)

// runLog times the log beside write(2) and beside slog and log on a file, of which each line is one write.
func runLog() {
	directory, err := os.MkdirTemp(".", "bench-log-")
	must(err)
	defer os.RemoveAll(directory)
	ours, err := shmkit.CreateLog(filepath.Join(directory, "log"), shmkit.WithSegmentLen(16<<20), shmkit.WithRetainCount(4))
	must(err)
	defer ours.Close()
	file, err := os.OpenFile(filepath.Join(directory, "plain"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(err)
	defer file.Close()

	record := make([]byte, 100)
	compare("log.append_100.go.vs_write", 200_000, func(count int) {
		for range count {
			_, err := ours.Append(0, record)
			must(err)
		}
	}, func(count int) {
		must(file.Truncate(0))
		for range count {
			_, err := file.Write(record)
			must(err)
		}
	})
	for _, pair := range []struct {
		name        string
		ours, peers slog.Handler
	}{
		{"text", shmkit.NewSlogHandler(ours, nil), slog.NewTextHandler(file, nil)},
		{"json", shmkit.NewSlogJSONHandler(ours, nil), slog.NewJSONHandler(file, nil)},
	} {
		say := func(handler slog.Handler) func(int) {
			logger := slog.New(handler)
			return func(count int) {
				must(file.Truncate(0))
				for i := range count {
					logger.Info("request", "number", i, "took_us", 250, "worker", "the first")
				}
			}
		}
		compare(fmt.Sprintf("log.slog_%s.go.vs_slog_to_file", pair.name), 50_000, say(pair.ours), say(pair.peers))
	}
	print := func(logger *log.Logger) func(int) {
		return func(count int) {
			must(file.Truncate(0))
			for i := range count {
				logger.Print("request ", i, " took 250 us on the first worker")
			}
		}
	}
	compare("log.writer.go.vs_log_to_file", 50_000, print(log.New(ours.Writer(0), "", 0)), print(log.New(file, "", 0)))
}
