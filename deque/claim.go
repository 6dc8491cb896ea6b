package deque

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// Claim is an item that is claimed, see [Deque.Claim]: until the lease ends no other
// taker gets it. The methods may be called by several goroutines and be parts of a
// transaction: see [Claim.In].
type Claim[T any] struct {
	Value   T
	Attempt int64 // 1 when it is claimed for the first time

	d  *Deque[T]
	at *leaseRef
}

// leaseRef is where the lease of a claim is stored.
type leaseRef struct {
	number  int64
	session string

	mu  sync.Mutex
	key string // where it was last seen; a transaction that moved it may have been rolled back
}

// UntilClosed is the lease of a claim that lasts as long as the process has the
// store open.
const UntilClosed time.Duration = -1

func checkLease(d time.Duration) error {
	if d <= 0 && d != UntilClosed {
		return family.Invalid("a lease of %v; a claim that is to last needs UntilClosed", d)
	}
	return nil
}

// Claim takes the item at the front, until the lease ends, and returns false if
// there is none. When the work is done, [Claim.Ack] removes the item; [Claim.Nack]
// gives it back; [Claim.Extend] makes the lease longer.
//
// If the lease ends, the store is closed or the process dies without an Ack, the item
// comes back to the front of the deque, for any taker. The next claim of it has an
// Attempt one higher. So work may be done twice, after a lease that was too short or a
// crash just before Ack.
//
// With [UntilClosed] as the lease, the claim lasts as long as the process has the
// store open. Any other lease that is not positive is cache.ErrInvalid. An item
// whose value is lost is removed, and is cache.ErrCorrupt, once: see PopFront.
//
// The Claim that is returned is not bound to a transaction, even if the deque is:
// [Claim.In] binds it.
func (d *Deque[T]) Claim(ctx context.Context, lease time.Duration) (*Claim[T], bool, error) {
	c, ok, err := d.claim(ctx, lease)
	return c, ok, d.fail(ctx, "Claim", err)
}

func (d *Deque[T]) claim(ctx context.Context, lease time.Duration) (c *Claim[T], ok bool, err error) {
	if err := checkLease(lease); err != nil {
		return nil, false, err
	}
	_, ok, err = d.try(ctx, true, func() (e cache.Entry[int64, T], ok bool, err error) {
		if _, ok, err = d.endKey(ctx, false, 0); ok && err == nil {
			c, err = d.take(ctx, lease)
		}
		return e, c != nil, err
	})
	return c, ok && err == nil, err
}

// take puts the first item in flight.
func (d *Deque[T]) take(ctx context.Context, lease time.Duration) (c *Claim[T], err error) {
	due := int64(neverDue)
	if lease != UntilClosed {
		due = d.after(lease)
	}
	session, _, err := d.shared.st.Session(ctx)
	if err != nil {
		return nil, err
	}
	var tried *Claim[T] // may have been committed
	try := func(b *Deque[T]) error {
		c = nil
		if tried != nil {
			ok, err := b.leases.Contains(ctx, tried.at.key)
			if ok || err != nil {
				c = tried
				return err
			}
		}
		e, ok, err := b.items.Queue("").PeekFront(ctx)
		for ; err == nil && ok && b.exhausted(e.Tag.Integer()); e, ok, err = b.items.Queue("").PeekFront(ctx) {
			v, _, err := b.raw.Pop(ctx, e.Key)
			if err == nil {
				err = b.bury(ctx, v, e.Expiry)
			}
			if err != nil {
				return err
			}
		}
		if err != nil {
			return b.refuse(ctx, false, err)
		}
		if !ok {
			return nil
		}
		was, err := b.stored(ctx)
		if err != nil {
			return err
		}
		s := was
		s.InFlight = true
		b.noteClock(&s)
		if err := b.store(ctx, was, s); err != nil {
			return err
		}
		v, _, err := b.raw.Pop(ctx, e.Key)
		if err != nil {
			return err
		}
		l := leaseRow{Session: session, Attempt: e.Tag.Integer() + 1, Expiry: nanos(e.Expiry)}
		number, err := b.putInFlight(ctx, claimPrefix, due, v, l)
		if err != nil {
			return err
		}
		known, err := b.leases.Contains(ctx, sessionPrefix+session)
		if err == nil && !known {
			err = b.leases.Set(ctx, sessionPrefix+session, leaseRow{})
		}
		c = &Claim[T]{Value: e.Value, Attempt: l.Attempt, d: d.shared.root, at: &leaseRef{
			number: number, session: session, key: leaseKey(claimPrefix, due, number),
		}}
		return err
	}
	err = family.Repeat(func() error {
		err := d.step(ctx, try)
		if errors.Is(err, cache.ErrUncertain) {
			tried = c
		}
		return err
	})
	if err == nil {
		return c, nil
	}
	if errors.Is(err, cache.ErrUncertain) && tried != nil {
		_ = tried.Nack(context.WithoutCancel(ctx), 0) // or else the item stays claimed until the lease ends
	}
	return nil, err
}

