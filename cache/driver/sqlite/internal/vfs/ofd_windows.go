package vfs

import "modernc.org/libc"

// UseOFDLocks reports false: Windows has other locks, without the flaw of
// POSIX locks that this is about.
func UseOFDLocks(*libc.TLS) bool { return false }
