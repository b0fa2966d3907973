package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	shmkit "github.com/shmkit/shmkit/go"
)

// Payloads of three sizes between two processes: see ../rust/src/ipc.rs, which does the same.

const (
	ipcRounds = 7
	// The longest message that the queues take on a machine where nobody changed their limits.
	longestMessage = 8192
)

// A transport is a connection with two directions. The first process sends on 0 and receives on 1.
type transport interface {
	send(way int, payload []byte)
	receive(way int, into []byte)
	// What the other process makes its end of: files that it inherits, and numbers.
	rest() (files []*os.File, numbers []int)
	close()
}

// slots are in shared memory, as many as the payloads that a pipe holds, but at least 8 and at most 256.
type slots struct {
	region       *shmkit.Region
	free, filled [2]*shmkit.Semaphore
	next         [2]int
	len, count   int
}

func newSlots(region *shmkit.Region, length int) *slots {
	s := &slots{region: region, len: length, count: slotCount(length)}
	for way := range 2 {
		var err error
		s.free[way], err = region.Semaphore(fmt.Sprint("free-", way), s.count)
		must(err)
		s.filled[way], err = region.Semaphore(fmt.Sprint("filled-", way), 0)
		must(err)
	}
	return s
}

func slotCount(length int) int { return min(max(65536/length, 8), 256) }

func (s *slots) place(way int) int64 {
	slot := way*s.count + s.next[way]
	s.next[way] = (s.next[way] + 1) % s.count
	return int64(slot * s.len)
}

func (s *slots) send(way int, payload []byte) {
	must(s.free[way].Acquire(context.Background()))
	_, err := s.region.WriteAt(payload, s.place(way))
	must(err)
	must(s.filled[way].Release(1))
}

func (s *slots) receive(way int, into []byte) {
	must(s.filled[way].Acquire(context.Background()))
	must(s.region.ReadFullAt(into, s.place(way)))
	must(s.free[way].Release(1))
}

func (s *slots) rest() ([]*os.File, []int) {
	file, err := s.region.File()
	must(err)
	return []*os.File{file}, nil
}

func (s *slots) close() {
	for way := range 2 {
		must(s.free[way].Close())
		must(s.filled[way].Close())
	}
	must(s.region.Close())
}

// stream is two pipes, or the two ends of a socket: what is written to and read from, by way.
type stream struct{ write, read [2]*os.File }

func newPipes() *stream {
	s := &stream{}
	for way := range 2 {
		var err error
		s.read[way], s.write[way], err = os.Pipe()
		must(err)
	}
	return s
}

func newSocket() *stream {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	must(err)
	near, far := os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	return &stream{write: [2]*os.File{near, far}, read: [2]*os.File{far, near}}
}

func (s *stream) send(way int, payload []byte) {
	_, err := s.write[way].Write(payload)
	must(err)
}

func (s *stream) receive(way int, into []byte) {
	_, err := io.ReadFull(s.read[way], into)
	must(err)
}

func (s *stream) rest() ([]*os.File, []int) {
	return []*os.File{s.write[0], s.write[1], s.read[0], s.read[1]}, nil
}

func (s *stream) close() {
	for way := range 2 {
		s.write[way].Close()
		s.read[way].Close() // closed already, when it is the other way's end of a socket
	}
}

// posixQueues are two POSIX message queues, which have no name any more.
type posixQueues [2]*os.File

func newPosixQueues() *posixQueues {
	q := &posixQueues{}
	for way := range q {
		name, err := syscall.BytePtrFromString(fmt.Sprintf("bench-go-%d-%d", os.Getpid(), way))
		must(err)
		attributes := [8]int64{1: 10, 2: longestMessage} // flags, maximum of messages, of bytes, current
		fd, _, errno := syscall.Syscall6(syscall.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)),
			syscall.O_RDWR|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o600, uintptr(unsafe.Pointer(&attributes)), 0, 0)
		mustErrno(errno)
		_, _, errno = syscall.Syscall(syscall.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0)
		mustErrno(errno)
		q[way] = os.NewFile(fd, "queue")
	}
	return q
}

func mustErrno(errno syscall.Errno) {
	if errno != 0 {
		must(errno)
	}
}

// untilDone makes a system call that waits. The scheduler's signals interrupt it.
//
//go:uintptrescapes
func untilDone(call, queue, message, length, third uintptr) {
	for {
		_, _, errno := syscall.Syscall6(call, queue, message, length, third, 0, 0)
		if errno != syscall.EINTR {
			mustErrno(errno)
			return
		}
	}
}

func (q *posixQueues) send(way int, payload []byte) {
	for part := range slices.Chunk(payload, longestMessage) {
		untilDone(syscall.SYS_MQ_TIMEDSEND, q[way].Fd(), uintptr(unsafe.Pointer(&part[0])), uintptr(len(part)), 0)
	}
}

func (q *posixQueues) receive(way int, into []byte) {
	for part := range slices.Chunk(into, longestMessage) {
		untilDone(syscall.SYS_MQ_TIMEDRECEIVE, q[way].Fd(), uintptr(unsafe.Pointer(&scratch.bytes)), longestMessage, 0)
		copy(part, scratch.bytes[:])
	}
}

func (q *posixQueues) rest() ([]*os.File, []int) { return q[:], nil }

func (q *posixQueues) close() {
	for _, queue := range q {
		must(queue.Close())
	}
}

// sysvQueues are two System V message queues, by id.
type sysvQueues [2]int

