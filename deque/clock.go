package deque

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
)

// Items in flight are due by the clock of the store. One that was put in flight
// while the clock was ahead would be due when the clock gets there again. So the
// settings of the deque keep the time at which an item was put in flight, and a
// process that finds the clock behind that time redates the items from the future.

// clockStep is how far the clock goes on until its time is stored again: where it is
// set back by less, items may be in flight for so much longer.
const clockStep = int64(time.Minute)

// now returns the time by the store's clock, in unix nanoseconds.
func (d *Deque[T]) now() int64 { return clock.Nanos(d.shared.st.Now()) }

// after returns the instant that comes after a time, in unix nanoseconds.
func (d *Deque[T]) after(wait time.Duration) int64 { return clock.Add(d.now(), int64(wait)) }

// noteClock keeps in s the time at which an item is put in flight. It keeps a later
// one, until redate has done its work.
func (d *Deque[T]) noteClock(s *settings) {
	if now := d.now(); now > clock.Add(s.Clock, clockStep) {
		s.Clock = now
	}
}

// storeClock is noteClock, and stores it in a transaction that puts an item in
// flight.
func (d *Deque[T]) storeClock(ctx context.Context) error {
	was, err := d.stored(ctx)
	if err != nil {
		return err
	}
	s := was
	d.noteClock(&s)
	return d.store(ctx, was, s)
}

// clockSetBack reports whether the clock is behind a time at which an item was put
// in flight.
func (d *Deque[T]) clockSetBack(s settings) bool { return d.now() < s.Clock }

// redate makes items that were put in flight in the future ones that are put in
// flight now, and are due after the same time, if the clock is found to be behind. It
// redates dueLimit items of a kind in one transaction, that of the caller; the next
// call goes on.
func (d *Deque[T]) redate(ctx context.Context, s settings) error {
	now := d.now()
	if now >= s.Clock {
		return nil
	}
	for _, prefix := range []string{claimPrefix, delayPrefix} {
		var ahead []cache.Entry[string, leaseRow]
		for e, err := range d.leases.Sorted().Prefix(prefix).Desc().All(ctx) {
			if err != nil {
				return err
			}
			if clock.Nanos(e.Stored) > now {
				ahead = append(ahead, e)
			}
			if len(ahead) == dueLimit {
				break
			}
		}
		for _, e := range ahead {
			due, number, err := parseLeaseKey(prefix, e.Key)
			if err != nil {
				return err
			}
			if due != neverDue {
				due = clock.Add(now, clock.Sub(due, clock.Nanos(e.Stored)))
			}
			if _, err := d.leases.Delete(ctx, e.Key); err != nil {
				return err
			}
			if err := d.leases.Set(ctx, leaseKey(prefix, due, number), e.Value); err != nil {
				return err
			}
		}
		if len(ahead) == dueLimit {
			return nil
		}
	}
	was := s
	s.Clock = now
	return d.store(ctx, was, s)
}
