// The log: several programs append to it at once, one of them is killed while it writes a record, and one follows.
//
// The same in all languages, and all may use the same log:
//
//   - log write DIRECTORY WRITER COUNT appends so many records of the kind WRITER;
//   - log claim DIRECTORY begins a record, and waits to be killed;
//   - log follow DIRECTORY WRITERS COUNT reads as long as there are records to come: so many of each writer, from 1 on;
//   - log time DIRECTORY says what an append costs under each flush policy, in logs of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

func write(directory string, writer, count int) error {
	log, err := shmkit.OpenOrCreateLog(directory)
	if err != nil {
		return err
	}
	defer log.Close()
	for number := range count {
		if _, err := log.Append(uint32(writer), fmt.Appendf(nil, "writer %d, record %d", writer, number)); err != nil {
			return err
		}
	}
	fmt.Printf("writer %d appended %d records\n", writer, count)
	return nil
}

func claim(directory string) error {
	log, err := shmkit.OpenOrCreateLog(directory)
	if err != nil {
		return err
	}
	record, err := log.Reserve(0, 100)
	if err != nil {
		return err
	}
	copy(record.Bytes(), "half a rec")
	fmt.Println("claimed")
	for {
		time.Sleep(time.Hour)
	}
}

func follow(directory string, writers, count int) error {
	log, err := shmkit.OpenOrCreateLog(directory)
	if err != nil {
		return err
	}
	defer log.Close()
	reader, err := log.Reader(shmkit.FromStart)
	if err != nil {
		return err
	}
	defer reader.Close()
	// Waits behind a record that somebody writes; if that one is killed, it goes on.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	next, left := make(map[uint32]int), writers*count
	for record, err := range reader.Follow(ctx) {
		if err != nil {
			return err
		}
		expected := fmt.Sprintf("writer %d, record %d", record.Kind, next[record.Kind])
		if string(record.Data) != expected {
			return fmt.Errorf("not %s: %q", expected, record.Data)
		}
		next[record.Kind]++
		if left--; left == 0 {
			break
		}
	}
	fmt.Printf("read %d records, each once and in order; skipped %d\n", writers*count, reader.Skipped())
	return nil
}

func timePolicies(directory string) error {
	for _, policy := range []struct {
		name   string
		option []shmkit.LogOption
		count  int
	}{
		{"none", nil, 100_000},
		{"interval", []shmkit.LogOption{shmkit.FlushInterval(50 * time.Millisecond)}, 100_000},
		{"bytes", []shmkit.LogOption{shmkit.FlushBytes(1 << 20)}, 100_000},
		{"group", []shmkit.LogOption{shmkit.GroupCommit()}, 200},
		{"every", []shmkit.LogOption{shmkit.FlushEvery()}, 200},
	} {
		log, err := shmkit.CreateLog(directory+"."+policy.name, policy.option...)
		if err != nil {
			return err
		}
		data := make([]byte, 100)
		begun := time.Now()
		for range policy.count {
			if _, err := log.Append(0, data); err != nil {
				return err
			}
		}
		each := time.Since(begun) / time.Duration(policy.count)
		if err := log.Close(); err != nil {
			return err
		}
		status, err := log.Status()
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d ns a record, %d flushes\n", policy.name, each.Nanoseconds(), status.Flushes)
	}
	return nil
}

func run(task string, arguments []string) error {
	numbers := make([]int, 2)
	for i, text := range arguments[1:] {
		number, err := strconv.Atoi(text)
		if err != nil || i > 1 {
			return fmt.Errorf("%s is no number", text)
		}
		numbers[i] = number
	}
	switch task {
	case "write":
		return write(arguments[0], numbers[0], numbers[1])
	case "claim":
		return claim(arguments[0])
	case "follow":
		return follow(arguments[0], numbers[0], numbers[1])
	case "time":
		return timePolicies(arguments[0])
	}
	return errors.New("write DIRECTORY WRITER COUNT | claim DIRECTORY | follow DIRECTORY WRITERS COUNT | time DIRECTORY")
}

func main() {
	task, arguments := "", []string{""}
	if len(os.Args) > 2 {
		task, arguments = os.Args[1], os.Args[2:]
	}
	if err := run(task, arguments); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
