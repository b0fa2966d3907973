// The Go worker of the word count: see README.md in this folder for what the workers share.
//
//	wordcount CORPUS REGION [--doomed]
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log"
	"os"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

const (
	me      = 4
	workers = 4

	chunkCount  = 0
	chunkSize   = 8
	active      = 16
	cursor      = 24
	inside      = 32
	ready       = 40
	waiting     = 48
	givenBack   = 56
	givenBackBy = 64
	taken       = 4096
	results     = 32768
	resultLen   = 32768
	byWorker    = 24
	byLength    = 64
	done        = 4096
)

type counts struct {
	words, lines uint64
	byLength     [32]uint64
}

// The user bytes of the region: touched only while the guard is held.
type table []byte

func (t table) get(offset uint64) uint64       { return binary.NativeEndian.Uint64(t[offset:]) }
func (t table) put(offset uint64, to uint64)   { binary.NativeEndian.PutUint64(t[offset:], to) }
func (t table) add(offset uint64, more uint64) { t.put(offset, t.get(offset)+more) }

func isWord(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '_'
}

// count counts the words that begin between start and end, and the lines that end there.
func count(text []byte, start, end int) counts {
	var c counts
	at := start
	if start > 0 && isWord(text[start-1]) {
		for at < end && isWord(text[at]) {
			at++
		}
	}
	for at < end {
		begin := at
		for at < len(text) && isWord(text[at]) {
			at++
		}
		if at == begin {
			at++
			continue
		}
		c.words++
		c.byLength[min(at-begin, 32)-1]++
	}
	c.lines = uint64(bytes.Count(text[start:end], []byte{'\n'}))
	return c
}

// locked runs f under the guard. If the guard's last owner died, the chunk that it was merging is freed first.
func locked(region *shmkit.Region, f func(t table) error) error {
	err := region.Lock(context.Background())
	if err != nil && !errors.Is(err, shmkit.ErrOwnerDied) {
		return err
	}
	defer region.Unlock()
	return region.View(func(data []byte) error {
		if err != nil {
			giveBack(data)
			if err := region.MakeConsistent(); err != nil {
				return err
			}
		}
		return f(data)
	})
}

func giveBack(t table) {
	dead := t.get(inside)
	finished := results + t.get(active)*resultLen + done
	for chunk := range t.get(chunkCount) {
		if dead != 0 && uint64(t[taken+chunk]) == dead && t[finished+chunk] == 0 {
			t[taken+chunk] = 0
			t.put(cursor, min(t.get(cursor), chunk))
			t.add(givenBack, 1)
			t.put(givenBackBy, me)
		}
	}
	t.put(inside, 0)
}

// takeChunk returns the next free chunk, or -1 when there is none at the moment; and whether all are done.
func takeChunk(region *shmkit.Region) (chunk int, finished bool, err error) {
	err = locked(region, func(t table) error {
		next := t.get(cursor)
		for next < t.get(chunkCount) && t[taken+next] != 0 {
			next++
		}
		t.put(cursor, next)
		if next < t.get(chunkCount) {
			t[taken+next] = me
			chunk = int(next)
			return nil
		}
		chunk = -1
		finished = t.get(results+t.get(active)*resultLen+16) == t.get(chunkCount)
		return nil
	})
	return chunk, finished, err
}

// merge adds a chunk's counts to the results; the store to active is what makes them count.
func merge(region *shmkit.Region, chunk int, c *counts, doomed bool) error {
	return locked(region, func(t table) error {
		t.put(inside, me)
		valid := t.get(active)
		from, to := results+valid*resultLen, results+(1-valid)*resultLen
		copy(t[to:to+resultLen], t[from:from+resultLen])
		t.add(to, c.words)
		if doomed {
			t.put(waiting, 1)
			time.Sleep(time.Minute)
		}
		t.add(to+8, c.lines)
		t.add(to+16, 1)
		t.add(to+byWorker+(me-1)*8, 1)
		for i, words := range c.byLength {
			t.add(to+byLength+uint64(i)*8, words)
		}
		t[to+done+uint64(chunk)] = 1
		t.put(active, 1-valid)
		t.put(inside, 0)
		return nil
	})
}

func work(corpusPath, name string, doomed bool) error {
	corpus, err := shmkit.Map(corpusPath)
	if err != nil {
		return err
	}
	defer corpus.Close()
	region, err := shmkit.Open(name)
	if err != nil {
		return err
	}
	defer region.Close()

	var size int
	err = locked(region, func(t table) error {
		t.add(ready, 1)
		size = int(t.get(chunkSize))
		return nil
	})
	for all := false; !all && err == nil; time.Sleep(time.Millisecond) {
		err = locked(region, func(t table) error { all = t.get(ready) == workers; return nil })
	}
	if err != nil {
		return err
	}
	return corpus.ViewReadOnly(func(text []byte) error {
		for mine := 1; ; {
			chunk, finished, err := takeChunk(region)
			if err != nil || finished {
				return err
			}
			if chunk < 0 {
				time.Sleep(time.Millisecond)
				continue
			}
			c := count(text, chunk*size, min((chunk+1)*size, len(text)))
			if err := merge(region, chunk, &c, doomed && mine == 3); err != nil {
				return err
			}
			mine++
		}
	})
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: wordcount CORPUS REGION [--doomed]")
	}
	if err := work(os.Args[1], os.Args[2], len(os.Args) > 3 && os.Args[3] == "--doomed"); err != nil {
		log.Fatal("wordcount: ", err)
	}
}
