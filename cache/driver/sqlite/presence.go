package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// presence is what readers know of whether the database is still under its name.
// If they do not know, a reader looks. If it has found the database there, no reader looks
// again for presentFor: so a read costs one atomic load more, and a store that nobody reads
// costs nothing. If it has found the database gone, each reader looks again, since
// the directory may be moved back.
type presence struct{ state atomic.Int32 }

const (
	presenceUnknown int32 = iota
	presenceThere
	presenceGone
)

// presentFor is how long it counts that the database was there.
const presentFor = time.Second

// readable fails if the database has been removed or replaced: no other
// process writes to the file that is open any more.
func (c *core) readable() error {
	if c.presence.state.Load() == presenceThere {
		return nil
	}
	return c.findOut()
}

// findOut looks whether the database is present, and notes the answer, unless a writer notes
// another one meanwhile.
func (c *core) findOut() error {
	p := &c.presence
	was := p.state.Load()
	err := c.present()
	switch {
	case err != nil:
		p.state.Store(presenceGone)
	case p.state.CompareAndSwap(was, presenceThere):
		time.AfterFunc(presentFor, func() { p.state.CompareAndSwap(presenceThere, presenceUnknown) })
	}
	return err
}

// present fails if the database is no longer the file that was opened: other
// processes would never see what this one writes to it.
func (c *core) present() error {
	db, err := c.files.LstatByPath(databaseName)
	switch {
	case err == nil && db.Same(c.db):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return nil // it may well be there
	}
	return fmt.Errorf("%w any more: the directory or its %s was removed or replaced while it was open",
		driver.ErrNotStore, databaseName)
}
