package sqlite

import (
	"sync/atomic"
	"time"
)

// presence is what readers know of whether the database is still under its name.
// A reader that knows nothing looks, and tells the others: that it is there counts
// for presentFor. So a read pays for one atomic load, and where nobody reads
// nobody looks. That it is gone counts for nothing: each reader looks again, as
// the directory may be moved back.
type presence struct{ state atomic.Int32 }

const (
	unknown int32 = iota
	isThere
	isGone
)

// presentFor is how long it counts that the database was there.
const presentFor = time.Second

// readable fails if the database has been removed or replaced: nobody else
// writes to what it holds any more.
func (c *core) readable() error {
	if c.presence.state.Load() == isThere {
		return nil
	}
	return c.findOut()
}

// findOut looks, and notes what it has found, unless a writer notes something else
// meanwhile.
func (c *core) findOut() error {
	p := &c.presence
	was := p.state.Load()
	err := c.present()
	switch {
	case err != nil:
		p.state.Store(isGone)
	case p.state.CompareAndSwap(was, isThere):
		time.AfterFunc(presentFor, func() { p.state.CompareAndSwap(isThere, unknown) })
	}
	return err
}
