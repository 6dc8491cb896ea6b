//go:build !unix

package lite

import "modernc.org/libc"

func registerVFS(*libc.TLS) {}

func vfs() uintptr { return 0 }

func (c *Conn) deferUnlocks() {}

// Yield does nothing: connections keep read locks on Unix only.
func (c *Conn) Yield() {}

func (c *Conn) setUnlockHook(bool) {}

// WALIndexHeader returns nil: where the WAL-index is mapped is known on Unix
// only.
func (c *Conn) WALIndexHeader() *WALIndexHeader { return nil }
