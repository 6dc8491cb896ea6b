package sqlite

import (
	"fmt"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/access"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
)

// collection is the default collection or a named one. Names belong to numbers
// in the catalog, table Collections.
type collection struct {
	core          *core
	name          string
	id            int64 // its number; 0: the default collection
	tables        *table.Tables
	settings      atomic.Pointer[driver.Settings]
	reads         access.Reads
	looked        atomic.Int64 // when the settings were last read by a reader, in Unix nanoseconds
	dropped       atomic.Bool
	codecs        atomic.Pointer[catalogEntry] // their names, as Open has read or written them last
	settingsEpoch atomic.Uint64                // epoch of the near cache when the settings were read
	damageTold    atomic.Bool                  // the Logger was told of damaged settings

	// What follows is known under the write lock, and stale if generation is not
	// the writer's.
	generation      uint64
	nextExpiry      driver.Instant // no row expires before; if known
	nextExpiryKnown bool
	spare           int64 // bytes that can surely be added before the size limit is reached
	endKeys         endKeys
}

// Name implements [driver.Collection].
func (c *collection) Name() string { return c.name }

// Settings implements [driver.Collection].
func (c *collection) Settings() driver.Settings { return *c.settings.Load() }

// Codecs implements [driver.Coded].
func (c *collection) Codecs() (keys, values string) {
	e := c.codecs.Load()
	return e.keyCodec, e.valueCodec
}

func newCollection(core *core, name string, id int64) *collection {
	return &collection{core: core, name: name, id: id, tables: table.Of(id)}
}

// errDropped is returned for a dropped collection.
var errDropped error = droppedError{}

type droppedError struct{}

func (droppedError) Error() string {
	return "the collection was dropped: open it again to have a new one"
}
func (droppedError) Is(target error) bool { return target == driver.ErrClosed }

// explain returns errDropped for SQLite's error that a table of c is missing: another
// process has dropped c. No other table can be missing, since opening the store looks for
// them.
func (c *collection) explain(err error) error {
	if name := sqlite3.MissingTable(err); c.id != 0 && (name == c.tables.Rows || name == c.tables.Settings) {
		return errDropped
	}
	return translate(err)
}

// inserted returns the ID of a row that was just inserted.
func (c *collection) inserted(rowid int64) (int64, error) {
	id, ok := c.tables.RowID(c.id, rowid)
	if !ok {
		return 0, fmt.Errorf("%w: no number is left for a new row of the collection", driver.ErrFull)
	}
	return id, nil
}
