package shmkit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

func Example() {
	name := fmt.Sprintf("example-%d", os.Getpid())
	region, err := shmkit.Create(name, 4096)
	if err != nil {
		log.Fatal(err)
	}
	defer region.Close()
	defer shmkit.Unlink(name)

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := region.Lock(ctx); err != nil {
		log.Fatal(err)
	}
	if _, err := region.WriteAt([]byte("Hi"), 0); err != nil {
		log.Fatal(err)
	}
	if err := region.Unlock(); err != nil {
		log.Fatal(err)
	}

	same, err := shmkit.Open(name) // usually in another process, in any language
	if err != nil {
		log.Fatal(err)
	}
	defer same.Close()
	bytes := make([]byte, 2)
	if err := same.ReadFullAt(bytes, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", bytes)
	// Output: Hi
}

func ExampleOpen_errors() {
	_, err := shmkit.Open("no-such-region")
	fmt.Println(err)
	fmt.Println(errors.Is(err, shmkit.ErrNotFound), errors.Is(err, fs.ErrNotExist))
	// Output:
	// cannot open region 'no-such-region': does not exist (ENOENT); create it first, or use open_or_create
	// true true
}

// The guard is held when Lock reports that its last owner died: repair what it guards, then say so.
func ExampleRegion_Lock_ownerDied() {
	name := fmt.Sprintf("example-lock-%d", os.Getpid())
	region, err := shmkit.OpenOrCreate(name, 4096)
	if err != nil {
		log.Fatal(err)
	}
	defer region.Close()
	defer shmkit.Unlink(name)

	repair := func(r *shmkit.Region) {} // puts the bytes in order, whatever a killed process left
	err = region.Lock(context.Background())
	if errors.Is(err, shmkit.ErrOwnerDied) {
		repair(region)
		err = region.MakeConsistent()
	}
	if err != nil {
		log.Fatal(err)
	}
	defer region.Unlock()
	fmt.Println("locked, and in order")
	// Output: locked, and in order
}

func ExampleRegion_View() {
	name := fmt.Sprintf("example-view-%d", os.Getpid())
	region, err := shmkit.Create(name, 4096)
	if err != nil {
		log.Fatal(err)
	}
	defer region.Close()
	defer shmkit.Unlink(name)

	err = region.View(func(bytes []byte) error {
		binary.NativeEndian.PutUint64(bytes, 42)
		err := region.Close() // a view keeps the region open
		fmt.Println(errors.Is(err, shmkit.ErrBusy))
		return nil
	})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

func ExampleMap() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("example-%d.bin", os.Getpid()))
	defer os.Remove(path)
	mapping, err := shmkit.Map(path, shmkit.WithCreate(), shmkit.WithLen(4096), shmkit.WithProtection(shmkit.ProtectReadWrite))
	if err != nil {
		log.Fatal(err)
	}
	defer mapping.Close()
	if _, err := mapping.WriteAt([]byte("Hi"), 0); err != nil {
		log.Fatal(err)
	}
	if err := mapping.Flush(shmkit.FlushSync); err != nil {
		log.Fatal(err)
	}
	file, err := os.ReadFile(path)
	fmt.Printf("%s, %d bytes, %v\n", file[:2], len(file), err)
	// Output: Hi, 4096 bytes, <nil>
}

func ExampleSliceAs() {
	mapping, err := shmkit.MapAnonymous(4096)
	if err != nil {
		log.Fatal(err)
	}
	defer mapping.Close()
	err = mapping.View(func(bytes []byte) error {
		samples, err := shmkit.SliceAs[float64](bytes)
		if err != nil {
			return err
		}
		samples[1] = 0.5
		fmt.Println(len(samples), samples[:2])
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 512 [0 0.5]
}
