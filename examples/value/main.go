// Readings: a small struct that one process writes and any number read, in any language: nobody sees a half of one.
//
//	main station write 1000   writes so many readings, one after the other; kill it, and the last whole one stays
//	main station watch 1000   reads until somebody wrote that many, and checks that each is whole
//	main station limit 40     sets a number beside them
//	main station show         says which reading is the last, and the number
//	main station remove       removes the region
//
// Readers wait for nobody, and a writer that is killed in the middle of a reading leaves the one before.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// reading is what seven sensors said: here each of them says the reading's number.
type reading struct {
	Number  uint64
	Sensors [7]float64
}

func (r reading) isWhole() bool {
	for _, said := range r.Sensors {
		if said != float64(r.Number) {
			return false
		}
	}
	return true
}

func following(r reading) reading {
	r.Number++
	for i := range r.Sensors {
		r.Sensors[i] = float64(r.Number)
	}
	return r
}

type station struct {
	reading *shmkit.Value[reading]
	limit   *shmkit.Value[uint32]
}

func valuesOf(region *shmkit.Region) (*station, error) {
	last, noReading := shmkit.OpenValue(region, "reading", reading{})
	limit, noLimit := shmkit.OpenValue[uint32](region, "limit", 30)
	return &station{last, limit}, errors.Join(noReading, noLimit)
}

func open(name string) (*station, error) {
	region, err := shmkit.OpenOrCreate(name, 4096)
	if err != nil {
		return nil, err
	}
	defer region.Close() // what is opened in it stays open
	return valuesOf(region)
}

func (s *station) write(count uint64) error {
	for range count {
		if _, err := s.reading.Update(following); err != nil {
			return err
		}
	}
	fmt.Printf("wrote %d readings\n", count)
	return nil
}

func (s *station) watch(count uint64) error {
	torn := 0
	for {
		now, err := s.reading.Load()
		if err != nil {
			return err
		}
		if !now.isWhole() {
			torn++
		}
		if now.Number >= count {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	fmt.Printf("watched up to %d, %d torn\n", count, torn)
	return nil
}

func (s *station) setLimit(number uint64) error {
	if err := s.limit.Store(uint32(number)); err != nil {
		return err
	}
	fmt.Printf("limit %d\n", number)
	return nil
}

func show(name string) error {
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	defer region.Close()
	find, err := region.WithMode(shmkit.Find) // they must be there: nothing is created
	if err != nil {
		return err
	}
	defer find.Close()
	s, err := valuesOf(find)
	if err != nil {
		return err
	}
	now, err := s.reading.Load()
	if err != nil {
		return err
	}
	limit, err := s.limit.Load()
	if err != nil {
		return err
	}
	state := "torn"
	if now.isWhole() {
		state = "whole"
	}
	fmt.Printf("reading %d, %s, limit %d\n", now.Number, state, limit)
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
	case len(words) == 3:
		does := map[string]func(*station, uint64) error{
			"write": (*station).write, "watch": (*station).watch, "limit": (*station).setLimit,
		}[words[1]]
		number, err := strconv.ParseUint(words[2], 10, 64)
		if does == nil || err != nil {
			return false, nil
		}
		s, err := open(words[0])
		if err == nil {
			err = does(s, number)
		}
		return true, err
	}
	return false, nil
}

func main() {
	understood, err := run(os.Args[1:])
	if !understood {
		fmt.Fprintln(os.Stderr, "usage: value NAME write COUNT|watch COUNT|limit NUMBER|show|remove")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "value:", err)
		os.Exit(1)
	}
}
