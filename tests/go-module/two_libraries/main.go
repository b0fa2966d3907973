// A program with two libraries written in Rust, each with its own copy of Rust's runtime: both panic, both catch it, and
// neither gets in the other's way.
package main

// #cgo LDFLAGS: -L${SRCDIR} -lother
// #include <stdbool.h>
// int other_panics(void);
// extern bool no_page_size;
import "C"

import (
	"errors"
	"fmt"
	"log"

	shmkit "github.com/shmkit/shmkit/go"
)

func main() {
	// A page size of 0 is what no system has, and the library divides by it.
	C.no_page_size = true
	for range 3 {
		if C.other_panics() != 1 {
			log.Fatal("the other library did not catch its panic")
		}
		_, err := shmkit.MapAnonymous(4096)
		if !errors.Is(err, shmkit.ErrInternal) {
			log.Fatalf("expected a panic inside, got: %v", err)
		}
	}
	fmt.Println("both caught their panics")
}
