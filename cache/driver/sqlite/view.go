package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// A view is a transaction that reads: a connection of the pool, with a snapshot.

// flushPatience is how long a View waits for writers at most, so that slid
// expiries can be written.
const flushPatience = 2 * time.Millisecond

// view runs fn in a snapshot.
//
// Before, it writes expiries that reads have slid and that are still in memory. It waits for
// other writers no longer than flushPatience: then scans in the snapshot go by the expiries in
// the database.
func (c *core) view(ctx context.Context, patience time.Duration, fn func(driver.Tx) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := c.readable(); err != nil {
		return err
	}
	cn, err := c.readers.take(ctx, patience)
	if err != nil {
		return err
	}
	if c.maintainer != nil && c.maintainer.slides() {
		c.maintainer.flushAll(ctx, time.Now().Add(flushPatience))
	}
	view := c.values.EnterView()
	defer c.values.LeaveView(view)
	t := &tx{core: c, conn: cn}
	if err := cn.beginSnapshot(); err != nil {
		if !cn.AutoCommit() {
			cn.end("ROLLBACK")
		}
		c.readers.put(cn)
		return err
	}
	defer func() {
		if e := cn.end("COMMIT"); e != nil && err == nil {
			err = translate(e)
		}
		c.readers.put(cn)
	}()
	return fn(t)
}

// beginSnapshot begins a transaction that reads. Its snapshot is that of the first statement,
// which BEGIN is not.
func (cn *conn) beginSnapshot() error {
	return cn.waitErr(cn.Exec("BEGIN; SELECT 1 FROM Settings LIMIT 1"))
}
