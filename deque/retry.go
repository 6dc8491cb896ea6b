package deque

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// RetryPolicy says how often an item is attempted, and what becomes of it then: see
// [Options]. It is not stored: programs that claim from one deque should use the same.
type RetryPolicy struct {
	// MaxAttempts is how many claims there are of an item at most. One that has ended
	// without an Ack counts, also if the process died with it: so an item that kills
	// whoever works on it does not do so for ever. The next Claim finds it at the front,
	// and puts it where dead items are. It must be positive.
	MaxAttempts int64

	// Backoff is how long [Claim.Fail] keeps an item out of the deque after the first
	// attempt. After each further one it is twice as long as before, up to MaxBackoff.
	// Default to a second and an hour.
	Backoff    time.Duration
	MaxBackoff time.Duration

	// Dead is the name of the deque, in the same store, at whose back items are put that
	// have been attempted MaxAttempts times: see [Deque.Dead]. Defaults to the name of
	// the deque and ".dead".
	Dead string
}

func (p *RetryPolicy) withDefaults(name string) (RetryPolicy, error) {
	out := *p
	if out.Backoff == 0 {
		out.Backoff = time.Second
	}
	if out.MaxBackoff == 0 {
		out.MaxBackoff = max(time.Hour, out.Backoff)
	}
	if out.Dead == "" {
		out.Dead = name + ".dead"
	}
	switch {
	case out.MaxAttempts < 1:
		return out, family.Invalid("RetryPolicy.MaxAttempts is %d; without a bound there is no need for a policy", out.MaxAttempts)
	case out.Backoff < 0 || out.MaxBackoff < out.Backoff:
		return out, family.Invalid("RetryPolicy.Backoff of %v, up to %v", out.Backoff, out.MaxBackoff)
	case out.Dead == name:
		return out, family.Invalid("RetryPolicy.Dead is the deque itself")
	}
	return out, nil
}

// after returns how long an item stays away after an attempt.
func (p *RetryPolicy) after(attempt int64) time.Duration {
	d := p.Backoff
	for i := int64(1); i < attempt && d < p.MaxBackoff; i++ {
		d = min(2*d, p.MaxBackoff)
	}
	return d
}

// openDead opens the deque for dead items. In a read-only store it need not exist.
func (d *Deque[T]) openDead(ctx context.Context, name string, o Options[T]) error {
	p, err := o.Retry.withDefaults(name)
	if err != nil {
		return err
	}
	dead, err := New(ctx, d.shared.st, p.Dead, &Options[T]{Values: o.Values, MinFileSize: o.MinFileSize, SkipUndecodable: o.SkipUndecodable})
	if err != nil && !(d.shared.st.ReadOnly() && errors.Is(err, cache.ErrReadOnly)) {
		return err
	}
	d.shared.retry, d.shared.dead = &p, dead
	if dead != nil {
		d.others = slices.Concat(d.others, dead.others)
	}
	return nil
}

// Dead returns the deque with the items that were attempted as often as Options.Retry
// allows: to look at them, to remove them or to have them requeued. It is closed with d,
// and bound to the transaction that d is bound to. It is nil without Options.Retry, and in
// a read-only store where nothing has died.
func (d *Deque[T]) Dead() *Deque[T] {
	if d.shared.dead == nil || d.tx == nil {
		return d.shared.dead
	}
	return d.shared.dead.In(d.tx)
}

// Fail gives the item back after work that has failed, as Options.Retry says: it comes
// back later, or goes to the deque of dead items if this was the last attempt. It fails
// with ErrLost if the item has come back already, with cache.ErrCorrupt if its value is
// lost, since then it is removed, and with cache.ErrInvalid without Options.Retry. Like all
// of a claim it can be a part of a transaction.
func (c *Claim[T]) Fail(ctx context.Context) error {
	p := c.d.shared.retry
	switch {
	case p == nil:
		return c.d.fail(ctx, "Fail", family.Invalid("Options.Retry is not set; Nack needs none"))
	case c.Attempt < p.MaxAttempts:
		return c.Nack(ctx, p.after(c.Attempt))
	}
	return c.d.fail(ctx, "Fail", c.finish(ctx, func(d *Deque[T], key string) error {
		l, _, err := d.leases.Pop(ctx, key)
		if err != nil {
			return err
		}
		v, ok, err := d.inflight.Pop(ctx, c.at.number)
		if errors.Is(err, cache.ErrCorrupt) {
			if _, err := d.inflight.Delete(ctx, c.at.number); err != nil {
				return err
			}
			return refusal{errLost(1)}
		}
		if err != nil || !ok {
			return err
		}
		var expiry time.Time
		if l.Expiry != 0 {
			expiry = time.Unix(0, l.Expiry)
		}
		return d.bury(ctx, v, expiry)
	}, func(int64, error) error { return nil })) // it is dead
}

