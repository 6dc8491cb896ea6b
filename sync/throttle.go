package sync

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
	"github.com/go-diskcache/diskcache/cache/family"
)

// Throttle is a token bucket that goroutines and processes share: it lets Count
// events of each Period through, evenly, after a burst at the start. Waiting
// calls are let through in the order in which they came. All methods may be
// called by many goroutines at once.
//
// Its state is one number that survives restarts; opening a throttle does not
// fill the bucket. It goes by the clock of the store. If that is set back, the
// bucket is as full as it was when the last event was counted.
type Throttle struct {
	rows  *cache.Cache[string, int64]
	name  string
	gap   time.Duration // between two events
	ahead time.Duration // how far the events may be ahead of the gaps: a burst of them
}

// ThrottleOptions say how much a throttle lets through. Programs that share
// one should use the same; with different ones, each event counts as what
// its own program says.
type ThrottleOptions struct {
	// Count events are let through in each Period. Both must be positive.
	Count  int64
	Period time.Duration

	// Burst is how many events may come at once when there were none for a
	// while. Defaults to Count.
	Burst int64
}

// NewThrottle returns the throttle called name of a store. It writes nothing
// but, once, the collection that it is in. Options that would let nothing
// through, such as nil, are cache.ErrInvalid.
func NewThrottle(ctx context.Context, st *cache.Store, name string, o *ThrottleOptions) (*Throttle, error) {
	t := &Throttle{name: name}
	if o == nil {
		o = &ThrottleOptions{}
	}
	if err := t.configure(*o); err != nil {
		return nil, fail("NewThrottle", throttlePrefix+name, err)
	}
	var err error
	t.rows, err = throttles(ctx, st)
	if err != nil {
		return nil, fail("NewThrottle", throttlePrefix+name, err)
	}
	return t, nil
}

func throttles(ctx context.Context, st *cache.Store) (*cache.Cache[string, int64], error) {
	return cache.New(ctx, st, "throttles", &cache.Options[string, int64]{Family: "sync", Persistent: true})
}

func (t *Throttle) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fail(op, throttlePrefix+t.name, err)
}

func (t *Throttle) configure(o ThrottleOptions) error {
	if o.Burst == 0 {
		o.Burst = o.Count
	}
	if o.Count < 1 || o.Period < 1 || o.Burst < 1 {
		return family.Invalid("ThrottleOptions of %d events in %v, and a Burst of %d; all have to be positive", o.Count, o.Period, o.Burst)
	}
	t.gap = time.Duration((int64(o.Period)-1)/o.Count + 1) // rounded up: never more than asked for
	if int64(t.gap) > math.MaxInt64/4/o.Burst {
		return family.Invalid("a burst of %d events takes too long", o.Burst)
	}
	t.ahead = t.gap * time.Duration(o.Burst)
	return nil
}

// Allow reports whether an event may happen now, and counts it if so. Given the
// context of a transaction it fails with cache.ErrInTx, like Wait.
func (t *Throttle) Allow(ctx context.Context) (bool, error) { return t.AllowN(ctx, 1) }

// AllowN is Allow of n events at once, of which all or none are counted: as many as
// requests have bytes, for instance. More than a burst are cache.ErrInvalid.
func (t *Throttle) AllowN(ctx context.Context, n int64) (bool, error) {
	_, _, ok, err := t.reserve(ctx, n, 0)
	return ok, t.fail("Allow", err)
}

// Wait waits until an event may happen, and counts it. If ctx would end
// before, it fails at once with context.DeadlineExceeded and counts nothing.
// If ctx ends while it waits, the event is not counted unless others have
// queued up behind it. If the store is closed it fails with cache.ErrClosed.
func (t *Throttle) Wait(ctx context.Context) error { return t.WaitN(ctx, 1) }

// WaitN is Wait for n events at once. More than a burst are cache.ErrInvalid.
func (t *Throttle) WaitN(ctx context.Context, n int64) error {
	return t.fail("Wait", t.wait(ctx, n))
}

// Reserve counts n events and returns how long it is until they may happen, 0 if they may
// at once: for those who have something else to do meanwhile, or tell somebody else to
// wait. Cancel takes the events back, unless others have queued up behind them, and does
// nothing once that has succeeded. More than a burst are cache.ErrInvalid.
func (t *Throttle) Reserve(ctx context.Context, n int64) (delay time.Duration, cancel func() error, err error) {
	slot, delay, _, err := t.reserve(ctx, n, math.MaxInt64)
	if err != nil {
		return 0, nil, t.fail("Reserve", err)
	}
	var mu sync.Mutex
	done := false
	return delay, func() error {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return nil
		}
		err := t.refund(slot, n)
		done = err == nil || errors.Is(err, cache.ErrUncertain) // a second time it might take back what others have reserved
		return t.fail("Reserve", err)
	}, nil
}

