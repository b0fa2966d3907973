// What a user's first program may look like: it makes a region, fills it under the guard and reads it through another
// handle.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"

	shmkit "github.com/shmkit/shmkit/go"
)

func main() {
	name := os.Args[1]
	region, err := shmkit.Create(name, 4096)
	if err != nil {
		log.Fatal(err)
	}
	defer shmkit.Unlink(name)
	defer region.Close()
	sum := 0
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 1000 {
				if err := region.Lock(context.Background()); err != nil {
					log.Fatal(err)
				}
				sum++
				if err := region.Unlock(); err != nil {
					log.Fatal(err)
				}
			}
		}()
	}
	all.Wait()
	same, err := shmkit.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer same.Close()
	fmt.Println(sum, same.Len())
}
