package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	shmkit "github.com/shmkit/shmkit/go"
)

// mostBlocks is the most that a player has.
const mostBlocks = 4

// pool is a pool and the blocks of it that this process was given, by their handles.
type pool struct {
	*shmkit.Pool
	blocks map[uint64]shmkit.PoolBlock
}

// openPool opens the pool that a command names, or creates it; without a block size, only one that exists.
func openPool(region *shmkit.Region, name string, c command) (object, error) {
	var opened *shmkit.Pool
	if c.has("block_size") {
		var numbers [3]int
		for i, key := range []string{"block_size", "count", "alignment"} {
			number, err := c.numberOr(key, 0)
			if err != nil {
				return nil, err
			}
			numbers[i] = int(min(number, math.MaxInt))
		}
		p, err := region.Pool(name, numbers[0], numbers[1], shmkit.WithAlignment(numbers[2]))
		if err != nil {
			return nil, err
		}
		opened = p
	} else {
		p, err := region.FindPool(name)
		if err != nil {
			return nil, err
		}
		opened = p
	}
	return &pool{opened, map[uint64]shmkit.PoolBlock{}}, nil
}

func (p *pool) keep(block shmkit.PoolBlock) uint64 {
	p.blocks[block.Handle()] = block
	return block.Handle()
}

// runPool does what a command says with a pool.
func (r *runner) runPool(ctx context.Context, p *pool, c command) (string, error) {
	switch c.op {
	case "pool_allocate":
		block, err := p.Allocate(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(" block=%d", p.keep(block)), nil
	case "pool_try_allocate":
		block, taken, err := p.TryAllocate()
		if err != nil || !taken {
			return " taken=0 block=0", err
		}
		return fmt.Sprintf(" taken=1 block=%d", p.keep(block)), nil
	case "pool_adopt":
		handle, err := c.number("block")
		if err != nil {
			return "", err
		}
		block, err := p.Adopt(handle)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(" block=%d size=%d", p.keep(block), len(block.Bytes())), nil
	case "pool_recover":
		count, err := p.Recover()
		return fmt.Sprintf(" count=%d", count), err
	case "pool_info":
		s, err := p.Status()
		return fmt.Sprintf(" size=%d stride=%d total=%d free=%d owned=%d published=%d damaged=%d recovered=%d",
			s.BlockSize, s.Stride, s.Total, s.Free, s.Owned, s.Published, s.Damaged, s.Recovered), err
	case "pool_blocks":
		return listBlocks(p)
	case "pool_play":
		post, err := named[*shmkit.Atomic[uint64]](r, c, "post")
		if err != nil {
			return "", err
		}
		return "", playPool(ctx, p.Pool, post, c)
	}
	return p.useBlock(c)
}

// useBlock does what a command says with a block. What was once given stays known, also when it was freed.
func (p *pool) useBlock(c command) (string, error) {
	handle, err := c.number("block")
	if err != nil {
		return "", err
	}
	block, known := p.blocks[handle]
	if !known {
		return "", fmt.Errorf("no block %d", handle)
	}
	switch c.op {
	case "pool_write":
		data, err := c.bytes("data")
		if err != nil {
			return "", err
		}
		copy(block.Bytes(), data)
		return "", nil
	case "pool_read":
		length, err := c.number("len")
		if err != nil {
			return "", err
		}
		return " data=" + hex.EncodeToString(block.Bytes()[:length]), nil
	case "pool_free":
		return "", block.Free()
	case "pool_publish":
		_, err := block.Publish()
		return "", err
	}
	return unknown(c)
}

func listBlocks(p *pool) (string, error) {
	blocks, err := p.Blocks()
	if err != nil {
		return "", err
	}
	var states strings.Builder
	var published []string
	mine := 0
	for _, block := range blocks {
		states.WriteByte("fopd"[block.State])
		mine += digit(block.Mine)
		if block.State == shmkit.BlockPublished {
			published = append(published, strconv.FormatUint(block.Handle, 10))
		}
	}
	return fmt.Sprintf(" states=%s mine=%d published=%s", states.String(), mine, strings.Join(published, ",")), nil
}

// playPool does so many steps at random, on blocks that hold one byte all over; some go to others by way of the post. In the
// end all that it has are freed.
func playPool(ctx context.Context, p *shmkit.Pool, post *shmkit.Atomic[uint64], c command) error {
	seed, err := c.number("seed")
	if err != nil {
		return err
	}
	count, err := c.number("count")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var held []shmkit.PoolBlock
	random, fill := seed, byte(seed)
	for range count {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		if len(held) == 0 || len(held) < mostBlocks && random&1 != 0 {
			block, taken, err := takeBlock(ctx, p, len(held) == 0)
			if err != nil {
				return err
			}
			if taken {
				fillBytes(block.Bytes(), fill)
				held = append(held, block)
			}
			continue
		}
		index, last := int((random>>8)%uint64(len(held))), len(held)-1
		block := held[index]
		held[index] = held[last]
		held = held[:last]
		if !holdsOnly(block, fill) {
			return errors.New("somebody else wrote into a block")
		}
		if random>>1&3 != 0 {
			if err := block.Free(); err != nil {
				return err
			}
			continue
		}
		handle, err := block.Publish()
		if err != nil {
			return err
		}
		block, err = p.Adopt(post.Swap(handle))
		if errors.Is(err, shmkit.ErrStaleHandle) || errors.Is(err, shmkit.ErrInvalidBlock) {
			continue // nothing lay there, or somebody who lists the published ones was faster
		}
		if err != nil {
			return err
		}
		if !holdsOnly(block, block.Bytes()[0]) {
			return errors.New("somebody wrote into a published block")
		}
		fillBytes(block.Bytes(), fill)
		held = append(held, block)
	}
	for _, block := range held {
		err = errors.Join(err, block.Free())
	}
	return err
}

// takeBlock takes a block, waiting for it if told so.
func takeBlock(ctx context.Context, p *shmkit.Pool, wait bool) (shmkit.PoolBlock, bool, error) {
	if !wait {
		return p.TryAllocate()
	}
	block, err := p.Allocate(ctx)
	return block, err == nil, err
}

func holdsOnly(block shmkit.PoolBlock, fill byte) bool {
	return bytes.Count(block.Bytes(), []byte{fill}) == len(block.Bytes())
}

func fillBytes(data []byte, fill byte) {
	for i := range data {
		data[i] = fill
	}
}
