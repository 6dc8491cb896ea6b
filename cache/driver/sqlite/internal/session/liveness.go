package session

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// liveness shows other processes which sessions live, by locks that the kernel
// takes away when their process ends, however that happens. To ask takes no lock
// that another process which asks would take for a session.
type liveness interface {
	// begin makes a session be seen alive, or reports that it cannot be called
	// that.
	begin(name string) (ok bool, err error)
	// end makes a session of begin's be seen ended.
	end(name string) error
	// stillSeen reports whether others still see a session of begin's alive.
	stillSeen(name string) bool
	// alive reports whether a session of another store's lives.
	alive(name string) (bool, error)
	// sweepable reports whether a session that is not alive is none that is just
	// beginning.
	sweepable(name string) bool
}

// nameSize is the number of bytes of which a session's name is the hexadecimal
// form.
const nameSize = 12

// isName reports whether a session may be called that.
func isName(name string) bool {
	_, ok := byteOf(name)
	return ok
}

// byteOf returns the place of the byte that a session locks, far behind all that
// SQLite reads, writes or locks, and false if no session was ever called that.
func byteOf(name string) (at int64, ok bool) {
	const far = 1 << 62
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != nameSize || hex.EncodeToString(b) != name {
		return 0, false
	}
	return far | int64(binary.BigEndian.Uint64(b)&(far-1)), true
}

// byteLocks has a session lock a byte of the database. That takes no room on the
// disk, and nobody removes the database from under a session but with the store.
type byteLocks struct{ db *osfs.File }

func (l *byteLocks) begin(name string) (bool, error) {
	at, _ := byteOf(name)
	return l.db.TryLockByte(at)
}

func (l *byteLocks) end(name string) error {
	at, _ := byteOf(name)
	return l.db.UnlockByte(at)
}

func (l *byteLocks) stillSeen(string) bool { return true }

func (l *byteLocks) alive(name string) (bool, error) {
	at, ok := byteOf(name)
	if !ok {
		return false, nil
	}
	return l.db.ByteLocked(at)
}

func (l *byteLocks) sweepable(string) bool { return true }

// fileLocks has a session lock the file in its folder, where bytes have no locks. A
// file that is never used looks as if it could be removed to programs that clear
// away temporary files: it is used every hour. If it is removed all the same, the
// session is lost.
type fileLocks struct {
	dir  *osfs.Dir
	root string // the folder of all sessions' folders

	mu   sync.Mutex
	f    *osfs.File // of the session that has begun
	used time.Time
}

const (
	useEvery = time.Hour
	// beginsWithin is how long a session may take to lock the file that it has
	// made.
	beginsWithin = time.Minute
)

func (l *fileLocks) file(name string) string { return path.Join(l.root, name, LockFile) }

func (l *fileLocks) begin(name string) (bool, error) {
	if err := makeFolder(l.dir, path.Join(l.root, name)); err != nil {
		return false, err
	}
	f, err := l.dir.Shared(l.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // another process took it for one that has ended
	}
	if err != nil {
		return false, err
	}
	if ok, err := f.TryLock(); err != nil || !ok || !l.dir.Has(f, l.file(name)) {
		return false, errors.Join(err, f.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f, l.used = f, time.Now()
	return true, nil
}

func (l *fileLocks) end(string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}

func (l *fileLocks) stillSeen(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dir.Has(l.f, l.file(name)) {
		return false
	}
	if now := time.Now(); now.Sub(l.used) > useEvery {
		l.used = now
		// What fails here is tried again, in time.
		b := []byte{'\n'}
		_, _ = l.f.WriteAt(b, 0)
		_, _ = l.f.ReadAt(b, 0)
	}
	return true
}

func (l *fileLocks) alive(name string) (bool, error) {
	if !isName(name) {
		return false, nil
	}
	f, err := l.dir.ReadShared(l.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	// Shared, so that processes that ask do not take each other for the session.
	ok, err := f.TryLockShared()
	return !ok, err
}

// sweepable leaves alone a file that may not be locked yet.
func (l *fileLocks) sweepable(name string) bool {
	info, err := l.dir.Lstat(l.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = l.dir.Lstat(path.Join(l.root, name))
	}
	return err == nil && time.Since(info.ModTime()) > beginsWithin
}