type sysvMessage struct {
	kind  int64
	bytes [longestMessage]byte
}

// One message at a time is on its way through a process: no memory must be found for it.
var scratch sysvMessage

func newSysvQueues() *sysvQueues {
	q := &sysvQueues{}
	for way := range q {
		id, _, errno := syscall.Syscall(syscall.SYS_MSGGET, 0, 0o600, 0)
		mustErrno(errno)
		q[way] = int(id)
	}
	return q
}

func (q *sysvQueues) send(way int, payload []byte) {
	scratch.kind = 1
	for part := range slices.Chunk(payload, longestMessage) {
		copy(scratch.bytes[:], part)
		untilDone(syscall.SYS_MSGSND, uintptr(q[way]), uintptr(unsafe.Pointer(&scratch)), uintptr(len(part)), 0)
	}
}

func (q *sysvQueues) receive(way int, into []byte) {
	for part := range slices.Chunk(into, longestMessage) {
		untilDone(syscall.SYS_MSGRCV, uintptr(q[way]), uintptr(unsafe.Pointer(&scratch)), longestMessage, 0)
		copy(part, scratch.bytes[:])
	}
}

func (q *sysvQueues) rest() ([]*os.File, []int) { return nil, q[:] }

func (q *sysvQueues) close() {
	for _, id := range q {
		syscall.Syscall(syscall.SYS_MSGCTL, uintptr(id), 0, 0)
	}
}

// open makes a transport of this kind.
func open(kind string, length int) transport {
	switch kind {
	case "pipe":
		return newPipes()
	case "unix_socket":
		return newSocket()
	case "posix_mq":
		return newPosixQueues()
	case "sysv_mq":
		return newSysvQueues()
	}
	region, err := shmkit.CreateUnnamed(2 * slotCount(length) * length)
	must(err)
	return newSlots(region, length)
}

// inherit makes the other process's end.
func inherit(kind string, length int, numbers []string) transport {
	file := func(index int) *os.File { return os.NewFile(uintptr(3+index), "inherited") }
	switch kind {
	case "pipe", "unix_socket":
		return &stream{write: [2]*os.File{file(0), file(1)}, read: [2]*os.File{file(2), file(3)}}
	case "posix_mq":
		return &posixQueues{file(0), file(1)}
	case "sysv_mq":
		q := &sysvQueues{}
		for way := range q {
			q[way] = number(numbers[way])
		}
		return q
	}
	region, err := shmkit.RegionFromFile(file(0))
	must(err)
	return newSlots(region, length)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	must(err)
	return value
}

// ipcAnswerer is the first argument of the other process.
const ipcAnswerer = "answer-ipc"

// answerIPC is the other process: kind, case, length, count and numbers.
func answerIPC(args []string) {
	thereAndBack, length, count := args[1] == "roundtrip", number(args[2]), number(args[3])
	t := inherit(args[0], length, args[4:])
	payload := make([]byte, length)
	for range ipcRounds + 1 {
		for range count {
			t.receive(0, payload)
			if thereAndBack {
				t.send(1, payload)
			}
		}
		if !thereAndBack {
			t.send(1, payload)
		}
	}
}

// A pair is one transport in use: the other process answers until all rounds are over.
type pair struct {
	transport
	other        *exec.Cmd
	payload      []byte
	thereAndBack bool
	count        int
}

func newPair(kind, caseName string, length, count int) *pair {
	p := &pair{transport: open(kind, length), payload: make([]byte, length), thereAndBack: caseName == "roundtrip", count: count}
	files, numbers := p.rest()
	args := []string{ipcAnswerer, kind, caseName, strconv.Itoa(length), strconv.Itoa(count)}
	for _, number := range numbers {
		args = append(args, strconv.Itoa(number))
	}
	p.other = exec.Command(os.Args[0], args...)
	p.other.ExtraFiles, p.other.Stderr = files, os.Stderr
	must(p.other.Start())
	p.round()
	return p
}

// round returns the nanoseconds of one operation.
func (p *pair) round() float64 {
	start := time.Now()
	for range p.count {
		p.send(0, p.payload)
		if p.thereAndBack {
			p.receive(1, p.payload)
		}
	}
	if !p.thereAndBack {
		// The round is over when the last payload has arrived.
		p.receive(1, p.payload)
	}
	return float64(time.Since(start).Nanoseconds()) / float64(p.count)
}

func (p *pair) end() {
	must(p.other.Wait())
	p.close()
}

func runIPC() {
	for _, caseName := range []string{"roundtrip", "throughput"} {
		for _, payload := range []struct {
			length int
			name   string
			count  int
		}{{64, "64b", 1000}, {4096, "4k", 1000}, {1 << 20, "1m", 20}} {
			for _, peer := range []string{"pipe", "unix_socket", "posix_mq", "sysv_mq"} {
				pairs := []*pair{
					newPair("slots", caseName, payload.length, payload.count),
					newPair(peer, caseName, payload.length, payload.count),
				}
				var times [2][]float64
				for range ipcRounds {
					for who, pair := range pairs {
						times[who] = append(times[who], pair.round())
					}
				}
				for who, pair := range pairs {
					pair.end()
					slices.Sort(times[who])
				}
				fmt.Printf("{\"name\": \"ipc.%s_%s.go.vs_%s\", \"ours_ns\": %.3f, \"peer_ns\": %.3f}\n",
					caseName, payload.name, peer, times[0][ipcRounds/2], times[1][ipcRounds/2])
			}
		}
	}
}
