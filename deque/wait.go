package deque

import (
	"context"
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
	"github.com/go-diskcache/diskcache/cache/family"
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
	return v, d.fail(ctx, "PopFrontWait", err)
}

// PopBackWait is PopBack that waits until there is an item: see PopFrontWait.
func (d *Deque[T]) PopBackWait(ctx context.Context) (v T, err error) {
	err = d.wait(ctx, func() (ok bool, err error) {
		v, ok, err = d.pop(ctx, true)
		return ok, err
	})
	return v, d.fail(ctx, "PopBackWait", err)
}

// ClaimWait is Claim that waits until there is an item: see PopFrontWait.
func (d *Deque[T]) ClaimWait(ctx context.Context, lease time.Duration) (c *Claim[T], err error) {
	err = d.wait(ctx, func() (ok bool, err error) {
		c, ok, err = d.claim(ctx, lease)
		return ok, err
	})
	return c, d.fail(ctx, "ClaimWait", err)
}

// retryAfter is the time after which a waiter that has seen an item and did not get
// it looks again.
const retryAfter = 50 * time.Millisecond

// wait calls take until it has taken an item. Of the waiters of one handle one looks
// at a time, so that an item does not wake them all and they are served in the order
// in which they came.
func (d *Deque[T]) wait(ctx context.Context, take func() (bool, error)) error {
	if d.tx != nil {
		return family.Invalid("waiting inside a transaction")
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case d.shared.turn <- struct{}{}:
		defer func() { <-d.shared.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
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
	var leased <-chan struct{}
	if !d.shared.plain {
		if leased, stop, err = d.leases.Watch(); err != nil {
			return err
		}
		defer stop()
	}
	// To look before take saves a transaction when there is nothing. But at the first
	// signal there most often is an item.
	eager := true
	for {
		soon, holders, err := d.untilDue(ctx)
		if err != nil {
			return err
		}
		if soon <= 0 {
			ok, err := take()
			if ok || err != nil {
				return err
			}
			if soon, holders, err = d.untilDue(ctx); err != nil {
				return err
			}
			soon = max(soon, retryAfter) // another taker was quicker; another item would be signalled
		}
		woken, err := d.sleep(ctx, soon, holders, pushed, leased)
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

// sleep waits until there may be an item to take, and reports whether a push is the
// reason.
func (d *Deque[T]) sleep(ctx context.Context, soon time.Duration, holders []string, pushed, leased <-chan struct{}) (woken bool, err error) {
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
	case <-leased:
	case <-dead:
	case <-timer.C:
	case <-ctx.Done():
	case <-d.shared.closed:
	}
	select {
	case <-d.shared.closed:
		return false, fmt.Errorf("while waiting for an item: %w", cache.ErrClosed)
	case <-ctx.Done():
		return false, context.Cause(ctx)
	default:
		return woken, nil
	}
}

// longestWait is how long a waiter sleeps if it waits for nothing but signals.
const longestWait = time.Hour

// untilDue returns how long it takes until there is an item to take if nothing
// changes and none of the sessions that hold claims ends, 0 if there is one; and
// those sessions.
func (d *Deque[T]) untilDue(ctx context.Context) (wait time.Duration, holders []string, err error) {
	if _, ok, err := d.endKey(ctx, false, 0); ok || err != nil {
		return 0, nil, err
	}
	s, err := d.stored(ctx)
	if err != nil || !s.InFlight {
		return longestWait, nil, err
	}
	if d.clockSetBack(s) {
		return 0, nil, nil
	}
	wait = longestWait
	now := d.now()
	for _, prefix := range []string{claimPrefix, delayPrefix} {
		due, ok, err := d.nextDue(ctx, prefix)
		if err != nil {
			return 0, nil, err
		}
		if ok {
			wait = min(wait, max(time.Duration(clock.Sub(due, now)), 0))
		}
		if ok && prefix == claimPrefix {
			// If a session has ended, take requeues what it had claimed.
			living, dead, err := d.holders(ctx)
			if err != nil || len(dead) > 0 {
				return 0, nil, err
			}
			holders = living
		}
	}
	return wait, holders, nil
}
