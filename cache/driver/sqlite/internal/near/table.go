package near

import (
	"math"
	"sync/atomic"
)

// Layout of the file. Each of the first three has a cache line of its own.
const (
	epochOffset       = 0
	fingerprintOffset = 64
	writingOffset     = 128
	slotsOffset       = 4096

	numSlots      = 1 << 17
	mailboxOffset = slotsOffset + 4*numSlots
	tableSize     = mailboxOffset + numCells*cellSize
)

// Name is what the file's name ends in. It changes with the layout, the hash
// and the protocol.
const Name = "near2"

// Table is the versions that the processes share. All methods may be called
// by any goroutine, but Begin, Publish, End and Written only for the connection that holds
// SQLite's write lock.
type Table struct {
	epoch     *atomic.Uint64 // odd while a commit changes any number of keys
	accounted *atomic.Uint64 // fingerprint of the last commit that is accounted for
	writing   *atomic.Uint32 // between Begin and End
	slots     *[numSlots]atomic.Uint32
	mailbox   *mailbox

	index       Index
	swept       uint64 // the epoch whose entries the mailbox has; what else it had is cleared
	unaccounted unaccounted
	file        sharedFile
}

// unaccounted is a fingerprint that was not accounted for, and when it was first seen.
type unaccounted struct {
	fingerprint atomic.Uint64
	since       atomic.Int64
}

// SetIndex says where the WAL-index header is. It must be called before the
// table is used, and the header must be readable as long as it is.
func (t *Table) SetIndex(ix Index) { t.index = ix }

func (t *Table) slot(hash uint64) *atomic.Uint32 { return &t.slots[hash&(numSlots-1)] }

// Stamp returns the stamp of now for the key with a hash, or false if there
// is none because a commit is under way or not accounted for. What is read
// from the database afterwards may be kept under it, and what is kept under
// it is valid.
func (t *Table) Stamp(hash uint64) (Stamp, bool) {
	// The order matters: see the package comment.
	if !t.Accounted() {
		return Stamp{}, false
	}
	s := Stamp{epoch: t.epoch.Load()}
	s.version = t.slot(hash).Load()
	return s, s.epoch&1 == 0 && s.version&1 == 0
}

// Accounted reports whether the last commit is accounted for.
func (t *Table) Accounted() bool { return fingerprintOf(t.index) == t.accounted.Load() }

// Epoch returns a number that changes when anything may have changed that no
// key's version is about, such as settings.
func (t *Table) Epoch() uint64 { return t.epoch.Load() }

// Unaccounted reports whether there has been a commit that is not accounted for,
// and none since for at least a duration; now is in the same unit. Then it is
// time to Resync it: earlier, it may be one of this project's that is about to
// be accounted for, or the next may follow at once.
func (t *Table) Unaccounted(now, after int64) bool {
	p := fingerprintOf(t.index)
	if p == t.accounted.Load() {
		return false
	}
	if t.unaccounted.fingerprint.Swap(p) != p {
		t.unaccounted.since.Store(now)
		return false
	}
	return now-t.unaccounted.since.Load() >= after
}

// Resync accounts for unaccounted commits: what was read before them is not valid any
// more.
func (t *Table) Resync() {
	p := fingerprintOf(t.index)
	t.epoch.Add(2)
	t.accounted.Store(p)
}

// Commit is what a writer remembers between Begin and End.
type Commit struct {
	marked []uint32
	all    bool
	epoch  uint64
	before uint64 // the fingerprint at Begin
}

// MaxMarked is the number of keys above which a commit advances the epoch
// instead of their versions.
const MaxMarked = 4096

// Begin announces that a transaction which is about to be committed has
// changed the keys with some hashes, or, with all, any. The caller has SQLite's
// write lock, until after End. Begin mends what a writer left that died between Begin and
// End, and advances the epoch if there was an unaccounted commit.
func (t *Table) Begin(c *Commit, hashes []uint64, all bool) {
	if t.writing.Swap(1) != 0 {
		t.heal()
	}
	if c.before = fingerprintOf(t.index); c.before != t.accounted.Load() {
		t.epoch.Add(2)
	}
	c.epoch = t.epoch.Load()
	t.sweep(c.epoch)
	c.marked = c.marked[:0]
	if c.all = all || len(hashes) > MaxMarked; c.all {
		t.epoch.Add(1)
		return
	}
	for _, h := range hashes {
		if v := t.slot(h); v.Load()&1 == 0 {
			v.Add(1)
			c.marked = append(c.marked, uint32(h&(numSlots-1)))
		}
	}
}

// Publish leaves an entry, made by Append, for other processes, or, if it is
// empty, takes away what they may find of the row with a hash. It is called
// after COMMIT and before End, which makes the entry valid, in the order in which
// the rows were written. It does nothing if the transaction was rolled back.
func (t *Table) Publish(c *Commit, hash uint64, b []byte) {
	version := t.slot(hash).Load()
	switch {
	case c.all || version&1 == 0 || fingerprintOf(t.index) == c.before:
	case len(b) == 0 || len(b) > maxPublished:
		t.mailbox.remove(hash)
	default:
		e := entry(b)
		e.setStamp(Stamp{c.epoch, version + 1})
		t.mailbox.publish(e)
	}
}

// End says that the transaction is over, one way or the other. The fingerprint is
// the one that it has left: the write lock is still held.
func (t *Table) End(c *Commit) {
	t.accounted.Store(fingerprintOf(t.index))
	for _, i := range c.marked {
		t.even(&t.slots[i])
	}
	if c.all {
		t.sweep(t.epoch.Add(1))
	}
	t.writing.Store(0)
}

// sweep clears the mailbox of what it has of other epochs than the one that has
// begun.
func (t *Table) sweep(epoch uint64) {
	if t.swept != epoch {
		t.mailbox.sweep(epoch)
		t.swept = epoch
	}
}

// even makes an odd version even. When 2^32 are used up they begin anew, in
// another epoch.
func (t *Table) even(v *atomic.Uint32) {
	if v.Load() == math.MaxUint32 {
		t.epoch.Add(2)
	}
	v.Add(1)
}

// heal makes even what a writer that died has left odd.
func (t *Table) heal() {
	for i := range t.slots {
		if v := &t.slots[i]; v.Load()&1 != 0 {
			t.even(v)
		}
	}
	if t.epoch.Load()&1 != 0 {
		t.epoch.Add(1)
	}
	t.epoch.Add(2)
}

// Written returns the stamp of a row that the transaction has written, or
// false if there is none. It is called after End, while the write lock is
// still held.
func (t *Table) Written(c *Commit, hash uint64) (Stamp, bool) {
	s := Stamp{epoch: c.epoch, version: t.slot(hash).Load()}
	return s, !c.all && s.epoch&1 == 0 && s.version&1 == 0
}

// Fetch puts an entry with the stamp s that was left for others into rows, if
// there is one.
func (t *Table) Fetch(rows *Rows, hash uint64, s Stamp) bool {
	var buf [maxPublished]byte
	e := t.mailbox.read(&buf, hash, s)
	if e != nil {
		rows.Put(e, s)
	}
	return e != nil
}
