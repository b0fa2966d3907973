// A data race that the guard does not forbid: the race detector must still see it.
package main

import (
	"context"
	"log"
	"os"
	"sync"

	shmkit "github.com/shmkit/shmkit/go"
)

func main() {
	region, err := shmkit.Create(os.Args[1], 4096)
	if err != nil {
		log.Fatal(err)
	}
	defer shmkit.Unlink(os.Args[1])
	defer region.Close()
	sum := 0
	var all sync.WaitGroup
	for range 2 {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := region.Lock(context.Background()); err != nil {
				log.Fatal(err)
			}
			region.Unlock()
			sum++
		}()
	}
	all.Wait()
}
