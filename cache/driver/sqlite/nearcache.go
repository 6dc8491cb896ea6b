package sqlite

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/mapped"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/codec"
)

// nearCache answers Gets from memory. Package near says how it stays coherent
// with all writers of the database; here the engine calls it.
type nearCache struct {
	guard mapped.Guard // of the table's map; when that is lost all is as if there were no table
	table *near.Table  // nil: no versions are kept, and so no copies either
	rows  *near.Rows   // nil: this process keeps no copies, but others may
	start time.Time

	bypassed atomic.Int64 // Gets that did not ask rows
	fetched  atomic.Int64 // Gets that asked rows twice, since other processes had left the answer

	// What follows belongs to the writer.
	commit near.Commit
	tx     *tx // that is being committed
}

// resyncAfter is how old the last commit of another program has to be for
// readers to take notice of it. As long as one follows the other there is
// nothing to be kept in memory.
const resyncAfter = time.Millisecond

// open begins to keep versions, and copies of up to c.opts.NearCache bytes.
// Where that is not possible there is no near cache, and nothing else changes.
// It fails if the file is not to be trusted.
func (n *nearCache) open(c *core) error {
	ix := c.writer.conn.WALIndexHeader()
	if ix == nil || !near.Supported {
		c.log.Debug("there is no near cache", "error", near.ErrUnsupported)
		return nil
	}
	f, err := c.files.Shared(nearName)
	if isHostile(err) {
		return translate(err)
	}
	if err == nil {
		err = n.openTable(c, f, ix)
	}
	if err != nil {
		c.log.Debug("there is no near cache", "error", err)
	}
	return nil
}

// openTable maps the table, and makes room for copies.
func (n *nearCache) openTable(c *core, f *osfs.File, ix near.Index) error {
	t, err := near.Open(f)
	if err != nil {
		return err
	}
	n.start = time.Now()
	if c.opts.NearCache > 0 {
		if n.rows, err = near.NewRows(c.opts.NearCache); err != nil {
			t.Close()
			return err
		}
	}
	n.table = t
	n.guard.OnLoss(func() {
		c.log.Warn("another program has cut the file of the near cache short: there is no near cache until the store is opened again", "file", nearName)
	})
	t.SetIndex(ix)
	c.writer.conn.SetUnlockHook(n.ended)
	return nil
}

// close is called before the connection is closed that the WAL-index is read
// through. The hook goes first: should a rollback have failed, that connection
// does it when it is closed.
func (n *nearCache) close(c *core) error {
	if n.table == nil {
		return nil
	}
	c.writer.conn.SetUnlockHook(nil)
	n.clear()
	err := n.table.Close()
	if n.rows != nil {
		err = errors.Join(err, n.rows.Close())
	}
	return err
}

// clear overwrites what another program could read of the table, if this process is the
// last that has it open.
func (n *nearCache) clear() {
	defer n.guard.Catch(mapped.Enter())
	n.table.Clear()
}

// hasTable reports whether versions of rows are kept.
func (n *nearCache) hasTable() bool { return n.table != nil && !n.guard.Lost() }

// answers reports whether there may be copies of rows.
func (n *nearCache) answers() bool { return n.rows != nil && !n.guard.Lost() }

// get looks a row up. Unless the answer is Unknown, r is what the database
// holds at some moment during the call. If it is, and stamped is true, what is
// read from the database now may be kept under the stamp.
func (n *nearCache) get(c *collection, hash uint64, key codec.Value, bare bool, r *driver.Row) (a near.Answer, s near.Stamp, stamped bool) {
	defer n.guard.Catch(mapped.Enter())
	s, stamped = n.table.Stamp(hash)
	if !stamped {
		if n.table.Unaccounted(int64(time.Since(n.start)), int64(resyncAfter)) {
			n.table.Resync()
		}
		n.bypassed.Add(1)
		return near.Unknown, s, false
	}
	if !s.Within(c.settingsEpoch.Load()) {
		n.bypassed.Add(1)
		return near.Unknown, s, true
	}
	return n.lookup(c, hash, s, key, bare, r), s, true
}

