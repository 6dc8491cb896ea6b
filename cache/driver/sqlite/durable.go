package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
)

// durable has commits, with their value files, survive a power cut.
type durable struct {
	core *core

	mu       sync.Mutex
	waiting  valuefile.Trash // of commits that may not be on the disk yet
	reported map[string]bool // files of which the Logger was told

	backpressure sync.Mutex // held by a writer that hardens since too much waits
	hardening    sync.Mutex // held while files and the log are synced
}

// What stays for no other reason than that commits may not be on the disk yet is
// bounded by these: beyond them, the maintainer syncs at once and not within a
// second; beyond backpressureLoad times as much the writer does, so that writers make
// no more than the disk takes.
const (
	maxWaitingBytes  = 64 << 20
	maxWaitingNames  = 1024
	backpressureLoad = 2
)

// removeAfterCommit is called after a commit, with the files that are to be removed then. It
// removes them at once, or when the commit is durable, as the syncing says.
func (d *durable) removeAfterCommit(r valuefile.Trash) {
	if r.IsEmpty() {
		return
	}
	switch how := d.core.opts.syncing(); {
	case how == syncLater:
		d.add(r)
		switch load, old := d.load(); {
		case load > backpressureLoad:
			d.backpressure.Lock()
			if load, _ := d.load(); load > backpressureLoad { // no other writer has done it meanwhile
				d.hardenOrLog()
			}
			d.backpressure.Unlock()
		case load > 1 || old: // temporary names can wait until the log is copied
			d.core.maintainer.remind(load > 1)
		}
		return
	case how == syncFirst && d.core.opts.Synchronous != SyncFull:
		if err := d.syncLog(); err != nil {
			d.core.log.Warn("value files stay in the trash", "error", err)
			return
		}
	}
	d.core.values.Empty(r)
}

// add has the next harden remove files.
func (d *durable) add(r valuefile.Trash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting.Add(r)
}

// remove removes files of transactions that are committed, perhaps by a process that has died.
// It hardens before.
func (d *durable) remove(ctx context.Context, r valuefile.Trash) error {
	if d.core.opts.syncing() == syncNever {
		d.core.values.Empty(r)
		return nil
	}
	d.add(r)
	return d.harden(ctx, nil)
}

// take returns the files that wait to be removed, and forgets them.
func (d *durable) take() valuefile.Trash {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.waiting
	d.waiting = valuefile.Trash{}
	return r
}

// load returns how many files wait to be removed, as a multiple of the bounds, and whether
// value files without rows are among them.
func (d *durable) load() (load float64, old bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &d.waiting
	return max(float64(w.Names())/maxWaitingNames, float64(w.Bytes())/maxWaitingBytes), w.Old() > 0
}

// makeRoom is called when the disk is full. It removes at once the value files that wait to be
// removed, and reports whether there were any.
func (d *durable) makeRoom() bool {
	_, old := d.load()
	if old {
		d.hardenOrLog()
	}
	return old
}

// hardenIfDue hardens if value files without rows wait to be removed, or too many temporary names.
func (d *durable) hardenIfDue() {
	if load, old := d.load(); load > 1 || old {
		d.hardenOrLog()
	}
}

// hardenOrLog is harden for a caller that cannot return an error.
func (d *durable) hardenOrLog() {
	if err := d.harden(context.Background(), nil); err != nil {
		d.core.log.Warn("value files stay in the trash", "error", err)
		d.core.maintainer.remind(false)
	}
}

// harden syncs the value files of all that is committed, of all processes, and
// removes what waited for that. It runs inSnapshot, if that is not nil, in a snapshot of which
// all value files are synced: a checkpoint in it copies no more of the log than the
// snapshot has.
func (d *durable) harden(ctx context.Context, inSnapshot func()) (err error) {
	if inSnapshot == nil {
		inSnapshot = func() {}
	}
	if d.core.opts.syncing() == syncNever {
		inSnapshot()
		return nil
	}
	d.hardening.Lock()
	defer d.hardening.Unlock()
	r := d.take() // what comes later may not be in the snapshot
	defer func() {
		if err != nil {
			d.add(r)
		}
	}()
	var synced []unsynced
	if d.core.opts.JournalMode == JournalWAL {
		if synced, err = d.syncListed(ctx, inSnapshot); err != nil {
			return err
		}
	} else {
		inSnapshot()
	}
	if !r.IsEmpty() {
		if err := d.syncLog(); err != nil {
			return err
		}
		d.core.values.Empty(r)
	}
	d.core.maintainer.synced(synced)
	return nil
}

