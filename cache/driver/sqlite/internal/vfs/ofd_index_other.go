//go:build unix && !linux

package vfs

import (
	"golang.org/x/sys/unix"
	"modernc.org/libc"
)

// useOFDLocksOnIndex does nothing: only Linux has OFD locks.
func useOFDLocksOnIndex(*libc.TLS) {}

// getlk is fcntl's command that tells whether another process holds a lock on a WAL-index.
func getlk() int { return unix.F_GETLK }