// In returns the same claim bound to a transaction, in which it can be ended
// together with what the work has led to:
//
//	err := st.Update(ctx, func(tx *cache.Tx) error {
//		if err := results.In(tx).Set(ctx, c.Value.URL, result); err != nil {
//			return err
//		}
//		return c.In(tx).Ack(ctx)
//	})
//
// If the claim is over, that is ErrLost, and the function should return it.
func (c *Claim[T]) In(tx *cache.Tx) *Claim[T] {
	bound := *c
	bound.d = c.d.In(tx)
	return &bound
}

// Ack removes the item for good. It succeeds as long as the item has not come
// back, even if the lease has ended, and fails with ErrLost afterwards.
func (c *Claim[T]) Ack(ctx context.Context) error {
	return c.d.fail(ctx, "Ack", c.finish(ctx, func(d *Deque[T], key string) error {
		if _, err := d.leases.Delete(ctx, key); err != nil {
			return err
		}
		_, err := d.inflight.Delete(ctx, c.at.number)
		return err
	}, func(due int64, uncertain error) error {
		alive, err := c.d.shared.st.Alive(ctx, c.at.session)
		if err == nil && !(alive && c.d.now() < due) {
			err = uncertain // the item may have come back instead
		}
		return err
	}))
}

// Nack gives the item back: to the front of the deque, after a delay if that
// is not 0. The next claim of it is an attempt more. It fails with ErrLost if
// the item has come back already, and with cache.ErrCorrupt if its value is lost:
// then the item is removed.
func (c *Claim[T]) Nack(ctx context.Context, delay time.Duration) error {
	if delay < 0 {
		return c.d.fail(ctx, "Nack", family.Invalid("negative delay"))
	}
	return c.d.fail(ctx, "Nack", c.finish(ctx, func(d *Deque[T], key string) error {
		l, ok, err := d.leases.Pop(ctx, key)
		if err != nil || !ok {
			return err
		}
		l.Session = ""
		if err := d.storeClock(ctx); err != nil {
			return err
		}
		later := leaseKey(delayPrefix, d.after(delay), c.at.number)
		if err := d.leases.Set(ctx, later, l); err != nil || delay > 0 {
			return err
		}
		s, err := d.stored(ctx)
		if err != nil {
			return err
		}
		room, err := d.room(ctx, s)
		if err != nil || room == 0 {
			return err
		}
		lost := 0
		if _, err := d.tryRequeue(ctx, later, c.at.number, l, &lost); err != nil || lost == 0 {
			return err
		}
		return refusal{errLost(lost)}
	}, func(int64, error) error { return nil })) // the item has come back
}

// Extend makes the lease end after the given time from now, as Claim does. It
// fails with ErrLost if the item has come back already.
func (c *Claim[T]) Extend(ctx context.Context, lease time.Duration) error {
	if err := checkLease(lease); err != nil {
		return c.d.fail(ctx, "Extend", err)
	}
	due := int64(neverDue)
	if lease != UntilClosed {
		due = c.d.after(lease)
	}
	key := leaseKey(claimPrefix, due, c.at.number)
	err := c.finish(ctx, func(d *Deque[T], was string) error {
		l, _, err := d.leases.Pop(ctx, was)
		if err != nil {
			return err
		}
		if err := d.storeClock(ctx); err != nil {
			return err
		}
		return d.leases.Set(ctx, key, l)
	}, func(int64, error) error { return ErrLost })
	if err == nil {
		c.at.mu.Lock()
		c.at.key = key
		c.at.mu.Unlock()
	}
	return c.d.fail(ctx, "Extend", err)
}

// finish runs fn with the key of the claim's lease, in a transaction, and again while
// it is not known whether that was committed. If the lease is gone by then, which was
// to end at due, finish returns what gone does.
func (c *Claim[T]) finish(ctx context.Context, fn func(d *Deque[T], key string) error, gone func(due int64, uncertain error) error) error {
	var due int64
	var uncertain error
	try := func(d *Deque[T]) error {
		c.at.mu.Lock()
		key := c.at.key
		c.at.mu.Unlock()
		ok, err := d.leases.Contains(ctx, key)
		if err == nil && !ok {
			key, ok, err = d.claimOf(ctx, c.at.number)
		}
		if err != nil {
			return err
		}
		switch {
		case !ok && uncertain == nil:
			return refusal{ErrLost}
		case !ok:
			return refusal{gone(due, uncertain)}
		}
		if due, _, err = parseLeaseKey(claimPrefix, key); err != nil {
			return err
		}
		return fn(d, key)
	}
	return family.Repeat(func() error {
		err := c.d.step(ctx, try)
		if errors.Is(err, cache.ErrUncertain) {
			uncertain = err
		}
		return err
	})
}

// claimOf looks for the key of the lease of a claim.
func (d *Deque[T]) claimOf(ctx context.Context, number int64) (string, bool, error) {
	suffix := leaseKey(claimPrefix, 0, number)
	suffix = suffix[strings.LastIndexByte(suffix, '-'):]
	for k, err := range d.leases.Sorted().Prefix(claimPrefix).Keys(ctx) {
		if err != nil {
			return "", false, err
		}
		if strings.HasSuffix(k, suffix) {
			return k, true, nil
		}
	}
	return "", false, nil
}
