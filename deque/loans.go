package deque

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
	"github.com/go-diskcache/diskcache/codec"
)

// loan is an item that is not in the deque for now: claimed, or delayed. Its
// value is in the collection of lent values under a number that is never used
// again, and rises with time.
//
// The collection of loans is ordered by when they are due, so that finding
// out that none is costs the same however many there are. Beside the loans it
// names each session that has made a claim, so that finding out that all of
// them live costs one question for each.
type loan struct {
	Session string `json:"session,omitempty"` // of a claim's holder
	Attempt int64  `json:"attempt,omitempty"` // claims of the item so far
	Back    bool   `json:"back,omitempty"`    // it comes back at the back
	Expiry  int64  `json:"expiry,omitempty"`  // unix nanoseconds; later than 2262 is the last of them
}

// The kinds of keys among loans.
const (
	claimed = "claim-"
	delayed = "delay-"
	holder  = "session-"
)

// never is when the lease of a claim ends that has none.
const never = math.MaxInt64

// dueLimit is the number of delayed items that one transaction brings back.
const dueLimit = 1000

// lookEvery is how often is looked for sessions that have ended, in a deque
// with items.
const lookEvery = 20 * time.Millisecond

// started is what goes on whatever happens to the clock.
var started = time.Now()

// loanKey is where the loan with a number is, if it is due at an instant in
// unix nanoseconds.
func loanKey(kind string, due, number int64) string {
	return fmt.Sprintf("%s%016x-%016x", kind, max(due, 0), number)
}

// parseLoan is the inverse of loanKey.
func parseLoan(kind, key string) (due, number int64, err error) {
	hex, ok := strings.CutPrefix(key, kind)
	if !ok || len(hex) != 33 {
		return 0, 0, errLoan
	}
	due, err = strconv.ParseInt(hex[:16], 16, 64)
	if err == nil {
		number, err = strconv.ParseInt(hex[17:], 16, 64)
	}
	if err != nil {
		err = errLoan
	}
	return due, number, err
}

var errLoan = fmt.Errorf("%w: the time of a claim or of a delayed item", cache.ErrCorrupt)

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return clock.Nanos(t)
}

// lend keeps a value out of the deque, in a transaction.
func (d *Deque[T]) lend(ctx context.Context, kind string, due int64, v codec.Value, l loan) (number int64, err error) {
	if number, err = d.tx.Fence(); err != nil {
		return 0, err
	}
	if err := d.lent.Set(ctx, number, v); err != nil {
		return 0, err
	}
	return number, d.loans.Set(ctx, loanKey(kind, due, number), l)
}

// postpone keeps items out of the deque until they are due.
func (d *Deque[T]) postpone(ctx context.Context, back bool, values []codec.Value, p pushing) error {
	due := d.after(p.delay)
	for _, v := range values {
		if _, err := d.lend(ctx, delayed, due, v, loan{Back: back, Expiry: nanos(p.expiry)}); err != nil {
			return err
		}
	}
	return nil
}

// soonest returns when the first loan of a kind is due.
func (d *Deque[T]) soonest(ctx context.Context, kind string) (int64, bool, error) {
	for k, err := range d.loans.Sorted().Prefix(kind).Limit(1).Keys(ctx) {
		if err != nil {
			return 0, false, err
		}
		due, _, err := parseLoan(kind, k)
		return due, err == nil, err
	}
	return 0, false, nil
}

// holders returns the sessions that have made claims, and those of them that
// have ended.
func (d *Deque[T]) holders(ctx context.Context) (living, ended []string, err error) {
	for k, err := range d.loans.Sorted().Prefix(holder).Keys(ctx) {
		if err != nil {
			return nil, nil, err
		}
		session := strings.TrimPrefix(k, holder)
		alive, err := d.shared.st.Alive(ctx, session)
		if err != nil {
			return nil, nil, err
		}
		if alive {
			living = append(living, session)
		} else {
			ended = append(ended, session)
		}
	}
	return living, ended, nil
}

// settle brings back the items that are due or whose holders have died. It
// looks for the dead if it must, or has not for a while. Where nothing can be
// written it does nothing.
//
// An item whose value is lost cannot come back. For those who take items it is
// removed, and they are told, once; for all others it stays where it is.
func (d *Deque[T]) settle(ctx context.Context, s settings, must, taking bool) error {
	if !s.Lends {
		return nil
	}
	now := d.now()
	due := d.setBack(s) // then nobody knows
	for _, kind := range []string{claimed, delayed} {
		at, ok, err := d.soonest(ctx, kind)
		if err != nil {
			return err
		}
		due = due || ok && at <= now
	}
	var dead []string
	since := int64(time.Since(started) + lookEvery)
	if must || since-d.shared.looked.Load() >= int64(lookEvery) {
		d.shared.looked.Store(since)
		var err error
		if _, dead, err = d.holders(ctx); err != nil {
			return err
		}
	}
	if !due && len(dead) == 0 || d.shared.st.ReadOnly() {
		return nil
	}
	err := d.update(ctx, func(d *Deque[T]) error {
		var lost *int
		if taking {
			lost = new(int)
		}
		err := d.recall(ctx, now, dead, lost)
		if err == nil && taking && *lost > 0 {
			err = refusal{errLost(*lost)}
		}
		return err
	})
	if errors.Is(err, cache.ErrReadOnly) {
		return nil // inside View
	}
	return err
}

