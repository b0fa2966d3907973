package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

const patience = 20 * time.Second

// peer returns a connection to the socket that a command names: to the first who comes, or to who listens there.
func peer(c command) (*net.UnixConn, error) {
	path, err := c.text("path")
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(c.op, "send") {
		listener, err := net.Listen("unix", path)
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		connection, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		return connection.(*net.UnixConn), nil
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		connection, err := net.Dial("unix", path)
		if err == nil {
			return connection.(*net.UnixConn), nil
		}
		if time.Now().After(deadline) {
			return nil, err
		}
	}
}

// exchange sends a segment, or receives one when there is none.
func exchange(c command, segment *shmkit.Segment) (*shmkit.Segment, error) {
	connection, err := peer(c)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if segment == nil {
		return shmkit.ReceiveSegment(ctx, connection)
	}
	return segment, segment.Send(ctx, connection)
}

func (r *runner) passMemory(c command) (string, error) {
	var segment *shmkit.Segment
	if c.op == "send_memory" {
		length, err := c.number("len")
		if err != nil {
			return "", err
		}
		if segment, err = shmkit.NewMemfd("conformance", int64(length)); err != nil {
			return "", err
		}
		if err := segment.Seal(shmkit.SealShrink); err != nil {
			return "", err
		}
	}
	segment, err := exchange(c, segment)
	if err != nil {
		return "", err
	}
	defer segment.Close()
	mapping, err := segment.Map(shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		return "", err
	}
	seals, err := segment.Seals()
	if err != nil {
		return "", err
	}
	fields, err := r.keep(c, mapping)
	if err == nil && c.op == "receive_memory" {
		fields += fmt.Sprintf(" sealed=%d", digit(seals&shmkit.SealShrink != 0))
	}
	return fields, err
}

func (r *runner) passRegion(c command) (string, error) {
	var region *shmkit.Region
	var segment *shmkit.Segment
	if c.op == "send_region" {
		length, err := c.number("len")
		if err != nil {
			return "", err
		}
		if region, err = shmkit.CreateUnnamed(int(length)); err != nil {
			return "", err
		}
		file, err := region.File()
		if err != nil {
			return "", err
		}
		defer file.Close()
		if segment, err = shmkit.SegmentFromFile(file); err != nil {
			return "", err
		}
	}
	segment, err := exchange(c, segment)
	if err != nil {
		return "", err
	}
	defer segment.Close()
	if region == nil {
		file, err := segment.File()
		if err != nil {
			return "", err
		}
		defer file.Close()
		if region, err = shmkit.RegionFromFile(file); err != nil {
			return "", err
		}
	}
	return r.keep(c, region)
}
