// Package linux_amd64 holds the static library for linux/amd64. It is imported so that "go mod vendor" keeps the directory,
// and so that its checksum, a constant, makes the go command link again when the library changes.
package linux_amd64
