//go:build linux && cgo && shmkit_shared

package shmkit

// The installed library instead of the one inside the module: its pkg-config file says where it is, and its run path
// makes the program find it.

// #cgo pkg-config: shmkit
import "C"
