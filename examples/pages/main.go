// What the kernel knows of memory: which pages are there, how many page faults work on them costs, and how that changes when
// they are populated, let go, or made huge.
//
//	main 16     looks at 16 MiB of private memory
package main

import (
	"fmt"
	"os"
	"strconv"

	shmkit "github.com/shmkit/shmkit/go"
)

func show(what string, mapping *shmkit.Mapping) error {
	pages, err := mapping.Residency()
	if err != nil {
		return err
	}
	counts := pages.Counts()
	fmt.Printf("%s: %d of %d pages\n", what, counts.Resident, counts.Pages)
	return nil
}

// touch writes one byte in each page of the first bytes, and says how many faults that was.
func touch(mapping *shmkit.Mapping, length int) (int, error) {
	var used shmkit.Usage
	err := mapping.View(func(bytes []byte) (err error) {
		used, err = shmkit.CountUsage(func() {
			for at := 0; at < length; at += mapping.PageSize() {
				bytes[at] = 1
			}
		})
		return err
	})
	return used.MinorFaults + used.MajorFaults, err
}

func run(length int) error {
	mapping, err := shmkit.MapAnonymous(length, shmkit.WithPrivate(), shmkit.WithHugePages(shmkit.HugePagesNever))
	if err != nil {
		return err
	}
	defer mapping.Close()
	if err := show("untouched", mapping); err != nil {
		return err
	}

	// Memory comes when it is touched, by a page fault.
	eighth, err := touch(mapping, length/8)
	if err != nil {
		return err
	}
	if err := show("an eighth touched", mapping); err != nil {
		return err
	}
	if err := mapping.Advise(shmkit.AdvisePopulateWrite); err != nil {
		return err
	}
	if err := show("populated", mapping); err != nil {
		return err
	}
	all, err := touch(mapping, length)
	if err != nil {
		return err
	}
	fmt.Println("faults of the first touch:", choose(eighth > 0, "some", "none"))
	fmt.Println("faults when populated:", choose(all < eighth/8, "hardly any", "many"))

	if err := mapping.Advise(shmkit.AdviseDontNeed); err != nil {
		return err
	}
	if err := show("let go", mapping); err != nil {
		return err
	}

	// Fewer, larger pages, where the system allows them.
	huge, err := shmkit.MapAnonymous(length, shmkit.WithPrivate(), shmkit.WithHugePages(shmkit.HugePagesTransparent), shmkit.WithPopulate())
	if err != nil {
		return err
	}
	defer huge.Close()
	if err := show("populated, huge", huge); err != nil {
		return err
	}
	used, err := huge.MemoryUse()
	fmt.Printf("in huge pages: %d MiB\n", used.Huge>>20)
	return err
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

func main() {
	mib := 0
	if len(os.Args) == 2 {
		mib, _ = strconv.Atoi(os.Args[1])
	}
	if mib < 4 || mib > 1024 {
		fmt.Fprintln(os.Stderr, "usage: pages MIB (4 to 1024)")
		os.Exit(2)
	}
	if err := run(mib << 20); err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}