// getUpdating is get for a transaction that has the write lock, where settings are
// read elsewhere.
func (n *nearCache) getUpdating(c *collection, hash uint64, key codec.Value, bare bool, r *driver.Row) (a near.Answer, s near.Stamp, stamped bool) {
	defer n.guard.Catch(mapped.Enter())
	if s, stamped = n.table.Stamp(hash); stamped {
		a = n.lookup(c, hash, s, key, bare, r)
	}
	return a, s, stamped
}

// lookup looks a row up under a stamp of now, in this process and then among
// what others have left.
func (n *nearCache) lookup(c *collection, hash uint64, s near.Stamp, key codec.Value, bare bool, r *driver.Row) near.Answer {
	a := n.rows.Get(hash, s, c.id, key, bare, r)
	if a == near.Unknown && n.table.Fetch(n.rows, hash, s) {
		n.fetched.Add(1)
		a = n.rows.Get(hash, s, c.id, key, bare, r)
	}
	return a
}

// put puts into the cache what a Get has read from the database: a row as it is
// stored, or that there is none.
func (n *nearCache) put(cn *conn, s near.Stamp, hash uint64, c *collection, key codec.Value, r *driver.Row, ok bool) {
	if !ok {
		r = nil
	}
	cn.entryBuf = near.Append(cn.entryBuf[:0], hash, c.id, key, r)
	if len(cn.entryBuf) > 0 {
		n.rows.Put(cn.entryBuf, s)
	}
}

// stats returns what the copies are worth.
func (n *nearCache) stats() (out driver.NearStats) {
	if n.rows != nil {
		out.Hits, out.Misses, out.Bytes = n.rows.Stats()
		out.Misses += n.bypassed.Load() - n.fetched.Load()
	}
	return out
}

// epoch returns the epoch of the table, or false if there has been a commit that
// is not accounted for: settings that were read in the same epoch are those of
// now. The caller has the write lock.
func (n *nearCache) epoch() (epoch uint64, known bool) {
	if !n.hasTable() {
		return 0, false
	}
	defer n.guard.Catch(mapped.Enter())
	if !n.table.Accounted() {
		return 0, false
	}
	return n.table.Epoch(), true
}

// refreshSettings reads the settings of c if there may be newer ones. Every commit that
// changes settings advances the epoch.
func (n *nearCache) refreshSettings(cn *conn, c *collection) {
	defer n.guard.Catch(mapped.Enter())
	epoch := n.table.Epoch()
	if c.settingsEpoch.Load() == epoch {
		return
	}
	old := c.settings.Load()
	s, err := cn.readSettings(c)
	if err != nil {
		return // the Get that follows will say what is wrong
	}
	if s != *old && !c.settings.CompareAndSwap(old, &s) {
		return // another reader has stored other settings, perhaps older ones: the next Get looks again
	}
	c.settingsEpoch.Store(epoch)
}

// begin announces to all processes which keys a transaction has changed. Its COMMIT comes
// next.
func (n *nearCache) begin(t *tx) {
	if !n.hasTable() {
		return
	}
	defer n.guard.Catch(mapped.Enter())
	n.table.Begin(&n.commit, t.nearWrites.hashes, t.nearWrites.all)
	n.tx = t
}

// ended is called when the transaction is over, one way or the other, and the
// write lock is about to be released.
func (n *nearCache) ended() {
	if n.tx == nil {
		return // it never came to COMMIT
	}
	nw := &n.tx.nearWrites
	n.tx = nil
	defer n.guard.Catch(mapped.Enter())
	for _, s := range nw.steps {
		n.table.Publish(&n.commit, s.hash, nw.entries[s.from:s.to])
	}
	n.table.End(&n.commit)
	for i := range nw.steps {
		s := &nw.steps[i]
		s.stamp, s.ok = n.table.Written(&n.commit, s.hash)
	}
}

// keepWritten keeps the rows that a transaction has written and committed.
func (n *nearCache) keepWritten(nw *nearWrites) {
	if !n.answers() {
		return
	}
	for _, s := range nw.steps {
		if s.from == s.to || !s.ok {
			n.rows.Forget(s.hash)
		} else {
			n.rows.Put(nw.entries[s.from:s.to], s.stamp)
		}
	}
}
