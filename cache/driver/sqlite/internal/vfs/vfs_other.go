//go:build !unix

package vfs

import "modernc.org/libc"

// Register does nothing: SQLite's VFS is used as it is.
func Register(*libc.TLS, func(db uintptr)) {}

// Name returns 0, for SQLite's default VFS.
func Name() uintptr { return 0 }

// DeferUnlocks returns 0: no unlocks are deferred.
func DeferUnlocks(uintptr, string) File { return 0 }

// Yield does nothing: connections keep read locks on Unix only.
func (f File) Yield(*libc.TLS) {}

// CallOnUnlock does nothing.
func (f File) CallOnUnlock(uintptr) {}

// WALIndexHeader returns nil: where the WAL-index is mapped is known on Unix
// only.
func (f File) WALIndexHeader(*libc.TLS) *WALIndexHeader { return nil }
