//go:build !cgo || !linux || !(amd64 || arm64) || (musl && !shmkit_shared)

package shmkit

// This file is compiled only where the package cannot work, and stops the build with a name that says what is missing.
var _ = shmkit_needs_linux_on_amd64_or_arm64_with_CGO_ENABLED_1_and_a_C_compiler__and_on_musl_the_tag_shmkit_shared
