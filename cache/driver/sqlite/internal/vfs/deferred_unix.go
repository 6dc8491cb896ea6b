//go:build unix

package vfs

import (
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// A read transaction locks one of five slots of the wal-index (shared), and
// if its mark is out of date moves that first (exclusive): two system calls
// per read, four per write. Here the unlock is deferred: when SQLite releases the
// lock, the connection keeps it, as a deferred lock, and SQLite gets it back when it
// asks for the same slot again.
//
// To all others this is a reader whose transaction lasts a little longer: the
// unlock is put off until just before the next lock. SQLite checks after
// each lock that the mark and the header of the wal-index are what it read
// before; a lock that it had all along makes that no weaker. And a mark that
// it wants to move is reported busy while the deferred lock is young, without
// a look: another process could hold that slot, so SQLite is prepared to go
// on with the best mark there is. An old mark only limits what a checkpoint
// copies meanwhile.
//
// What is left is that no connection waits for ever:
//
//   - A deferred lock is released, and with it the mark moved, when it is used
//     again after maxDeferral; the reaper releases that of a connection which is
//     not used. A connection that is seldom used gets no deferred locks: the
//     reaper would release each of them before it is of use.
//   - A checkpoint of another process polls for a moment in which a reader
//     has released its slot, which a busy reader with deferred locks would
//     almost never do. So each maxDeferral we look whether such a checkpoint
//     runs, and unlock as SQLite says until it is over.
//   - A connection that wants more than to read or write (checkpoint,
//     recovery, restart of the WAL) first releases those that are in its way
//     of all connections of this process.
//   - Slot 0 (everything is in the database) serves no reader of the WAL and
//     is released when a mark is to be moved.
//   - One round of refusals is followed by a shared lock. Another refusal
//     would mean that SQLite did not like any mark.
type lockState struct {
	// deferred is the slot of the lock that SQLite has released and we have
	// not, perhaps with reapMark, 0 if there is none, or beingRevoked. Only the
	// connection's own goroutine sets a slot; every goroutine may take it away
	// by compare and swap.
	deferred uint32

	defers      bool  // unlocks are deferred for this file
	rare        bool  // when the lock was taken the last one was long ago
	maintenance int32 // a bit for each of the checkpoint and recovery locks that the connection holds
	slot        int32 // the read slot that SQLite has locked now, or 0
	refused     int32 // exclusive locks since the last shared one

	since   time.Duration // when the lock was taken, since processStart
	checked time.Duration // when yield was
	yield   bool          // another process checkpoints
	wal     uintptr       // the WAL's file
	hooked  uintptr       // what unlocking is called with, 0 for not at all
}

// Slots of the wal-index.
const (
	slotWrite      = 0
	slotCheckpoint = 1
	slotRecover    = 2
	slotRead       = 3 // the first of five
	lockSlots      = 8
	readMarks      = lockSlots - slotRead - 1
	beingRevoked   = lockSlots

	shmLockBase = 120 // the byte of the -shm file that slot 0 is a lock on
)

// Flags of xShmLock.
const (
	lockShared      = lib.SQLITE_SHM_LOCK | lib.SQLITE_SHM_SHARED
	lockExclusive   = lib.SQLITE_SHM_LOCK | lib.SQLITE_SHM_EXCLUSIVE
	unlockShared    = lib.SQLITE_SHM_UNLOCK | lib.SQLITE_SHM_SHARED
	unlockExclusive = lib.SQLITE_SHM_UNLOCK | lib.SQLITE_SHM_EXCLUSIVE
)

// maxDeferral is how long a deferred lock is used before it is renewed, a
// [time.Duration]. Tests change it.
var maxDeferral atomic.Int64

func init() { maxDeferral.Store(int64(2 * time.Millisecond)) }

func deferral() time.Duration { return time.Duration(maxDeferral.Load()) }

var processStart = time.Now()

// overrideDB puts in the methods for a database file.
func overrideDB(m *methods, t *lib.Tsqlite3_io_methods) bool {
	if t.FiVersion < 2 || t.FxShmLock == 0 || t.FxShmUnmap == 0 || t.FxShmMap == 0 {
		return false
	}
	m.close = override(&t.FxClose, dbClose)
	m.shmLock = override(&t.FxShmLock, dbShmLock)
	m.shmUnmap = override(&t.FxShmUnmap, dbShmUnmap)
	m.shmMap = override(&t.FxShmMap, dbShmMap)
	return true
}

// dbShmLock is xShmLock: it defers unlocks of read slots, and tells the buffer of the WAL when the
// write lock comes and goes.
func dbShmLock(tls *libc.TLS, id uintptr, slot, n, flags int32) int32 {
	f := fileAt(id)
	switch flags {
	case unlockShared:
		if slot >= slotRead && slot == f.slot {
			f.slot = 0
			if f.defers && !f.yield && !f.rare {
				atomic.StoreUint32(&f.deferred, uint32(slot))
				scheduleReap()
				return lib.SQLITE_OK
			}
		}
	case lockShared:
		if slot >= slotRead {
			return f.lockRead(tls, id, slot)
		}
	case lockExclusive:
		return f.lockExclusive(tls, id, slot, n)
	case unlockExclusive:
		if slot == slotWrite {
			if f.wal != 0 {
				fileAt(f.wal).end()
			}
			if f.hooked != 0 {
				shim.unlocking(f.hooked)
			}
		}
		f.setMaintenance(f.maintenance &^ maintenanceBits(slot, n))
	}
	return shim.db.shmLock(tls, id, slot, n, flags)
}

// lockRead locks a read slot (shared).
func (f *lockState) lockRead(tls *libc.TLS, id uintptr, slot int32) int32 {
	refused := f.refused
	f.refused = 0
	if s := atomic.LoadUint32(&f.deferred); s != 0 {
		if s&^reapMark == uint32(slot) && (refused > 0 || f.young()) &&
			atomic.CompareAndSwapUint32(&f.deferred, s, 0) {
			f.slot = slot
			return lib.SQLITE_OK
		}
		f.unlockDeferred(tls, id)
	}
	rc := shim.db.shmLock(tls, id, slot, 1, lockShared)
	if rc == lib.SQLITE_OK {
		f.slot = slot
		if f.defers {
			now := time.Since(processStart)
			f.rare = now-f.since > reapEvery()
			f.since = now
			if now-f.checked >= deferral() {
				f.checked, f.yield = now, checkpointElsewhere(id)
			}
		}
	}
	return rc
}

// checkpointElsewhere reports whether another process holds the checkpoint
// lock, or a connection of this one that knows nothing of deferred locks. To try
// for it would make a checkpoint that begins just now fail.
func checkpointElsewhere(id uintptr) bool {
	shm := cabi.At[lib.TunixFile](id).FpShm
	if shm == 0 {
		return false
	}
	node := cabi.At[lib.TunixShm](shm).FpShmNode
	if node == 0 {
		return false
	}
	n := cabi.At[lib.TunixShmNode](node)
	if atomic.LoadInt32(&n.FaLock[slotCheckpoint]) < 0 {
		return shim.checkpoints.Load() == 0
	}
	fd := n.FhShm
	if fd < 0 {
		return false
	}
	lock := unix.Flock_t{Type: unix.F_RDLCK, Start: shmLockBase + slotCheckpoint, Len: 1}
	err := unix.FcntlFlock(uintptr(fd), getlk(), &lock)
	return err == nil && lock.Type != unix.F_UNLCK
}

// lockExclusive locks n slots exclusively: to write, to move a mark, or for maintenance.
func (f *lockState) lockExclusive(tls *libc.TLS, id uintptr, slot, n int32) int32 {
	switch {
	case slot == slotWrite && n == 1:
		rc := shim.db.shmLock(tls, id, slot, n, lockExclusive)
		if rc == lib.SQLITE_OK && f.wal != 0 {
			fileAt(f.wal).begin()
		}
		return rc
	case slot >= slotRead && n == 1 && f.maintenance == 0:
		// A reader wants to move a mark.
		if s := atomic.LoadUint32(&f.deferred) &^ reapMark; s > slotRead && s < lockSlots &&
			f.refused < readMarks && (f.refused > 0 || f.young()) {
			f.refused++
			return lib.SQLITE_BUSY
		}
		f.unlockDeferred(tls, id)
		return shim.db.shmLock(tls, id, slot, n, lockExclusive)
	}
	revokeAll(tls, id, slot, n)
	rc := shim.db.shmLock(tls, id, slot, n, lockExclusive)
	if rc == lib.SQLITE_OK {
		f.setMaintenance(f.maintenance | maintenanceBits(slot, n))
	}
	return rc
}

// setMaintenance sets maintenance.
func (f *lockState) setMaintenance(maintenance int32) {
	const checkpoint = 1 << slotCheckpoint
	switch {
	case maintenance&^f.maintenance&checkpoint != 0:
		shim.checkpoints.Add(1)
	case f.maintenance&^maintenance&checkpoint != 0:
		shim.checkpoints.Add(-1)
	}
	f.maintenance = maintenance
}

// maintenanceBits returns the bits of lockState.maintenance for n slots.
func maintenanceBits(slot, n int32) int32 {
	return (1<<n - 1) << slot & (1<<slotCheckpoint | 1<<slotRecover)
}

func (f *lockState) young() bool { return time.Since(processStart)-f.since < deferral() }

// unlockDeferred releases the deferred lock. Only the goroutine that uses the
// connection calls it.
func (f *lockState) unlockDeferred(tls *libc.TLS, id uintptr) {
	for {
		s := atomic.LoadUint32(&f.deferred)
		if s == 0 {
			return
		}
		if s != beingRevoked && atomic.CompareAndSwapUint32(&f.deferred, s, 0) {
			shim.db.shmLock(tls, id, int32(s&^reapMark), 1, unlockShared)
			return
		}
		// Another goroutine revokes it, and holds this lock meanwhile.
		shim.mu.Lock()
		//lint:ignore SA2001 it is held for as long as that takes
		shim.mu.Unlock()
	}
}

// revokeAll releases the deferred locks that this process has on the same
// database, the connection's own included: those on n slots, or all of them
// when a checkpoint or a recovery begins.
func revokeAll(tls *libc.TLS, id uintptr, slot, n int32) {
	if slot < slotRead {
		slot, n = slotRead, lockSlots-slotRead
	}
	shim.mu.Lock()
	defer shim.mu.Unlock()
	for _, ids := range shim.deferring {
		if !slices.Contains(ids, id) {
			continue
		}
		for _, one := range ids {
			if s := int32(atomic.LoadUint32(&fileAt(one).deferred) &^ reapMark); slot <= s && s < slot+n {
				revoke(tls, one)
			}
		}
	}
}

// revoke releases a deferred lock, whatever goroutine uses the connection. SQLite's VFS
// guards its state against other connections of the process, and thus
// against us. The caller holds shim.mu.
func revoke(tls *libc.TLS, id uintptr) {
	f := fileAt(id)
	s := atomic.LoadUint32(&f.deferred)
	if s == 0 || !atomic.CompareAndSwapUint32(&f.deferred, s, beingRevoked) {
		return
	}
	shim.db.shmLock(tls, id, int32(s&^reapMark), 1, unlockShared)
	atomic.StoreUint32(&f.deferred, 0)
}

// maxFrames is the number of frames of which a region of the WAL-index tells.
const maxFrames = 4096

// dbShmMap lets the WAL-index grow no further than the WAL has frames for: SQLite
// believes frame numbers that it finds in the index, and would follow a damaged
// one for terabytes.
func dbShmMap(tls *libc.TLS, id uintptr, region, size, extend int32, out uintptr) int32 {
	if wal := fileAt(id).wal; extend != 0 && region > 1 && wal != 0 {
		at := tls.Alloc(8)
		defer tls.Free(8)
		if rc := shim.wal.size(tls, wal, at); rc != lib.SQLITE_OK {
			return rc
		}
		const minFrame = FrameHeaderSize + 512
		if frames := (*cabi.At[int64](at) + maxBuffer) / minFrame; int64(region) > frames/maxFrames+1 {
			return lib.SQLITE_CORRUPT
		}
	}
	return shim.db.shmMap(tls, id, region, size, extend, out)
}

// dbShmUnmap is xShmUnmap: the connection leaves the WAL-index, with all its locks.
func dbShmUnmap(tls *libc.TLS, id uintptr, remove int32) int32 {
	f := fileAt(id)
	f.unlockDeferred(tls, id)
	f.slot = 0
	f.setMaintenance(0)
	return shim.db.shmUnmap(tls, id, remove)
}

// dbClose is xClose of a database file.
func dbClose(tls *libc.TLS, id uintptr) int32 {
	f := fileAt(id)
	f.unlockDeferred(tls, id)
	if f.defers {
		shim.mu.Lock()
		for name, ids := range shim.deferring {
			if i := slices.Index(ids, id); i >= 0 {
				shim.deferring[name] = slices.Delete(ids, i, i+1)
				if len(ids) == 1 {
					delete(shim.deferring, name)
				}
			}
		}
		shim.mu.Unlock()
	}
	return shim.db.close(tls, id)
}

// Yield releases the read locks that connections of this process to the database keep
// although they have no transaction.
func (f File) Yield(tls *libc.TLS) { revokeAll(tls, uintptr(f), slotRead, readMarks+1) }

// CallOnUnlock has the function given to [Register] called with db before the
// write lock is released, or not, if db is 0.
func (f File) CallOnUnlock(db uintptr) {
	if f != 0 {
		fileAt(uintptr(f)).hooked = db
	}
}

// DeferUnlocks has unlocks of a main database deferred that was just opened: id is
// SQLite's file object, name the database's. It returns 0 if the file has not this VFS.
func DeferUnlocks(id uintptr, name string) File {
	if !isOurs(id, &shim.db) {
		return 0
	}
	shim.mu.Lock()
	defer shim.mu.Unlock()
	shim.deferring[name] = append(shim.deferring[name], id)
	fileAt(id).defers = true
	return File(id)
}
