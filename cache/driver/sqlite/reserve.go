package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// reserve is room on the disk that the store gives up when the disk is full, so
// that deleting works then: a file that holds nothing. Without it a full disk
// would stay full, since also a transaction that deletes is first written to the
// log, and the log is begun anew only when all of it has been copied to the
// database, which may have to grow for that.
//
// While the reserve is given up, what makes the store larger is refused, by this
// process; each transaction first tries to have the reserve back.
type reserve struct {
	files *osfs.Dir
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

// look finds out, when the store is opened or the disk is looked at anyway,
// whether another process has given the reserve up.
func (r *reserve) look() {
	info, err := r.files.Lstat(reserveName)
	r.spent.Store(err == nil && info.Size() == 0)
}

// fill makes the reserve whole if there is room for it and as much again, and
// reports whether it is.
func (r *reserve) fill() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, total, err := r.files.Space()
	if err != nil { // the system does not tell, so nobody will know when to give it up
		return true
	}
	want := max(min(reserveSize, total/reserveShare), minReserve)
	have := int64(0)
	if info, err := r.files.Lstat(reserveName); err == nil {
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
func (r *reserve) extend(from, to int64) error {
	f, err := r.files.Shared(reserveName)
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

// spend gives the reserve up and reports whether there was any.
func (r *reserve) spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if info, err := r.files.Lstat(reserveName); err != nil || info.Size() == 0 {
		return false
	}
	f, err := r.files.Shared(reserveName) // no file of something else's
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

// regainReserve tries to have the reserve back before a transaction begins.
func (w *writer) regainReserve() {
	r := &w.core.reserve
	if r.fill() {
		w.core.log.Info("there is room on the disk again")
		return
	}
	// What was deleted gives its room back when the log is copied.
	w.restartLog()
	r.fill()
}

// giveUpReserve makes room on a full disk.
func (w *writer) giveUpReserve() (gaveUp bool) {
	gaveUp = w.core.reserve.spend()
	if gaveUp {
		w.core.log.Warn("the disk is full: what makes the store larger is refused until there is room again")
	}
	return gaveUp
}

// mayGrow fails if the store has given its reserve up and a row would make it
// larger. Pages that the database has free may be used.
func (t *tx) mayGrow(p *driver.Put) error {
	if !t.core.reserve.spent.Load() {
		return nil
	}
	if p.File == nil {
		free, err := t.conn.integer("PRAGMA freelist_count")
		if err != nil {
			return err
		}
		const spare = 16 // for indexes
		if free-spare > int64(p.Value.Len())/t.core.writer.pageSize {
			return nil
		}
	}
	return fmt.Errorf("%w: the store keeps the room that is left for deleting", driver.ErrFull)
}
