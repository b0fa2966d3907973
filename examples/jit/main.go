// Code made at run time: a function that adds a number to its argument, for x86-64 or AArch64.
//
//	main NUMBER ARGUMENT
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	shmkit "github.com/shmkit/shmkit/go"
)

// add returns the machine code of `argument + number`.
func add(number uint16) []byte {
	little := binary.LittleEndian
	if runtime.GOARCH == "amd64" {
		code := little.AppendUint32([]byte{0x48, 0x8d, 0x87}, uint32(number)) // lea rax, [rdi + number]
		return append(code, 0xc3)                                             // ret
	}
	code := little.AppendUint32(nil, 0xd2800001|uint32(number)<<5) // mov x1, number
	code = little.AppendUint32(code, 0x8b010000)                   // add x0, x0, x1
	return little.AppendUint32(code, 0xd65f03c0)                   // ret
}

func outcome(err error) string {
	var failure *shmkit.Error
	if errors.As(err, &failure) {
		return failure.Kind.Name()
	}
	return "done"
}

func run(number uint16, argument uint64) error {
	// Written, then sealed, then called: never both at once.
	code, err := shmkit.NewCodeMemory(4096)
	if err != nil {
		return err
	}
	defer code.Close()
	if _, err := code.WriteAt(add(number), 0); err != nil {
		return err
	}
	_, err = code.Call(uintptr(argument))
	fmt.Println("called before it is sealed:", outcome(err))
	if err := code.Seal(); err != nil {
		return err
	}
	_, err = code.WriteAt(add(0), 0)
	fmt.Println("written after it is sealed:", outcome(err))
	sum, err := code.Call(uintptr(argument))
	if err != nil {
		return err
	}
	fmt.Printf("%d + %d = %d\n", argument, number, sum)

	// Mapped twice, code can be changed while it is in use, and still nothing is writable where it runs.
	patchable, err := shmkit.NewCodeMemory(4096, shmkit.Patchable())
	if err != nil {
		return err
	}
	defer patchable.Close()
	for _, number := range []uint16{number, 2} {
		if _, err := patchable.WriteAt(add(number), 0); err != nil {
			return err
		}
	}
	sum, err = patchable.Call(uintptr(argument))
	if err != nil {
		return err
	}
	fmt.Printf("patched: %d + 2 = %d\n", argument, sum)
	return nil
}

func main() {
	var number, argument uint64
	err := errors.New("two numbers")
	if len(os.Args) == 3 {
		number, err = strconv.ParseUint(os.Args[1], 10, 16)
		if err == nil {
			argument, err = strconv.ParseUint(os.Args[2], 10, 64)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage: jit NUMBER ARGUMENT (at most 65535)")
		os.Exit(2)
	}
	if err := run(uint16(number), argument); err != nil {
		fmt.Fprintln(os.Stderr, "jit:", err)
		os.Exit(1)
	}
}
