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
		shown := strings.ReplaceAll(name, "\x00", `\u{0}`)
		return nil, &Error{
			Kind:   ErrInvalidName,
			Op:     operation,
			Object: shown,
			Errno:  syscall.EINVAL,
			Message: fmt.Sprintf("cannot %s '%s': %s: %d bytes (EINVAL); %s", operation, shown,
				C.GoString(C.shmkit_status_description(C.SHMKIT_INVALID_NAME)), len(name), ErrInvalidName.Advice()),
		}
	}
	return C.CString(name), nil
}
