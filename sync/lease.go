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
// until those before it were granted and N permits are free. The process that frees
// them, because it releases a hold or finds a holder dead, grants the claim: it moves
// it to Holds with a token, and wakes its owner after the commit. So a waiting process
// never has to win a race, and is woken once.
type lease struct {
	Size  int64 // permits; 1 for a lock
	Token int64 // the last one that was given out
	Holds []claim
	Queue []claim
}

// claim is a hold, or waits in the queue.
type claim struct {
	Owner string // a lock manager: its session, a dot, a number
	ID    id     // random: a process that knows it has read the row
	N     int64  // permits
	Max   int64  // how long it may be held, in nanoseconds; 0: any time
	Token int64  // of a hold
	Since int64  // of a hold: Unix time in nanoseconds
}

// id tells claims apart. It cannot be guessed: a wake-up that has a claim's id comes
// from a process that may read the row.
type id [16]byte

func newID() (n id) {
	rand.Read(n[:])
	return n
}

// is reports whether two claims are the same one.
func (c *claim) is(o *claim) bool { return c.ID == o.ID && c.Owner == o.Owner }

// session returns the session with which the claim ends.
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

// until returns when a hold's maximum time is over, and false if it has none.
func (c *claim) until() (time.Time, bool) {
	return time.Unix(0, c.Since).Add(time.Duration(c.Max)), c.Max > 0
}

// over reports whether a hold's maximum time is over.
func (c *claim) over(now time.Time) bool {
	t, ok := c.until()
	return ok && !now.Before(t)
}

// tokensPerFence is how many fencing tokens a row gives out for each number of the
// store's fence counter that it takes. To take one writes another page; it is what
// makes the tokens of a row that was deleted and inserted again grow.
const tokensPerFence = 1 << 20

// env is what the rules for a lease need beside the row.
type env struct {
	now   time.Time
	alive func(session string) (bool, error)
	fence func() (int64, error)
	again bool    // the outcome of the try before is not known
	lost  []claim // set by the rules: holds that were ended although their owners live

	remove bool // set by drop: the row is to be deleted
}

func indexOf(cs []claim, c *claim) int {
	return slices.IndexFunc(cs, func(o claim) bool { return o.is(c) })
}

// held returns the hold of a claim, or nil.
func (l *lease) held(c *claim) *claim {
	if i := indexOf(l.Holds, c); i >= 0 {
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

// settle removes the holds whose maximum time is over or whose session has ended, and
// grants what is free. It returns the claims that it granted, and whether the row has
// changed.
func (l *lease) settle(e *env) (granted []claim, changed bool, err error) {
	before := len(l.Holds) + len(l.Queue)
	dated := l.date(e.now)
	if l.Holds, err = filter(l.Holds, func(c *claim) (bool, error) {
		if c.over(e.now) {
			e.lost = append(e.lost, *c)
			return false, nil
		}
		return e.alive(c.session())
	}); err != nil {
		return nil, false, err
	}
	granted, err = l.grant(e)
	return granted, dated || len(granted) > 0 || len(l.Holds)+len(l.Queue) != before, err
}

// date has each hold with a maximum time begin now that seems to begin in the future,
// since the clock was ahead then. It reports whether there were any.
func (l *lease) date(now time.Time) (dated bool) {
	for i := range l.Holds {
		if c := &l.Holds[i]; c.Max > 0 && c.Since > clock.Nanos(now) {
			c.Since, dated = clock.Nanos(now), true
		}
	}
	return dated
}

// grant makes holds of the first claims in the queue, as long as there are permits for
// them, and removes those whose session has ended. Sessions of claims behind are not
// asked for.
func (l *lease) grant(e *env) (granted []claim, err error) {
	for len(l.Queue) > 0 {
		c := l.Queue[0]
		ok, err := e.alive(c.session())
		if err != nil {
			return nil, err
		}
		if ok {
			if c.N > l.free() {
				break
			}
			if c, err = l.admit(c, e); err != nil {
				return nil, err
			}
			granted = append(granted, c)
		}
		l.Queue = slices.Delete(l.Queue, 0, 1)
	}
	return granted, nil
}

// admit makes c a hold, with the next token.
func (l *lease) admit(c claim, e *env) (claim, error) {
	if l.Token%tokensPerFence == 0 {
		n, err := e.fence()
		if err != nil {
			return c, err
		}
		l.Token = n * tokensPerFence
	}
	l.Token++
	c.Token, c.Since = l.Token, clock.Nanos(e.now)
	l.Holds = append(l.Holds, c)
	return c, nil
}

// reduce leaves n permits of a hold, or removes a claim if n is 0, and reports whether
// that changes anything.
func (l *lease) reduce(c *claim, n int64) bool {
	if i := indexOf(l.Holds, c); i >= 0 {
		h := &l.Holds[i]
		switch {
		case n <= 0:
			l.Holds = slices.Delete(l.Holds, i, i+1)
		case n < h.N:
			h.N = n
		default:
			return false
		}
		return true
	}
	if i := indexOf(l.Queue, c); i >= 0 {
		l.Queue = slices.Delete(l.Queue, i, i+1)
		return true
	}
	return false
}

// filter returns those claims for which fn is true.
func filter(cs []claim, fn func(*claim) (bool, error)) ([]claim, error) {
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
