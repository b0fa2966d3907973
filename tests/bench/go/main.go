// Times the Go face beside its peers: see ../rust/src/main.rs for the method. Arguments: the groups wanted, or none for all.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// Rounds, and into how many of them the operations of one case are divided: see ../rust/src/main.rs.
const (
	rounds = 101
	parts  = 10
)

func compare(name string, count int, ours, peer func(count int)) {
	count = max(count/parts, 1)
	timeOf := func(work func(int)) float64 {
		start := time.Now()
		work(count)
		return float64(time.Since(start).Nanoseconds()) / float64(count)
	}
	ours(count)
	peer(count)
	var ourTimes, peerTimes []float64
	for range rounds {
		ourTimes = append(ourTimes, timeOf(ours))
		peerTimes = append(peerTimes, timeOf(peer))
	}
	slices.Sort(ourTimes)
	slices.Sort(peerTimes)
	fmt.Printf("{\"name\": %q, \"ours_ns\": %.3f, \"peer_ns\": %.3f}\n", name, ourTimes[rounds/2], peerTimes[rounds/2])
}

func must(err error) {
	if err != nil {
		log.Fatal("bench: ", err)
	}
}

func scratchRegion(tag string, size int) *shmkit.Region {
	name := fmt.Sprintf("bench-%s-%d", tag, os.Getpid())
	region, err := shmkit.Create(name, size)
	must(err)
	must(shmkit.Unlink(name))
	return region
}

func runLock() {
	region := scratchRegion("go-lock", 4096)
	defer region.Close()
	ctx := context.Background()
	var mutex sync.Mutex
	compare("lock.uncontended.go.vs_sync_mutex", 2_000_000, func(count int) {
		for range count {
			must(region.Lock(ctx))
			must(region.Unlock())
		}
	}, func(count int) {
		for range count {
			mutex.Lock()
			mutex.Unlock() //nolint:staticcheck // an empty section is what is timed
		}
	})
}

func runCopy() {
	for _, size := range []struct {
		label string
		len   int
		count int
	}{{"64b", 64, 1_000_000}, {"4k", 4096, 200_000}, {"1m", 1 << 20, 400}} {
		region := scratchRegion("go-copy", size.len)
		source, target := make([]byte, size.len), make([]byte, size.len)
		compare("copy.write_"+size.label+".go.vs_memcpy", size.count, func(count int) {
			for range count {
				_, err := region.WriteAt(source, 0)
				must(err)
			}
		}, func(count int) {
			for range count {
				copy(target, source)
			}
		})
		must(region.Close())
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 4 && os.Args[1] == answerer {
		answer(os.Args[2], os.Args[3])
		return
	}
	if len(os.Args) > 5 && os.Args[1] == ipcAnswerer {
		answerIPC(os.Args[2:])
		return
	}
	wanted := func(group string) bool { return len(os.Args) == 1 || slices.Contains(os.Args[1:], group) }
	for _, group := range []struct {
		name string
		run  []func()
	}{
		{"lock", []func(){runLock, runMutex}},
		{"copy", []func(){runCopy}},
		{"rwlock", []func(){runRwLock}},
		{"semaphore", []func(){runSemaphore}},
		{"atomic", []func(){runAtomic}},
		{"fault", []func(){runFault}},
		{"event", []func(){func() { runTrip("event") }}},
		{"condvar", []func(){func() { runTrip("condvar") }}},
		{"heap", []func(){runHeap}},
		{"windows", []func(){runWindows}},
		{"flush", []func(){runFlush}},
		{"pages", []func(){runPages}},
		{"ipc", []func(){runIPC}},
		{"log", []func(){runLog}},
		{"pool", []func(){runPool}},
		{"value", []func(){runValue}},
	} {
		if wanted(group.name) {
			for _, run := range group.run {
				run()
			}
		}
	}
}