// bury puts a value at the back of the deque of dead items, in a transaction.
func (d *Deque[T]) bury(ctx context.Context, v codec.Value, expiry time.Time) error {
	return d.hand(ctx, v, expiry, d.Dead())
}

// hand puts a value that was popped at the back of another deque, in a transaction.
func (d *Deque[T]) hand(ctx context.Context, v codec.Value, expiry time.Time, to *Deque[T]) error {
	v, err := d.translate(to, v)
	if err != nil {
		return err
	}
	return to.pushEncoded(ctx, true, []codec.Value{v}, pushing{expiry: expiry})
}

// exhausted reports whether an item has been attempted as often as it may be.
func (d *Deque[T]) exhausted(attempts int64) bool {
	return d.shared.retry != nil && d.shared.dead != nil && attempts >= d.shared.retry.MaxAttempts
}

// Requeue puts up to n dead items, those that died first, back into the deque, at the
// back and as if they had never been attempted, in one transaction, and returns how many:
// for when what made them fail is mended. At the maximum length it puts back what there is
// room for. Items whose values are lost are removed and are cache.ErrCorrupt; the others
// are back then, too. Without Options.Retry it fails with cache.ErrInvalid.
func (d *Deque[T]) Requeue(ctx context.Context, n int) (moved int, err error) {
	moved, err = d.requeueDead(ctx, n)
	return moved, d.fail(ctx, "Requeue", err)
}

func (d *Deque[T]) requeueDead(ctx context.Context, n int) (moved int, err error) {
	switch {
	case d.shared.retry == nil:
		return 0, family.Invalid("Options.Retry is not set")
	case n < 0:
		return 0, family.Invalid("%d items", n)
	case d.shared.dead == nil:
		return 0, cache.ErrReadOnly
	}
	if err := d.refresh(ctx); err != nil {
		return 0, err
	}
	if err := d.Dead().refresh(ctx); err != nil {
		return 0, err
	}
	err = d.step(ctx, func(d *Deque[T]) error {
		moved = 0
		s, err := d.stored(ctx)
		if err != nil {
			return err
		}
		room, err := d.room(ctx, s)
		if err != nil {
			return err
		}
		dead, lost := d.Dead(), 0
		for moved < n && int64(moved) < room {
			e, ok, err := dead.raw.Queue("").PopFront(ctx)
			if errors.Is(err, cache.ErrCorrupt) { // it is removed
				lost++
				continue
			}
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			// Not as a push, which brings back what is due, too, and drops what is too much.
			if err := d.takeBack(ctx, dead, e); err != nil {
				return err
			}
			moved++
		}
		if lost > 0 {
			return refusal{errLost(lost)}
		}
		return nil
	})
	if err != nil && !errors.Is(err, cache.ErrCorrupt) {
		return 0, err
	}
	return moved, err
}

// takeBack puts an item that was popped from the deque of dead items at the back, in a
// transaction.
func (d *Deque[T]) takeBack(ctx context.Context, dead *Deque[T], e cache.Entry[int64, codec.Value]) error {
	v, err := dead.translate(d, e.Value)
	if err != nil {
		return err
	}
	was, err := d.stored(ctx)
	if err != nil {
		return err
	}
	s := was
	s.Expires = s.Expires || !e.Expiry.IsZero()
	if err := d.store(ctx, was, s); err != nil {
		return err
	}
	return d.add(ctx, true, []codec.Value{v}, pushing{expiry: e.Expiry})
}
