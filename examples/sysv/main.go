// System V shared memory under a System V semaphore: one process writes, another one reads, in any language, with or
// without this library.
//
//	main write KEY TEXT     P, write, V
//	main read KEY           P, read, V
//	main remove KEY
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	shmkit "github.com/shmkit/shmkit/go"
)

const length = 4096

func write(key int32, text string) error {
	// The semaphore first: who finds the segment finds what guards it.
	semaphore, err := shmkit.OpenOrCreateSysvSemaphore(key, 1)
	if err != nil {
		return err
	}
	segment, err := shmkit.OpenOrCreateSysvSegment(key, length, 0)
	if err != nil {
		return err
	}
	mapping, err := segment.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		return err
	}
	defer mapping.Close()
	if err := semaphore.Acquire(context.Background(), 1); err != nil {
		return err
	}
	_, err = mapping.WriteAt(append([]byte(text), 0), 0)
	if err := errors.Join(err, semaphore.Release(1)); err != nil {
		return err
	}
	fmt.Println("wrote:", text)
	return nil
}

func read(key int32) error {
	segment, err := shmkit.OpenSysvSegment(key)
	if err != nil {
		return err
	}
	mapping, err := segment.Map()
	if err != nil {
		return err
	}
	defer mapping.Close()
	semaphore, err := shmkit.OpenSysvSemaphore(key)
	if err != nil {
		return err
	}
	if err := semaphore.Acquire(context.Background(), 1); err != nil {
		return err
	}
	content := make([]byte, length)
	err = mapping.ReadFullAt(content, 0)
	if err := errors.Join(err, semaphore.Release(1)); err != nil {
		return err
	}
	text, _, _ := bytes.Cut(content, []byte{0})
	fmt.Printf("read: %s\n", text)
	return nil
}

func remove(key int32) error {
	segment, err := shmkit.OpenSysvSegment(key)
	if err != nil {
		return err
	}
	semaphore, err := shmkit.OpenSysvSemaphore(key)
	if err != nil {
		return err
	}
	if err := errors.Join(segment.Remove(), semaphore.Remove()); err != nil {
		return err
	}
	fmt.Println("removed")
	return nil
}

func main() {
	var err error
	arguments := os.Args[1:]
	var key int64
	if len(arguments) > 1 {
		if key, err = strconv.ParseInt(arguments[1], 10, 32); err != nil {
			arguments = nil
		}
	}
	switch {
	case len(arguments) == 3 && arguments[0] == "write":
		err = write(int32(key), arguments[2])
	case len(arguments) == 2 && arguments[0] == "read":
		err = read(int32(key))
	case len(arguments) == 2 && arguments[0] == "remove":
		err = remove(int32(key))
	default:
		fmt.Fprintln(os.Stderr, "usage: sysv write KEY TEXT | read KEY | remove KEY")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sysv:", err)
		os.Exit(1)
	}
}
