// Counters: any number of processes, in any language, count together in one region, and lose nothing when one is killed.
//
//	main counters 100000     adds to three counters, so many times; start it as often as you like at the same time
//	main counters show       says what they are
//	main counters remove     removes the region
//
// The first is an atomic number, the second a plain one under a mutex, the third a plain one under a reader-writer lock.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	shmkit "github.com/shmkit/shmkit/go"
)

// Where the plain numbers are in the region, each a uint64 in the machine's byte order.
const (
	underMutex  = 0
	underRwLock = 8
)

type counters struct {
	region *shmkit.Region
	total  *shmkit.Atomic[uint64]
	totals *shmkit.Mutex
	table  *shmkit.RwLock
}

// open finds each object in the region by its name, or creates it if this process comes first.
func open(region *shmkit.Region) (*counters, error) {
	total, noTotal := region.AtomicU64("total", 0)
	totals, noTotals := region.Mutex("totals")
	table, noTable := region.RwLock("table")
	return &counters{region, total, totals, table}, errors.Join(noTotal, noTotals, noTable)
}

// lock is what a mutex and the write side of a reader-writer lock have in common.
type lock interface {
	Lock(ctx context.Context) error
	MakeConsistent() error
	Unlock() error
}

// addOne adds 1 to the number at an offset, under a lock.
func (c *counters) addOne(offset int64, lock lock) error {
	err := lock.Lock(context.Background())
	if errors.Is(err, shmkit.ErrOwnerDied) {
		// The lock is held even so. A number that is written at once is whole: there is nothing to repair.
		err = lock.MakeConsistent()
	}
	if err != nil {
		return err
	}
	defer lock.Unlock()
	number, err := c.read(offset)
	if err != nil {
		return err
	}
	_, err = c.region.WriteAt(binary.NativeEndian.AppendUint64(nil, number+1), offset)
	return err
}

func (c *counters) read(offset int64) (uint64, error) {
	var number [8]byte
	err := c.region.ReadFullAt(number[:], offset)
	return binary.NativeEndian.Uint64(number[:]), err
}

func (c *counters) add(count uint64) error {
	for range count {
		c.total.Add(1)
		if err := errors.Join(c.addOne(underMutex, c.totals), c.addOne(underRwLock, c.table)); err != nil {
			return err
		}
	}
	fmt.Printf("added %d three times\n", count)
	return nil
}

// show reads without the locks: each number is read at once, and nobody has to wait for us.
func (c *counters) show() error {
	first, err := c.read(underMutex)
	if err != nil {
		return err
	}
	second, err := c.read(underRwLock)
	if err != nil {
		return err
	}
	fmt.Printf("atomic %d, mutex %d, rwlock %d\n", c.total.Load(), first, second)
	return nil
}

func run(name, task string) error {
	var region *shmkit.Region
	var err error
	if task == "show" {
		region, err = shmkit.Open(name)
	} else {
		region, err = shmkit.OpenOrCreate(name, 4096)
	}
	if err != nil {
		return err
	}
	defer region.Close()
	counters, err := open(region)
	if err != nil {
		return err
	}
	if task == "show" {
		return counters.show()
	}
	count, err := strconv.ParseUint(task, 10, 64)
	if err != nil {
		return err
	}
	return counters.add(count)
}

func remove(name string) error {
	if err := shmkit.Unlink(name); err != nil {
		return err
	}
	fmt.Println("unlinked")
	return nil
}

func main() {
	usage := len(os.Args) != 3
	isCount := !usage && os.Args[2] != "" && strings.Trim(os.Args[2], "0123456789") == ""
	var err error
	switch {
	case !usage && os.Args[2] == "remove":
		err = remove(os.Args[1])
	case isCount, !usage && os.Args[2] == "show":
		err = run(os.Args[1], os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: counter NAME COUNT|show|remove")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}
