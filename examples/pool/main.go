// Frames: passed from process to process, in any language, without a copy.
//
//	main frames produce 1000   fills so many frames in place and passes each on, to whoever takes it
//	main frames consume 1000   takes so many, checks that each is whole, and frees it
//	main frames hoard          takes every block there is and keeps them: kill it, and they come back
//	main frames show           says how many blocks are free
//	main frames remove         removes the region
//
// What is passed on is a number, the handle of a published block; the bytes stay where they are. Start producers and
// consumers as often as you like: as many consumed as produced, in all.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	shmkit "github.com/shmkit/shmkit/go"
)

const (
	frameLen = 4096
	frames   = 8
	// A frame begins with its number and the sum of the bytes that follow, 8 bytes each.
	headerLen = 16
)

// post is the blocks, and the place where a handle is left for whoever comes for it; 0 while it is empty.
type post struct {
	pool    *shmkit.Pool
	mailbox *shmkit.Atomic[uint64]
}

func open(name string) (*post, error) {
	region, err := shmkit.OpenOrCreate(name, 4096)
	if err != nil {
		return nil, err
	}
	defer region.Close() // what is opened in it stays open
	pool, noPool := region.Pool("frames", frameLen, frames)
	mailbox, noMailbox := region.AtomicU64("mailbox", 0)
	return &post{pool, mailbox}, errors.Join(noPool, noMailbox)
}

func sum(bytes []byte) (total uint64) {
	for _, b := range bytes[headerLen:] {
		total += uint64(b)
	}
	return total
}

func (p *post) produce(count uint64) error {
	ctx := context.Background()
	for number := range count {
		frame, err := p.pool.Allocate(ctx) // waits while all blocks are in use
		if err != nil {
			return err
		}
		bytes := frame.Bytes()
		for i := range bytes[headerLen:] {
			bytes[headerLen+i] = byte(number + headerLen + uint64(i))
		}
		header, err := shmkit.SliceAs[uint64](bytes[:headerLen])
		if err != nil {
			return err
		}
		header[0], header[1] = number, sum(bytes)
		handle, err := frame.Publish() // from here it belongs to nobody
		if err != nil {
			return err
		}
		for {
			other, left := p.mailbox.CompareExchange(0, handle)
			if left {
				break
			}
			if err := p.mailbox.Wait(ctx, other); err != nil {
				return err
			}
		}
		p.mailbox.NotifyAll()
	}
	fmt.Printf("passed on %d frames\n", count)
	return nil
}

// fetch takes a handle out of the mailbox.
func (p *post) fetch() (uint64, error) {
	for {
		handle := p.mailbox.Load()
		if handle == 0 {
			if err := p.mailbox.Wait(context.Background(), 0); err != nil {
				return 0, err
			}
		} else if _, taken := p.mailbox.CompareExchange(handle, 0); taken {
			p.mailbox.NotifyAll()
			return handle, nil
		}
	}
}

func (p *post) consume(count uint64) error {
	whole := 0
	for range count {
		handle, err := p.fetch()
		if err != nil {
			return err
		}
		frame, err := p.pool.Adopt(handle)
		if err != nil {
			return err
		}
		header, err := shmkit.SliceAs[uint64](frame.Bytes()[:headerLen])
		if err != nil {
			return err
		}
		if sum(frame.Bytes()) == header[1] {
			whole++
		}
		if err := frame.Free(); err != nil {
			return err
		}
	}
	fmt.Printf("took %d frames, %d of them whole\n", count, whole)
	return nil
}

func (p *post) hoard() error {
	taken := 0
	for ; ; taken++ {
		if _, more, err := p.pool.TryAllocate(); err != nil {
			return err
		} else if !more {
			break
		}
	}
	fmt.Printf("took %d blocks\n", taken)
	bufio.NewReader(os.Stdin).ReadString('\n')
	return nil
}

func show(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	defer region.Close()
	pool, err := region.FindPool("frames")
	if err != nil {
		return err
	}
	recovered, err := pool.Recover()
	if err != nil {
		return err
	}
	status, err := pool.Status()
	if err != nil {
		return err
	}
	fmt.Printf("%d of %d blocks free, %d came back from the dead\n", status.Free, status.Total, recovered)
	return nil
}

func remove(name string) error {
	if err := shmkit.Unlink(name); err != nil {
		return err
	}
	fmt.Println("unlinked")
	return nil
}

// run does what the words after the program's name ask for; false if they make no sense.
func run(words []string) (bool, error) {
	switch {
	case len(words) == 2 && words[1] == "show":
		return true, show(words[0])
	case len(words) == 2 && words[1] == "remove":
		return true, remove(words[0])
	case len(words) == 2 && words[1] == "hoard":
		p, err := open(words[0])
		if err == nil {
			err = p.hoard()
		}
		return true, err
	case len(words) == 3 && (words[1] == "produce" || words[1] == "consume"):
		count, err := strconv.ParseUint(words[2], 10, 64)
		if err != nil {
			return false, nil
		}
		p, err := open(words[0])
		if err == nil && words[1] == "produce" {
			err = p.produce(count)
		} else if err == nil {
			err = p.consume(count)
		}
		return true, err
	}
	return false, nil
}

func main() {
	understood, err := run(os.Args[1:])
	if !understood {
		fmt.Fprintln(os.Stderr, "usage: pool NAME produce COUNT|consume COUNT|hoard|show|remove")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pool:", err)
		os.Exit(1)
	}
}
