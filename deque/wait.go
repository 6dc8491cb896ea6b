package deque

import (
	"context"
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
)

// PopFrontWait is PopFront that waits until there is an item. It wakes at
// once when one is pushed, by any process, when a delayed item is due, when a
// claim comes back, and within 50 ms when the holder of one is dead. Waiting
// takes no processor time. It ends with the context, and with cache.ErrClosed
// when the deque or its store is closed; no item is lost then.
//
// It cannot be used inside a transaction, which would keep others from
// pushing.
func (d *Deque[T]) PopFrontWait(ctx context.Context) (v T, err error) {
	err = d.wait(ctx, func() (ok bool, err error) {
		v, ok, err = d.pop(ctx, false)
		return ok, err
	})
	return v, d.fail("PopFrontWait", err)
}

// PopBackWait is PopBack that waits until there is an item: see PopFrontWait.
func (d *Deque[T]) PopBackWait(ctx context.Context) (v T, err error) {
	err = d.wait(ctx, func() (ok bool, err error) {
		v, ok, err = d.pop(ctx, true)
		return ok, err
	})
	return v, d.fail("PopBackWait", err)
}

// ClaimWait is Claim that waits until there is an item: see PopFrontWait.
func (d *Deque[T]) ClaimWait(ctx context.Context, lease time.Duration) (c *Claim[T], err error) {
	err = d.wait(ctx, func() (ok bool, err error) {
		c, ok, err = d.claim(ctx, lease)
		return ok, err
	})
	return c, d.fail("ClaimWait", err)
}

// pause is the time after which a waiter looks again that has seen an item and
// did not get it.
const pause = 50 * time.Millisecond

// wait calls take until it has got something. Of the waiters of one handle
// one looks at a time, so that an item does not wake them all and they are
// served in the order in which they came.
func (d *Deque[T]) wait(ctx context.Context, take func() (bool, error)) error {
	if d.tx != nil {
		return invalid("waiting inside a transaction")
	}
	if err := ended(ctx); err != nil {
		return err
	}
	select {
	case d.shared.turn <- struct{}{}:
		defer func() { <-d.shared.turn }()
	case <-ctx.Done():
		return ended(ctx)
	case <-d.shared.closed:
		return cache.ErrClosed
	}
	if ok, err := take(); ok || err != nil {
		return err
	}
	pushed, stop, err := d.items.Watch()
	if err != nil {
		return err
	}
	defer stop()
	var lent <-chan struct{}
	if !d.shared.plain {
		if lent, stop, err = d.loans.Watch(); err != nil {
			return err
		}
		defer stop()
	}
	// Looking first saves a transaction when there is nothing. But most often
	// there is something, for the first signal at least.
	eager := true
	for {
		soon, holders, err := d.soon(ctx)
		if err != nil {
			return err
		}
		if soon <= 0 {
			ok, err := take()
			if ok || err != nil {
				return err
			}
			if soon, holders, err = d.soon(ctx); err != nil {
				return err
			}
			soon = max(soon, pause) // somebody else was quicker; more would be signalled
		}
		woken, err := d.rest(ctx, soon, holders, pushed, lent)
		if err != nil {
			return err
		}
		if woken && eager {
			eager = false
			if ok, err := take(); ok || err != nil {
				return err
			}
		}
	}
}

// rest waits until it is worth while to look again, and reports whether that is
// because of a push.
func (d *Deque[T]) rest(ctx context.Context, soon time.Duration, holders []string, pushed, lent <-chan struct{}) (woken bool, err error) {
	dead, stop, err := d.shared.st.WatchSession(holders...)
	if err != nil {
		return false, err
	}
	defer stop()
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case <-pushed:
		woken = true
	case <-lent:
	case <-dead:
	case <-timer.C:
	case <-ctx.Done():
	case <-d.shared.closed:
	}
	select {
	case <-d.shared.closed:
		return false, fmt.Errorf("while waiting for an item: %w", cache.ErrClosed)
	case <-ctx.Done():
		return false, ended(ctx)
	default:
		return woken, nil
	}
}

// forever is long enough not to matter.
const forever = time.Hour

// soon returns after which time it is worth while to look for an item, if
// nothing changes and none of the holders of claims ends: 0 if there is one.
func (d *Deque[T]) soon(ctx context.Context) (wait time.Duration, holders []string, err error) {
	if _, ok, err := d.end(ctx, false, 0); ok || err != nil {
		return 0, nil, err
	}
	s, err := d.stored(ctx)
	if err != nil || !s.Lends {
		return forever, nil, err
	}
	if d.setBack(s) {
		return 0, nil, nil
	}
	wait = forever
	now := d.now()
	for _, kind := range []string{claimed, delayed} {
		due, ok, err := d.soonest(ctx, kind)
		if err != nil {
			return 0, nil, err
		}
		if ok {
			wait = min(wait, max(time.Duration(clock.Sub(due, now)), 0))
		}
		if ok && kind == claimed {
			// A look for the dead: take does it when there is nothing else.
			living, dead, err := d.holders(ctx)
			if err != nil || len(dead) > 0 {
				return 0, nil, err
			}
			holders = living
		}
	}
	return wait, holders, nil
}
