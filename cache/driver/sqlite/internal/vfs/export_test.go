//go:build unix

package vfs

import (
	"sync/atomic"
	"time"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

const (
	MaxBuffer      = maxBuffer
	WALChunk       = walChunk
	WALIndexRegion = walIndexRegion
	SlotRead       = slotRead
	UnlockShared   = unlockShared
)

// NewestFile returns the file of the connection that was opened last with the database
// whose absolute name is given.
func NewestFile(name string) File {
	shim.mu.Lock()
	defer shim.mu.Unlock()
	ids := shim.deferring[name]
	if len(ids) == 0 {
		return 0
	}
	return File(ids[len(ids)-1])
}

// FilesLeft returns the number of databases with files that defer unlocks.
func FilesLeft() int {
	shim.mu.Lock()
	defer shim.mu.Unlock()
	return len(shim.deferring)
}

// IsDeferred reports whether f, though its connection has no transaction, keeps the lock
// of the last one.
func (f File) IsDeferred() bool { return f.Deferred() != 0 }

// Deferred is the slot of that lock.
func (f File) Deferred() uint32 {
	if f == 0 {
		return 0
	}
	return atomic.LoadUint32(&fileAt(uintptr(f)).deferred)
}

// UnlockDeferred releases that lock, like the reaper.
func (f File) UnlockDeferred() {
	if !f.IsDeferred() {
		return
	}
	tls := libc.NewTLS()
	defer tls.Close()
	shim.mu.Lock()
	defer shim.mu.Unlock()
	revoke(tls, uintptr(f))
}

// Age makes the lock of f older.
func (f File) Age(d time.Duration) { fileAt(uintptr(f)).since -= d }

// Yields reports whether f defers no unlocks since somebody else checkpoints.
func (f File) Yields() bool { return fileAt(uintptr(f)).yield }

// IsLocked reports whether SQLite's VFS knows of a shared lock of the file.
func (f File) IsLocked(slot int32) bool {
	shm := cabi.At[lib.TunixFile](uintptr(f)).FpShm
	return shm != 0 && cabi.At[lib.TunixShm](shm).FsharedMask>>slot&1 != 0
}

// GrowWALIndex asks for a region of the WAL-index.
func (f File) GrowWALIndex(tls *libc.TLS, region int32) int32 {
	out := tls.Alloc(8)
	defer tls.Free(8)
	return dbShmMap(tls, uintptr(f), region, walIndexRegion, 1, out)
}

// WriteWAL writes bytes that are at p.
func (f File) WriteWAL(tls *libc.TLS, p uintptr, n int32, off int64) int32 {
	return walWrite(tls, fileAt(uintptr(f)).wal, p, n, off)
}

// SyncWAL syncs the WAL.
func (f File) SyncWAL(tls *libc.TLS) int32 { return walSync(tls, fileAt(uintptr(f)).wal, 0) }

// SetMaxDeferral sets maxDeferral and returns what it was.
func SetMaxDeferral(d time.Duration) time.Duration {
	was := maxDeferral.Swap(int64(d))
	reaper.timer.Stop() // it may be due in hours
	reap()
	return time.Duration(was)
}

// Reap has a round of the reaper happen.
func Reap() { reap() }

// ReapDue reports whether a round is due.
func ReapDue() bool { return reaper.due.Load() }

// Checkpoints returns how many checkpoints of this process go on.
func Checkpoints() int32 { return shim.checkpoints.Load() }

// ReplaceLock and ReplaceWrite replace what the VFS calls of SQLite's for a lock on the
// WAL-index and for a write to a WAL. There must have been one of such a file.
func ReplaceLock(f func(was cabi.LockFunc) cabi.LockFunc) (restore func()) {
	return replace(&shim.db.shmLock, f)
}

func ReplaceWrite(f func(was cabi.IOFunc) cabi.IOFunc) (restore func()) {
	return replace(&shim.wal.write, f)
}

func replace[F any](p *F, f func(was F) F) (restore func()) {
	was := *p
	*p = f(was)
	return func() { *p = was }
}

// Salts returns the WAL's salts, which change each time that it begins anew.
func (h *WALIndexHeader) Salts() uint64 {
	return uint64(atomic.LoadUint32(&h.salts[0]))<<32 | uint64(atomic.LoadUint32(&h.salts[1]))
}
