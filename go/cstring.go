package shmkit

// #include <stdlib.h>
// #include <shmkit.h>
import "C"

import (
	"fmt"
	"strings"
	"syscall"
)

// newCString returns a copy of name for C, to be freed by the caller. A name with a zero byte is refused: C would take it
// for a shorter one.
func newCString(operation, name string) (*C.char, error) {
	if strings.IndexByte(name, 0) >= 0 {
		shown := strings.ReplaceAll(name, "\x00", `\0`)
		return nil, &Error{
			Kind:   ErrInvalidName,
			Op:     operation,
			Object: shown,
			Errno:  syscall.EINVAL,
			Message: fmt.Sprintf("cannot %s '%s': is not a valid name: it contains a zero byte (EINVAL); %s",
				operation, shown, ErrInvalidName.Advice()),
		}
	}
	return C.CString(name), nil
}
