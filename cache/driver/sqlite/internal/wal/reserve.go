package wal

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Reserve is room on the disk that the store gives up when the disk is full, so
// that deleting works then: a file that holds nothing. Without it a full disk
// would stay full, since also a transaction that deletes is first written to the
// log, and the log is begun anew only when all of it has been copied to the
// database, which may have to grow for that.
//
// While the reserve is given up, what makes the store larger is refused, by this
// process; each transaction first tries to have the reserve back.
type Reserve struct {
	dir   *osfs.Dir
	name  string
	spent atomic.Bool // given up, and not to be had back so far

	mu sync.Mutex // one at a time changes the file
}

const (
	// reserveSize is enough for the frames that may come to the log between two
	// looks at the disk (spaceEvery), and for a transaction of average size. A
	// disk of less than reserveShare times as much has a smaller one.
	reserveSize  = 1 << 20
	reserveShare = 32
	// minReserve holds the index of the log and the first frames in it, without
	// which a store cannot be opened.
	minReserve = 128 << 10
)

// NewReserve returns the reserve that is a file in a directory.
func NewReserve(dir *osfs.Dir, name string) *Reserve { return &Reserve{dir: dir, name: name} }

// IsSpent reports whether the reserve is given up, and was not to be had back so far.
func (r *Reserve) IsSpent() bool { return r.spent.Load() }

// Look finds out, when the store is opened or the disk is looked at anyway,
// whether another process has given the reserve up.
func (r *Reserve) Look() {
	info, err := r.dir.Lstat(r.name)
	r.spent.Store(err == nil && info.Size() == 0)
}

// Fill makes the reserve whole if there is room for it and as much again, and
// reports whether it is.
func (r *Reserve) Fill() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, total, err := r.dir.Space()
	if err != nil { // the system does not tell, so nobody will know when to give it up
		return true
	}
	want := max(min(reserveSize, total/reserveShare), minReserve)
	have := int64(0)
	if info, err := r.dir.Lstat(r.name); err == nil {
		have = info.Size()
	}
	if have < want && (free < want-have+want || r.extend(have, want) != nil) {
		return false
	}
	r.spent.Store(false)
	return true
}

// extend writes the file from one size to another. With noise: zeros take no room
// on a file system that compresses.
func (r *Reserve) extend(from, to int64) error {
	f, err := r.dir.Shared(r.name)
	if err != nil {
		return err
	}
	defer f.Close()
	noise := make([]byte, to-from)
	rand.NewChaCha8([32]byte{}).Read(noise)
	if _, err := f.WriteAt(noise, from); err != nil {
		return errors.Join(err, f.Truncate(from))
	}
	return nil
}

// Spend gives the reserve up and reports whether there was any.
func (r *Reserve) Spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if info, err := r.dir.Lstat(r.name); err != nil || info.Size() == 0 {
		return false
	}
	f, err := r.dir.Shared(r.name) // no file of something else's
	if err != nil {
		return false
	}
	defer f.Close()
	if f.Truncate(0) != nil {
		return false
	}
	r.spent.Store(true)
	return true
}
