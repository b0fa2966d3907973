// Package include holds the C header that package shmkit is compiled against. It has no Go code: it exists, and is
// imported, so that "go mod vendor" keeps the directory.
package include