// syncListed syncs the files that are listed in a snapshot, and then runs
// inSnapshot in it. It returns those rows of the list that are done with.
func (d *durable) syncListed(ctx context.Context, inSnapshot func()) (done []unsynced, err error) {
	cn, err := d.core.readers.take(ctx, defaultTimeout)
	if err != nil {
		return nil, err
	}
	defer d.core.readers.put(cn)
	if err := cn.Exec("BEGIN"); err != nil {
		return nil, translate(err)
	}
	defer func() { err = errors.Join(err, translate(cn.Exec("COMMIT"))) }()
	all, err := cn.unsynced()
	if err != nil {
		return nil, err
	}
	done = d.syncList(all)
	inSnapshot()
	return done, nil
}

// syncList syncs the files of a list, and returns the rows that are done with. A
// file that cannot be synced stays listed: should the power be cut, it is looked at
// when the store is opened.
func (d *durable) syncList(list []unsynced) (done []unsynced) {
	failed := valuefile.Sync(d.core.files, referredFiles(list), nil)
	for _, u := range list {
		switch err := failed[u.path]; {
		case err != nil:
			if d.reportOnce(u.path) {
				d.core.log.Error("a value file cannot be synced", "path", u.path, "error", err)
			}
			continue
		case !isValueName(u.path) && d.reportOnce(u.path):
			d.core.log.Warn("a row of Unsynced names no value file", "row", u.id)
		}
		done = append(done, u)
	}
	return done
}

// reportOnce reports whether the Logger has not been told of a file so far.
func (d *durable) reportOnce(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reported[path] {
		return false
	}
	if d.reported == nil {
		d.reported = make(map[string]bool)
	}
	d.reported[path] = true
	return true
}

// syncLog syncs the log, or the journal. Value files are synced before it.
func (d *durable) syncLog() error {
	name := databaseName + "-wal"
	if d.core.opts.JournalMode != JournalWAL {
		name = databaseName + "-journal"
	}
	f, err := d.core.files.Modify(name)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // there is none: all is in the database
		return translate(err)
	}
	return translate(d.core.files.SyncFolder("."))
}

// checkpoint is conn.Checkpoint, of what is hardened.
//
// Passive copies what a snapshot has and no more. The other modes also copy what
// other processes have committed since: the files of that are synced right after.
func (d *durable) checkpoint(cn *conn, mode sqlite3.CheckpointMode) (log, done int, err error) {
	defer d.core.counters.checkpointed(time.Now())
	ctx := context.Background()
	failed := d.harden(ctx, func() { log, done, err = cn.Checkpoint(sqlite3.Passive) })
	if failed != nil {
		return log, done, failed
	}
	if mode == sqlite3.Passive || err != nil && !sqlite3.IsBusy(err) {
		return log, done, err
	}
	log, done, err = cn.Checkpoint(mode)
	if failed := d.harden(ctx, nil); failed != nil {
		return log, done, failed
	}
	return log, done, err
}

// restartLog copies the log, of which all is hardened then, and has it begin anew. It waits
// for readers, and for another process that copies the log.
func (d *durable) restartLog(cn *conn, patience time.Duration) error {
	cn.waitFor(context.Background(), patience)
	_, _, err := d.checkpoint(cn, sqlite3.Restart)
	// If SQLite has called the busy handler for no reader, another process is copying.
	if sqlite3.IsBusy(err) && cn.deadline.IsZero() {
		for end := time.Now().Add(patience); sqlite3.IsBusy(err) && cn.deadline.IsZero() && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			_, _, err = cn.Checkpoint(sqlite3.Restart)
		}
		d.hardenOrLog() // see checkpoint
	}
	return err
}

// syncPlaced has the transaction's value files survive a power cut and, where
// its commit does, those of all that was committed before.
func (t *tx) syncPlaced() error {
	var linked, copied []string
	for _, f := range t.placed {
		if f.IsCopied() {
			copied = append(copied, f.Path())
		} else {
			linked = append(linked, f.Path()) // synced by Finish
		}
	}
	for name, err := range valuefile.Sync(t.core.files, copied, linked) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if t.core.opts.JournalMode != JournalWAL || t.hardened == t.generation {
		return nil
	}
	others, err := t.conn.unsynced()
	if err != nil {
		return err
	}
	t.core.maintainer.synced(t.core.durable.syncList(others))
	t.hardened = t.generation
	return nil
}
