//go:build unix

package near

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// sharedFile is a table file, mapped, and locked as long as it is open.
type sharedFile struct {
	mem []byte
	f   *osfs.File
}

// Supported says whether there are tables on this system.
const Supported = true

// Open maps a file, and makes it complete if it is empty. The file is closed
// with the table, or if Open fails.
func Open(f *osfs.File) (_ *Table, err error) {
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	alone, err := lockAndComplete(f)
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, tableSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	at := func(offset int) unsafe.Pointer { return unsafe.Pointer(&mem[offset]) }
	t := &Table{
		epoch:     (*atomic.Uint64)(at(epochOffset)),
		accounted: (*atomic.Uint64)(at(fingerprintOffset)),
		writing:   (*atomic.Uint32)(at(writingOffset)),
		slots:     (*[numSlots]atomic.Uint32)(at(slotsOffset)),
		mailbox:   (*mailbox)(at(mailboxOffset)),
		file:      sharedFile{mem, f},
	}
	if !alone {
		return t, nil
	}
	t.forget()
	// The lock is not held for a moment: another process may take the exclusive lock too;
	// it invalidates only stamps that no process holds.
	if err := f.LockShared(); err != nil {
		return nil, errors.Join(err, unix.Munmap(mem))
	}
	return t, nil
}

// forget makes all stamps of earlier times invalid, and clears the mailbox of
// entries that a process which died has left. The epoch leaps, since what is left
// of the file after a crash of the machine may be of different times.
func (t *Table) forget() {
	t.epoch.Store(rand.Uint64() &^ 1)
	t.sweep(t.epoch.Load())
}

// lockAndComplete locks f and reports whether no other process uses it. Then the lock is
// exclusive, and the file is made complete: no process maps it before, and
// afterwards it is written to only through a map.
func lockAndComplete(f *osfs.File) (alone bool, err error) {
	alone, err = f.TryLock()
	if err == nil && !alone {
		err = f.LockShared()
	}
	if err != nil {
		return false, err
	}
	info, err := f.Info()
	if err != nil || info.Size() >= tableSize {
		return alone, err
	}
	if !alone {
		return false, errors.New("the process that was to make it has failed")
	}
	// Written, not just made longer: a hole that cannot be filled on a full
	// disk would be a bus error later.
	zeros := make([]byte, tableSize/64)
	for at := int64(0); at < tableSize; at += int64(len(zeros)) {
		if _, err = f.WriteAt(zeros, at); err != nil {
			// The last room on the disk is for others.
			return false, errors.Join(err, f.Truncate(0))
		}
	}
	return true, nil
}

// Clear overwrites what the mailbox has, if no other process has the table open.
func (t *Table) Clear() {
	// This gives the shared lock up, also where the exclusive one is not to be
	// had: only Close may follow.
	if alone, err := t.file.f.TryLock(); alone && err == nil {
		t.forget()
	}
}

// Close unmaps the table. The table is not used any more.
func (t *Table) Close() error { return errors.Join(unix.Munmap(t.file.mem), t.file.f.Close()) }

// maxAnonymous bounds what mapAnonymous gives to a 32-bit process, in bytes. It would
// get more from the system, but then there were no addresses left for SQLite,
// whose library panics.
const maxAnonymous = 512 << 20

// anonymousBytes is what mapAnonymous has mapped and unmapAnonymous has not unmapped.
var anonymousBytes atomic.Int64

// mapAnonymous returns n bytes of memory that are not the garbage collector's, and
// take no room before they are used.
func mapAnonymous(n int) ([]byte, error) {
	if total := anonymousBytes.Add(int64(n)); strconv.IntSize == 32 && total > maxAnonymous {
		anonymousBytes.Add(-int64(n))
		return nil, fmt.Errorf("a 32-bit process keeps copies of rows in %d bytes at most: %w", maxAnonymous, unix.ENOMEM)
	}
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		anonymousBytes.Add(-int64(n))
		return nil, os.NewSyscallError("mmap", err)
	}
	return mem, nil
}

func unmapAnonymous(mem []byte) error {
	anonymousBytes.Add(-int64(len(mem)))
	return unix.Munmap(mem)
}