func errLost(n int) error {
	return fmt.Errorf("%w: the files of %d claimed or delayed items are missing or damaged, and the items are removed", cache.ErrCorrupt, n)
}

// recall brings back what is due at now, and the claims of dead sessions. Items
// whose values are lost are removed and counted in lost, or stay if that is nil.
func (d *Deque[T]) recall(ctx context.Context, now int64, dead []string, lost *int) error {
	s, err := d.stored(ctx)
	if err != nil {
		return err
	}
	if err := d.date(ctx, s); err != nil {
		return err
	}
	room, err := d.room(ctx, s)
	if err != nil {
		return err
	}
	room, err = d.recallClaims(ctx, now, dead, room, lost)
	if err != nil {
		return err
	}
	n := int64(0)
	for e, err := range d.loans.Sorted().Prefix(delayed).Limit(dueLimit).All(ctx) {
		if err != nil {
			return err
		}
		due, number, err := parseLoan(delayed, e.Key)
		if err != nil {
			return err
		}
		if due > now || n >= room {
			break
		}
		back, err := d.tryBringBack(ctx, e.Key, number, e.Value, lost)
		if err != nil {
			return err
		}
		if back {
			n++
		}
	}
	return nil
}

// recallClaims brings claims back to the front, in the order in which they
// were claimed, as far as there is room, and returns how much is left.
func (d *Deque[T]) recallClaims(ctx context.Context, now int64, dead []string, room int64, lost *int) (int64, error) {
	type over struct {
		key    string
		number int64
		loan   loan
	}
	var back []over
scan:
	for e, err := range d.loans.Sorted().Prefix(claimed).All(ctx) {
		if err != nil {
			return 0, err
		}
		due, number, err := parseLoan(claimed, e.Key)
		if err != nil {
			return 0, err
		}
		switch {
		case due <= now || slices.Contains(dead, e.Value.Session):
			back = append(back, over{e.Key, number, e.Value})
		case len(dead) == 0:
			break scan // the rest is due later
		}
	}
	slices.SortFunc(back, func(a, b over) int { return cmp.Compare(a.number, b.number) })
	n := int64(len(back))
	if n > room {
		n, dead = room, nil // those that stay are to be found again
	}
	for _, o := range slices.Backward(back[:n]) {
		back, err := d.tryBringBack(ctx, o.key, o.number, o.loan, lost)
		if err != nil {
			return 0, err
		}
		if !back && lost == nil {
			dead = nil // this one as well
		}
	}
	for _, session := range dead {
		if _, err := d.loans.Delete(ctx, holder+session); err != nil {
			return 0, err
		}
	}
	return room - n, nil
}

// tryBringBack is bringBack, but reports false if the item's value is lost: the
// item is removed then and counted, or stays if lost is nil.
func (d *Deque[T]) tryBringBack(ctx context.Context, key string, number int64, l loan, lost *int) (bool, error) {
	err := d.bringBack(ctx, key, number, l)
	if !errors.Is(err, cache.ErrCorrupt) {
		return err == nil, err
	}
	if lost == nil {
		return false, nil
	}
	*lost++
	if _, err := d.lent.Delete(ctx, number); err != nil {
		return false, err
	}
	_, err = d.loans.Delete(ctx, key)
	return false, err
}

// bringBack puts a lent item back into the deque, in a transaction.
func (d *Deque[T]) bringBack(ctx context.Context, key string, number int64, l loan) error {
	k, _, err := d.free(ctx, l.Back, 1)
	if err != nil {
		return err
	}
	v, ok, err := d.lent.Pop(ctx, number)
	if err != nil {
		return err
	}
	if _, err := d.loans.Delete(ctx, key); err != nil || !ok {
		return err
	}
	var expiry time.Time
	if l.Expiry != 0 {
		expiry = time.Unix(0, l.Expiry)
		if !expiry.After(d.shared.st.Now()) {
			return nil
		}
	}
	var attempts codec.Value
	if l.Attempt > 0 {
		attempts = codec.IntegerValue(l.Attempt)
	}
	return d.raw.Set(ctx, k, v, written(expiry, attempts)...)
}

// forgive forgets loans of a kind, and reports whether there may be more.
func (d *Deque[T]) forgive(ctx context.Context, kind string) (more bool, err error) {
	if s, err := d.stored(ctx); err != nil || !s.Lends {
		return false, err
	}
	err = d.update(ctx, func(d *Deque[T]) error {
		n := 0
		for k, err := range d.loans.Sorted().Prefix(kind).Limit(dueLimit).Keys(ctx) {
			if err != nil {
				return err
			}
			_, number, err := parseLoan(kind, k)
			if err != nil {
				return err
			}
			if _, err := d.loans.Delete(ctx, k); err != nil {
				return err
			}
			if _, err := d.lent.Delete(ctx, number); err != nil {
				return err
			}
			n++
		}
		more = n == dueLimit
		return nil
	})
	return more, err
}
