// Package linux_arm64 holds the static library for linux/arm64. It is imported so that "go mod vendor" keeps the directory,
// and so that its checksum, a constant, makes the go command link again when the library changes.
package linux_arm64
