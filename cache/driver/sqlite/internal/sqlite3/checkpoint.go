package sqlite3

import (
	lib "modernc.org/sqlite/lib"
)

// CheckpointMode says how much a checkpoint waits for others.
type CheckpointMode int32

// The modes of a checkpoint, each doing and waiting for more than the one
// before.
const (
	// Passive copies what can be copied without waiting for anybody and
	// without calling the busy handler.
	Passive CheckpointMode = lib.SQLITE_CHECKPOINT_PASSIVE
	// Restart waits for the writer and for readers, copies everything, and waits
	// until no reader uses the WAL, so that the next writer begins it anew.
	// Writers wait meanwhile.
	Restart CheckpointMode = lib.SQLITE_CHECKPOINT_RESTART
	// Truncate also cuts the WAL file to zero bytes.
	Truncate CheckpointMode = lib.SQLITE_CHECKPOINT_TRUNCATE
)

// Checkpoint copies pages from the WAL to the database. It returns the
// number of frames in the WAL and how many of them are in the database now;
// both are -1 if the database is not in WAL mode, and both are 0 after a
// successful Truncate. If it could not do all that the mode asks for because
// of other connections, the numbers are valid and the error is one that
// [IsBusy] knows.
func (c *Conn) Checkpoint(mode CheckpointMode) (log, done int, err error) {
	if c.db == 0 {
		return 0, 0, misuse("checkpoint", "the connection is closed")
	}
	out := c.scratch + scratchOut
	rc := lib.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, c.scratch+scratchMain, int32(mode), out, out+4)
	log, done = c.out()
	if rc != lib.SQLITE_OK {
		return log, done, c.fail("checkpoint", rc)
	}
	return log, done, nil
}

// SetAutoCheckpointOff ends automatic checkpoints: after a commit that
// leaves 1,000 pages or more in the WAL SQLite would checkpoint, within that
// commit. [Conn.SetWALHook] has the same effect.
func (c *Conn) SetAutoCheckpointOff() { c.SetWALHook(nil) }

// SetCheckpointOnClose says whether closing c, if it is the last connection of
// all processes, copies the log to the database and removes it. It does if this
// was never called.
func (c *Conn) SetCheckpointOnClose(on bool) error {
	never := int32(1)
	if on {
		never = 0
	}
	return c.configure(lib.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, never)
}
