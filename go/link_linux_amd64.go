//go:build linux && amd64 && cgo && !shmkit_shared && !musl

package shmkit

// #cgo CFLAGS: -I${SRCDIR}/include
// #cgo LDFLAGS: ${SRCDIR}/lib/linux_amd64/libshmkit.a -static-libgcc
import "C"

import (
	_ "github.com/shmkit/shmkit/go/include"
	_ "github.com/shmkit/shmkit/go/lib/linux_amd64"
)
