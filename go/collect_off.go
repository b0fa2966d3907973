//go:build cgo && !shmkit_collect

package shmkit

// collectHere does something only with the tag shmkit_collect.
func collectHere() {}
