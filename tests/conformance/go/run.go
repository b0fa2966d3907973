package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	shmkit "github.com/shmkit/shmkit/go"
)

// run does what a command says and returns the fields of its answer, each with a space before it.
func (r *runner) run(c command) (string, error) {
	switch c.op {
	case "hello":
		return fmt.Sprintf(" language=go pid=%d", os.Getpid()), nil
	case "region_create", "region_open", "region_open_or_create", "region_unlink":
		return r.openRegion(c)
	case "map_open", "map_anonymous":
		return r.openMapping(c)
	case "send_memory", "receive_memory":
		return r.passMemory(c)
	case "send_region", "receive_region":
		return r.passRegion(c)
	case "read", "write":
		return r.copyBytes(c)
	case "view":
		return r.takeView(c)
	case "view_read", "view_write", "view_release":
		return r.useView(c)
	case "region_info":
		region, err := find[*shmkit.Region](r, c)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(" len=%d read_only=%d id=%x locked=%d",
			region.Len(), digit(region.ReadOnly()), region.ID(), digit(region.Locked())), nil
	case "add", "rw_add":
		return "", r.add(c)
	case "flush":
		o, err := find[memory](r, c)
		if err != nil {
			return "", err
		}
		return "", flush(o, c)
	case "check", "resize":
		o, err := find[memory](r, c)
		if err != nil {
			return "", err
		}
		return checkOrResize(o, c)
	case "protect", "advise", "lock_memory", "unlock_memory", "residency":
		mapping, err := find[*shmkit.Mapping](r, c)
		if err != nil {
			return "", err
		}
		if c.op == "residency" {
			return residency(mapping, c)
		}
		return "", change(mapping, c)
	case "close":
		o, err := find[object](r, c)
		if err != nil {
			return "", err
		}
		return "", o.Close()
	case "drop":
		return r.drop(c)
	case "die":
		return "", syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if strings.HasPrefix(c.op, "log_") {
		return r.logs.run(c)
	}
	if strings.HasPrefix(c.op, "windows_") {
		return r.runWindows(c)
	}
	return r.runNamed(c)
}

// heldAnyway reports whether err says that an owner died; it is no failure then, because the guard is held.
func heldAnyway(err error) (bool, error) {
	if errors.Is(err, shmkit.ErrOwnerDied) {
		return true, nil
	}
	return false, err
}

// guard is what has a lock and its repair: a region, a mutex, the write side of a reader-writer lock.
type guard interface {
	Lock(ctx context.Context) error
	TryLock() (bool, error)
	Unlock() error
	MakeConsistent() error
}

// add adds under the region's guard, or under another lock that the command names.
func (r *runner) add(c command) error {
	region, err := find[*shmkit.Region](r, c)
	if err != nil {
		return err
	}
	lock := guard(region)
	for _, argument := range []string{"mutex", "rwlock"} {
		if c.has(argument) {
			if lock, err = named[guard](r, c, argument); err != nil {
				return err
			}
		}
	}
	offset, err := c.number("offset")
	if err != nil {
		return err
	}
	count, err := c.number("count")
	if err != nil {
		return err
	}
	for range count {
		if err := addOne(region, lock, int64(offset)); err != nil {
			return err
		}
	}
	return nil
}

func addOne(region *shmkit.Region, lock guard, offset int64) (err error) {
	died, err := heldAnyway(lock.Lock(context.Background()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if died {
		if err := lock.MakeConsistent(); err != nil {
			return err
		}
	}
	number := make([]byte, 8)
	if err := region.ReadFullAt(number, offset); err != nil {
		return err
	}
	binary.NativeEndian.PutUint64(number, binary.NativeEndian.Uint64(number)+1)
	_, err = region.WriteAt(number, offset)
	return err
}

func flush(o memory, c command) error {
	offset, length, err := c.span(o.Len())
	if err != nil {
		return err
	}
	mode := shmkit.FlushSync
	if c.flag("async") {
		mode |= shmkit.FlushAsync
	}
	if c.flag("invalidate") {
		mode |= shmkit.FlushInvalidate
	}
	return o.FlushRange(offset, length, mode)
}

func checkOrResize(o memory, c command) (string, error) {
	if c.op == "check" {
		return "", o.Check()
	}
	length, err := c.number("len")
	if err != nil {
		return "", err
	}
	if err := o.Resize(int(length)); err != nil {
		return "", err
	}
	return fmt.Sprintf(" len=%d", o.Len()), nil
}

func residency(mapping *shmkit.Mapping, c command) (string, error) {
	offset, length, err := c.span(mapping.Len())
	if err != nil {
		return "", err
	}
	states, err := mapping.ResidencyRange(offset, length)
	if err != nil {
		return "", err
	}
	counts := states.Counts()
	return fmt.Sprintf(" pages=%d resident=%d", counts.Pages, counts.Resident), nil
}

func change(mapping *shmkit.Mapping, c command) error {
	offset, length, err := c.span(mapping.Len())
	if err != nil {
		return err
	}
	if c.op == "protect" {
		protection, err := protectionOf(c)
		if err != nil {
			return err
		}
		return mapping.ProtectRange(offset, length, protection)
	}
	switch c.op {
	case "lock_memory":
		how := shmkit.LockNow
		if c.flag("on_fault") {
			how = shmkit.LockOnFault
		}
		return mapping.LockMemoryRange(offset, length, how)
	case "unlock_memory":
		return mapping.UnlockMemoryRange(offset, length)
	}
	advice, err := adviceOf(c, "advice")
	if err != nil {
		return err
	}
	return mapping.AdviseRange(offset, length, advice)
}

func adviceOf(c command, key string) (shmkit.Advice, error) {
	advices := map[string]shmkit.Advice{
		"normal": shmkit.AdviseNormal, "random": shmkit.AdviseRandom, "sequential": shmkit.AdviseSequential,
		"will_need": shmkit.AdviseWillNeed, "dont_need": shmkit.AdviseDontNeed,
	}
	advice, ok := advices[c.arguments[key]]
	if !ok {
		return 0, fmt.Errorf("%s=%s", key, c.arguments[key])
	}
	return advice, nil
}

func digit(flag bool) int {
	if flag {
		return 1
	}
	return 0
}
