package sync

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache/clock"
)

// lease is the row of a lock or a semaphore: who holds it and who waits.
//
// It changes in transactions only, and by these rules. A claim waits in Queue
// until those before it have had their turn, and N permits are free; whoever
// makes that true - the holder that releases, or a waiter that finds a holder
// dead - moves it to Holds, with a token, and then wakes its owner. So a
// waiter never has to win a race, and is woken once.
type lease struct {
	Size  int64 // permits; 1 for a lock
	Token int64 // the last one that was given out
	Holds []claim
	Queue []claim
}

// claim is a hold, or a place in the queue.
type claim struct {
	Owner string // a space: its session, a dot, a number
	ID    id     // random: who knows it has read the row
	N     int64  // permits
	Max   int64  // how long it may be held, in nanoseconds; 0: any time
	Token int64  // of a hold
	Since int64  // of a hold: Unix time in nanoseconds
}

// id tells claims apart. Nobody can guess one: a wake-up that names a claim by
// its id comes from a process that may read the row.
type id [16]byte

func newID() (n id) {
	rand.Read(n[:])
	return n
}

// is reports whether two claims are the same one.
func (c *claim) is(o *claim) bool { return c.ID == o.ID && c.Owner == o.Owner }

// session returns the session that the claim lives and dies with.
func (c *claim) session() string {
	session, _, _ := cutLast(c.Owner)
	return session
}

func cutLast(owner string) (session, number string, ok bool) {
	i := strings.LastIndexByte(owner, '.')
	if i < 0 {
		return owner, "", false
	}
	return owner[:i], owner[i+1:], true
}

// until returns when a hold ends by itself, and false if it does not.
func (c *claim) until() (time.Time, bool) {
	return time.Unix(0, c.Since).Add(time.Duration(c.Max)), c.Max > 0
}

// over reports whether a hold's maximum time is over.
func (c *claim) over(now time.Time) bool {
	t, ok := c.until()
	return ok && !now.Before(t)
}

// tokens is how many fencing tokens a row gives out for each number that it
// takes from the store's counter. That costs another page of the database to
// write, but makes the tokens of a row that was removed and made again grow.
const tokens = 1 << 20

// world is what rules depend on beyond the row.
type world struct {
	now   time.Time
	alive func(session string) (bool, error)
	fence func() (int64, error)
	lost  []claim // holds that were ended though their owners live
}

func index(cs []claim, c *claim) int {
	return slices.IndexFunc(cs, func(o claim) bool { return o.is(c) })
}

// held returns the hold of a claim, or nil.
func (l *lease) held(c *claim) *claim {
	if i := index(l.Holds, c); i >= 0 {
		return &l.Holds[i]
	}
	return nil
}

func (l *lease) free() int64 {
	n := l.Size
	for i := range l.Holds {
		n -= l.Holds[i].N
	}
	return n
}

// idle reports whether nobody holds or waits.
func (l *lease) idle() bool { return len(l.Holds)+len(l.Queue) == 0 }

// settle removes holds that have ended, with their time or their process, and
// gives what is free to those whose turn it is. It returns the new holds, and
// whether anything changed.
func (l *lease) settle(w *world) (granted []claim, changed bool, err error) {
	before := len(l.Holds) + len(l.Queue)
	dated := l.date(w.now)
	if l.Holds, err = keep(l.Holds, func(c *claim) (bool, error) {
		if c.over(w.now) {
			w.lost = append(w.lost, *c)
			return false, nil
		}
		return w.alive(c.session())
	}); err != nil {
		return nil, false, err
	}
	granted, err = l.grant(w)
	return granted, dated || len(granted) > 0 || len(l.Holds)+len(l.Queue) != before, err
}

// date has holds with a maximum that began in the future begin now, and reports
// whether there were any: the clock was ahead then.
func (l *lease) date(now time.Time) (dated bool) {
	for i := range l.Holds {
		if c := &l.Holds[i]; c.Max > 0 && c.Since > clock.Nanos(now) {
			c.Since, dated = clock.Nanos(now), true
		}
	}
	return dated
}

// grant gives what is free to those whose turn it is. Only those are asked
// whether they live.
func (l *lease) grant(w *world) (granted []claim, err error) {
	for len(l.Queue) > 0 {
		c := l.Queue[0]
		ok, err := w.alive(c.session())
		if err != nil {
			return nil, err
		}
		if ok {
			if c.N > l.free() {
				break
			}
			if c, err = l.hold(c, w); err != nil {
				return nil, err
			}
			granted = append(granted, c)
		}
		l.Queue = slices.Delete(l.Queue, 0, 1)
	}
	return granted, nil
}

// hold makes c a hold.
func (l *lease) hold(c claim, w *world) (claim, error) {
	if l.Token%tokens == 0 {
		n, err := w.fence()
		if err != nil {
			return c, err
		}
		l.Token = n * tokens
	}
	l.Token++
	c.Token, c.Since = l.Token, clock.Nanos(w.now)
	l.Holds = append(l.Holds, c)
	return c, nil
}

// drop removes n permits of a hold, or a whole claim with n <= 0, and reports
// whether there was one.
func (l *lease) drop(c *claim, n int64) bool {
	if i := index(l.Holds, c); i >= 0 {
		if h := &l.Holds[i]; n > 0 && n < h.N {
			h.N -= n
		} else {
			l.Holds = slices.Delete(l.Holds, i, i+1)
		}
		return true
	}
	if i := index(l.Queue, c); i >= 0 {
		l.Queue = slices.Delete(l.Queue, i, i+1)
		return true
	}
	return false
}

// keep returns those claims for which fn is true.
func keep(cs []claim, fn func(*claim) (bool, error)) ([]claim, error) {
	var failed error
	cs = slices.DeleteFunc(cs, func(c claim) bool {
		ok, err := true, error(nil)
		if failed == nil {
			ok, err = fn(&c)
		}
		if err != nil {
			failed, ok = err, true
		}
		return !ok
	})
	return cs, failed
}
