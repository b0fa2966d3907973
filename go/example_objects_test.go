package shmkit_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// exampleRegion returns a region that is gone when done is called.
func exampleRegion() (region *shmkit.Region, done func()) {
	name := fmt.Sprintf("example-objects-%d", os.Getpid())
	region, err := shmkit.Create(name, 4096)
	if err != nil {
		log.Fatal(err)
	}
	return region, func() { shmkit.Unlink(name); region.Close() }
}

func ExampleRegion_Mutex() {
	region, done := exampleRegion()
	defer done()
	totals, err := region.Mutex("totals") // the same for every process that asks for this name
	if err != nil {
		log.Fatal(err)
	}
	defer totals.Close()

	err = totals.Lock(context.Background())
	if errors.Is(err, shmkit.ErrOwnerDied) {
		// Somebody was killed in here: repair what the mutex guards, then:
		err = totals.MakeConsistent()
	}
	if err != nil {
		log.Fatal(err)
	}
	defer totals.Unlock()
	fmt.Println(totals.Locked())
	// Output: true
}

func ExampleRegion_Semaphore() {
	region, done := exampleRegion()
	defer done()
	// Three may use the device at once; the permit of a process that dies comes back.
	device, err := region.Semaphore("device", 3, shmkit.Tracked())
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := device.Acquire(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(device.Available())
	if err := device.Release(1); err != nil {
		log.Fatal(err)
	}
	// Output: 2
}

func ExampleCondvar_Wait() {
	region, done := exampleRegion()
	defer done()
	mutex, err := region.Mutex("queue")
	if err != nil {
		log.Fatal(err)
	}
	defer mutex.Close()
	filled, err := region.Condvar("filled")
	if err != nil {
		log.Fatal(err)
	}
	defer filled.Close()

	go func() { // usually another process
		mutex.Lock(context.Background())
		region.WriteAt([]byte{42}, 0)
		filled.NotifyOne()
		mutex.Unlock()
	}()

	first := make([]byte, 1)
	if err := mutex.Lock(context.Background()); err != nil {
		log.Fatal(err)
	}
	defer mutex.Unlock()
	for region.ReadFullAt(first, 0) == nil && first[0] == 0 {
		if err := filled.Wait(context.Background(), mutex); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(first[0])
	// Output: 42
}

func ExampleRegion_Event() {
	region, done := exampleRegion()
	defer done()
	ready, err := region.Event("ready", shmkit.ManualReset)
	if err != nil {
		log.Fatal(err)
	}
	defer ready.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	fmt.Println(errors.Is(ready.Wait(ctx), context.DeadlineExceeded))
	if err := ready.Set(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ready.Wait(ctx)) // it is set: nothing to wait for
	// Output:
	// true
	// <nil>
}

func ExampleAtomic() {
	region, done := exampleRegion()
	defer done()
	hits, err := region.AtomicU64("hits", 10)
	if err != nil {
		log.Fatal(err)
	}
	defer hits.Close()
	fmt.Println(hits.Add(1), hits.Load())
	// Output: 10 11
}
