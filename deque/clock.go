package deque

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
)

// Loans are due by the clock of the store. A loan that was made while the clock
// was ahead would be due when the clock gets there again. So the settings of the
// deque note what the clock said when a loan was made, and whoever finds the
// clock behind that dates loans from the future anew.

// clockStep is how far the clock goes on until it is noted again: a clock that is
// set back by less may make a loan last so much longer.
const clockStep = int64(time.Minute)

// now returns the time by the store's clock, in unix nanoseconds.
func (d *Deque[T]) now() int64 { return clock.Nanos(d.shared.st.Now()) }

// after returns the instant that comes after a time, in unix nanoseconds.
func (d *Deque[T]) after(wait time.Duration) int64 { return clock.Add(d.now(), int64(wait)) }

// seen notes in s what the clock says when a loan is made. It does not note an
// earlier time, before date has done its work.
func (d *Deque[T]) seen(s *settings) {
	if now := d.now(); now > clock.Add(s.Clock, clockStep) {
		s.Clock = now
	}
}

// see is seen and stores it, in a transaction that makes a loan.
func (d *Deque[T]) see(ctx context.Context) error {
	was, err := d.stored(ctx)
	if err != nil {
		return err
	}
	s := was
	d.seen(&s)
	return d.store(ctx, was, s)
}

// setBack reports whether the clock is behind a time at which a loan was made.
func (d *Deque[T]) setBack(s settings) bool { return d.now() < s.Clock }

// date makes each loan that was made in the future one that is made now, and is
// due after the same time, if the clock is found to be behind. It dates dueLimit
// loans of a kind in one transaction, which is that of the caller: the next call
// goes on.
func (d *Deque[T]) date(ctx context.Context, s settings) error {
	now := d.now()
	if now >= s.Clock {
		return nil
	}
	for _, kind := range []string{claimed, delayed} {
		var ahead []cache.Entry[string, loan]
		for e, err := range d.loans.Sorted().Prefix(kind).Desc().All(ctx) {
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
			due, number, err := parseLoan(kind, e.Key)
			if err != nil {
				return err
			}
			if due != never {
				due = clock.Add(now, clock.Sub(due, clock.Nanos(e.Stored)))
			}
			if _, err := d.loans.Delete(ctx, e.Key); err != nil {
				return err
			}
			if err := d.loans.Set(ctx, loanKey(kind, due, number), e.Value); err != nil {
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
