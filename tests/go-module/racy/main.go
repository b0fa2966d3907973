// Two goroutines pass through an object of a region and then change one variable. With "outside" they change it where the
// object does not order them, which the race detector must still see; with "inside" where it does, and there is nothing to
// see.
package main

import (
	"context"
	"log"
	"os"
	"sync"

	shmkit "github.com/shmkit/shmkit/go"
)

// A section is what an object orders: from enter to leave, one goroutine at a time.
type section struct {
	enter, leave func(ctx context.Context) error
}

func sectionOf(region *shmkit.Region, kind string) section {
	unlocking := func(unlock func() error) func(context.Context) error {
		return func(context.Context) error { return unlock() }
	}
	switch kind {
	case "region":
		return section{region.Lock, unlocking(region.Unlock)}
	case "mutex":
		mutex, err := region.Mutex(kind)
		must(err)
		return section{mutex.Lock, unlocking(mutex.Unlock)}
	case "rwlock":
		lock, err := region.RwLock(kind)
		must(err)
		return section{lock.Lock, unlocking(lock.Unlock)}
	case "semaphore":
		semaphore, err := region.Semaphore(kind, 1)
		must(err)
		return section{semaphore.Acquire, unlocking(func() error { return semaphore.Release(1) })}
	case "event":
		event, err := region.Event(kind, shmkit.AutomaticReset)
		must(err)
		must(event.Set())
		return section{event.Wait, unlocking(event.Set)}
	}
	log.Fatalf("no object of kind %q", kind)
	return section{}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	name, kind, place := os.Args[1], os.Args[2], os.Args[3]
	region, err := shmkit.Create(name, 4096)
	must(err)
	must(shmkit.Unlink(name))
	section := sectionOf(region, kind)
	sum := 0
	var all sync.WaitGroup
	for range 2 {
		all.Add(1)
		go func() {
			defer all.Done()
			if place == "outside" {
				sum++
			}
			must(section.enter(context.Background()))
			if place == "inside" {
				sum++
			}
			must(section.leave(context.Background()))
			if place == "outside" {
				sum++
			}
		}()
	}
	all.Wait()
}