func (t *Throttle) wait(ctx context.Context, n int64) error {
	closed, forget, err := closing(t.rows.Store())
	if err != nil {
		return err
	}
	defer forget()
	longest := time.Duration(math.MaxInt64)
	if at, ok := ctx.Deadline(); ok {
		longest = time.Until(at)
	}
	slot, delay, ok, err := t.reserve(ctx, n, longest)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: the next event may happen in %v", context.DeadlineExceeded, delay)
	}
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-closed:
		err = cache.ErrClosed
	case <-ctx.Done():
		err = family.Ended(ctx)
	}
	return errors.Join(err, t.refund(slot, n))
}

// reserve counts n events if they may happen within longest. It returns the slot of the
// last, and how long it is until then.
//
// The stored number is the time at which the bucket will be full again, had it
// a hole for each event that was let through (the "generic cell rate
// algorithm"). An event moves it on by a gap, and may happen as soon as it is
// no farther ahead than a burst.
func (t *Throttle) reserve(ctx context.Context, n int64, longest time.Duration) (slot int64, delay time.Duration, ok bool, err error) {
	if burst := int64(t.ahead / t.gap); n < 1 || n > burst {
		return 0, 0, false, family.Invalid("%d events at once, where 1 to %d are possible, a burst", n, burst)
	}
	st := t.rows.Store()
	if st.TxOf(ctx) != nil {
		return 0, 0, false, errInTx
	}
	err = t.rows.Update(ctx, func(tx *cache.Tx) error {
		rows := t.rows.In(tx)
		e, _, err := rows.GetEntry(ctx, t.name)
		if err != nil {
			return err
		}
		now := st.Now()
		full := fullAt(e, now)
		instant := clock.Nanos(now)
		slot = clock.Add(max(full, instant), n*int64(t.gap))
		if slot == math.MaxInt64 {
			return fmt.Errorf("%w: too many events are waiting", cache.ErrOverflow)
		}
		delay = max(time.Duration(clock.Sub(clock.Sub(slot, int64(t.ahead)), instant)), 0)
		if ok = delay <= longest; ok {
			return rows.Set(ctx, t.name, slot)
		}
		if full == e.Value {
			return nil
		}
		return rows.Set(ctx, t.name, full) // else it would be set back again by the next
	})
	return slot, delay, ok, err
}

// fullAt is when the bucket will be full again, by a clock that may have been set back
// since that was stored.
func fullAt(e cache.Entry[string, int64], now time.Time) int64 {
	if back := e.Stored.Sub(now); back > clockNoise {
		return clock.Sub(e.Value, int64(back))
	}
	return e.Value
}

// clockNoise is more than by what the store time of a row, which is rounded, may
// be ahead of the clock.
const clockNoise = time.Millisecond

// refund takes n events back if no later one depends on them.
func (t *Throttle) refund(slot, n int64) error {
	ctx := context.Background()
	return t.rows.Update(ctx, func(tx *cache.Tx) error {
		rows := t.rows.In(tx)
		e, _, err := rows.GetEntry(ctx, t.name)
		if err != nil || e.Value != slot {
			return err // to write it again would hide from fullAt that the clock was set back
		}
		return rows.Set(ctx, t.name, fullAt(e, t.rows.Store().Now())-n*int64(t.gap))
	})
}

// Throttled returns a function that waits for t and then calls fn.
func Throttled[A, R any](t *Throttle, fn func(ctx context.Context, arg A) (R, error)) func(ctx context.Context, arg A) (R, error) {
	return func(ctx context.Context, arg A) (r R, err error) {
		if t == nil || fn == nil {
			return r, cache.WrapError(context.Background(), "Throttled", "", family.Invalid("nil throttle or function"))
		}
		if err := t.Wait(ctx); err != nil {
			return r, err
		}
		return fn(ctx, arg)
	}
}

// closing returns a channel that is closed when Close of a store begins.
func closing(st *cache.Store) (closed <-chan struct{}, forget func(), err error) {
	ch := make(chan struct{})
	forget, err = st.AtClose(func() { close(ch) })
	return ch, forget, err
}
