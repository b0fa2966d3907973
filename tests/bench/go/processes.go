package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"

	shmkit "github.com/shmkit/shmkit/go"
)

// The other process of a round trip is this program again, with these arguments: what to do, and the region's name. It
// reads from its standard input and answers on its standard output when pipes are timed, and ends when it is killed.
const answerer = "answer"

// A trip is one half of a round trip, for the side that begins (0) or answers (1).
type trip func(side byte)

var trips = map[string]func(region *shmkit.Region) trip{"event": eventTrip, "condvar": condvarTrip}

func eventTrip(region *shmkit.Region) trip {
	ping, err := region.Event("ping", shmkit.AutomaticReset)
	must(err)
	pong, err := region.Event("pong", shmkit.AutomaticReset)
	must(err)
	ctx := context.Background()
	return func(side byte) {
		if side == 0 {
			must(ping.Set())
			must(pong.Wait(ctx))
		} else {
			must(ping.Wait(ctx))
			must(pong.Set())
		}
	}
}

// condvarTrip waits for a number to be the side's own, and makes it the other's.
func condvarTrip(region *shmkit.Region) trip {
	mutex, err := region.Mutex("m")
	must(err)
	changed, err := region.Condvar("c")
	must(err)
	ctx := context.Background()
	whose := make([]byte, 1)
	return func(side byte) {
		must(mutex.Lock(ctx))
		for {
			must(region.ReadFullAt(whose, 0))
			if whose[0] == side {
				break
			}
			must(changed.Wait(ctx, mutex))
		}
		_, err := region.WriteAt([]byte{1 - side}, 0)
		must(err)
		must(mutex.Unlock())
		must(changed.NotifyOne())
	}
}

// runTrip compares a round trip between two processes with one over two pipes.
func runTrip(kind string) {
	name := fmt.Sprintf("bench-go-%s-%d", kind, os.Getpid())
	region, err := shmkit.Create(name, 4096)
	must(err)
	ours := trips[kind](region)
	other := exec.Command(os.Args[0], answerer, kind, name)
	other.Stderr = os.Stderr
	must(other.Start())
	echo := exec.Command(os.Args[0], answerer, "pipe", name)
	to, err := echo.StdinPipe()
	must(err)
	from, err := echo.StdoutPipe()
	must(err)
	must(echo.Start())
	b := make([]byte, 1)
	ours(0)
	ours(0)                   // not without an answer
	must(shmkit.Unlink(name)) // so the other one has it open
	compare(kind+".round_trip.go.vs_pipe", 2000, func(count int) {
		for range count {
			ours(0)
		}
	}, func(count int) {
		for range count {
			_, err := to.Write(b)
			must(err)
			_, err = from.Read(b)
			must(err)
		}
	})
	for _, process := range []*exec.Cmd{other, echo} {
		must(process.Process.Kill())
		process.Wait() // it was killed: that is no failure
	}
}

// answer is the other process.
func answer(kind, name string) {
	b := make([]byte, 1)
	for kind == "pipe" {
		if _, err := os.Stdin.Read(b); err != nil {
			return
		}
		_, err := os.Stdout.Write(b)
		must(err)
	}
	region, err := shmkit.Open(name)
	must(err)
	open, ok := trips[kind]
	if !ok {
		log.Fatalf("bench: no round trip of %q", kind)
	}
	for half := open(region); ; {
		half(1)
	}
}
