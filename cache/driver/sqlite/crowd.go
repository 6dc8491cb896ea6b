package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

const (
	// minCrowded is how long a process that has found another one writing
	// lines up for its transactions. If it finds one again soon after, it is
	// twice as long, and so on.
	minCrowded = 10 * time.Millisecond
	maxCrowded = 640 * time.Millisecond
)

// crowd is what a writer knows of other processes that write.
//
// SQLite's lock cannot be waited for, only tried again and again, and whoever
// tries less often than the others may starve. So processes line up for the
// directory's lock, which the kernel hands on: there they sleep, and but one
// of them tries to get SQLite's. But to take that lock as well costs two more
// system calls, a tenth of a transaction, for nothing where a process is the
// only one that writes. Therefore SQLite's lock is tried without it first. A
// failure means that others are writing, and for a while from then on the
// process lines up first, and keeps its place until it has committed. Those who
// push in, not having met anybody yet, meet the one in front soon.
type crowd struct {
	until  time.Time     // when the place is crowded no more, as far as one knows
	span   time.Duration // 0 if nobody has ever been met
	locked bool          // the directory's lock is held
}

// met is called when others have been found to write.
func (c *crowd) met(now time.Time) {
	if now.Sub(c.until) > c.span { // it was quiet for as long
		c.span = minCrowded / 2
	}
	c.span = min(max(2*c.span, minCrowded), maxCrowded)
	c.until = now.Add(c.span)
}

// past is a deadline for a wait that must not happen.
var past = time.Unix(0, 0)

// enter begins a transaction that may write. Whether it fails or not, leave
// comes after.
func (w *writer) enter(ctx context.Context, deadline time.Time) error {
	if w.crowd.span == 0 || time.Now().After(w.crowd.until) {
		w.conn.bound(ctx, past)
		err := w.run("BEGIN IMMEDIATE")
		if err == nil {
			return w.begun()
		}
		if !lite.IsBusy(err) {
			return w.conn.waitErr(err)
		}
		w.crowd.met(time.Now())
	}
	if err := w.dir.lock(ctx, deadline); err != nil {
		return err
	}
	w.crowd.locked = true
	w.conn.bound(ctx, deadline)
	return w.begin()
}

// leave lets others in after a transaction.
func (w *writer) leave() {
	if w.crowd.locked {
		w.crowd.locked = false
		w.dir.unlock()
	}
}
