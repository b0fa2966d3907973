//go:build linux && arm64 && cgo && !shmkit_shared && !musl

package shmkit

// #cgo CFLAGS: -I${SRCDIR}/include
// #cgo LDFLAGS: ${SRCDIR}/lib/linux_arm64/libshmkit.a -static-libgcc
import "C"

import (
	_ "github.com/shmkit/shmkit/go/include"
	_ "github.com/shmkit/shmkit/go/lib/linux_arm64"
)
