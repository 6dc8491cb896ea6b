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
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// leaseRow is an item in flight: one that is not in the deque for now, since it is
// claimed or delayed. Its value is in the collection inflight, under a number that
// is never used again and rises with time.
//
// The key of the row begins with the time at which the item is due, so that finding
// out that none is due costs the same however many there are. Beside these rows the
// collection names each session that has made a claim, so that finding out that all
// of them live costs one question for each.
type leaseRow struct {
	Session string `json:"session,omitempty"` // of the process that has claimed it
	Attempt int64  `json:"attempt,omitempty"` // claims of the item so far
	Back    bool   `json:"back,omitempty"`    // it is requeued at the back
	Expiry  int64  `json:"expiry,omitempty"`  // unix nanoseconds; later than 2262 is the last of them
}

// What the keys of the collection leases begin with.
const (
	claimPrefix   = "claim-"
	delayPrefix   = "delay-"
	sessionPrefix = "session-"
)

// neverDue is when a claim is due that has no lease.
const neverDue = math.MaxInt64

const (
	dueLimit   = 1000 // delayed items that one transaction requeues
	purgeLimit = 1000 // items in flight that one transaction of Clear removes
)

// sessionCheckInterval is how often a handle looks for sessions that have ended,
// in a deque with items.
const sessionCheckInterval = 20 * time.Millisecond

// processStart is the beginning of a time that no change of the clock affects.
var processStart = time.Now()

// leaseKey returns the key of the item with a number that is due at an instant, in
// unix nanoseconds. prefix is claimPrefix or delayPrefix.
func leaseKey(prefix string, due, number int64) string {
	return fmt.Sprintf("%s%016x-%016x", prefix, max(due, 0), number)
}

// parseLeaseKey is the inverse of leaseKey.
func parseLeaseKey(prefix, key string) (due, number int64, err error) {
	hex, ok := strings.CutPrefix(key, prefix)
	if !ok || len(hex) != 33 {
		return 0, 0, errLease
	}
	due, err = strconv.ParseInt(hex[:16], 16, 64)
	if err == nil {
		number, err = strconv.ParseInt(hex[17:], 16, 64)
	}
	if err != nil {
		err = errLease
	}
	return due, number, err
}

var errLease = fmt.Errorf("%w: the time of a claim or of a delayed item", cache.ErrCorrupt)

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return clock.Nanos(t)
}

// putInFlight keeps a value out of the deque until it is due, in a transaction.
func (d *Deque[T]) putInFlight(ctx context.Context, prefix string, due int64, v codec.Value, l leaseRow) (number int64, err error) {
	if number, err = d.tx.Fence(); err != nil {
		return 0, err
	}
	if err := d.inflight.Set(ctx, number, v); err != nil {
		return 0, err
	}
	return number, d.leases.Set(ctx, leaseKey(prefix, due, number), l)
}

// delay keeps items out of the deque until they are due.
func (d *Deque[T]) delay(ctx context.Context, back bool, values []codec.Value, p pushing) error {
	due := d.after(p.delay)
	for _, v := range values {
		if _, err := d.putInFlight(ctx, delayPrefix, due, v, leaseRow{Back: back, Expiry: nanos(p.expiry)}); err != nil {
			return err
		}
	}
	return nil
}

// nextDue returns when the first item of a kind is due, and false if there is none.
func (d *Deque[T]) nextDue(ctx context.Context, prefix string) (int64, bool, error) {
	for k, err := range d.leases.Sorted().Prefix(prefix).Limit(1).Keys(ctx) {
		if err != nil {
			return 0, false, err
		}
		due, _, err := parseLeaseKey(prefix, k)
		return due, err == nil, err
	}
	return 0, false, nil
}

// holders returns the sessions that have made claims, and those of them that
// have ended.
func (d *Deque[T]) holders(ctx context.Context) (living, ended []string, err error) {
	asking := ctx
	if d.tx != nil {
		asking = d.tx.Context() // on the transaction's own connection
	}
	for k, err := range d.leases.Sorted().Prefix(sessionPrefix).Keys(ctx) {
		if err != nil {
			return nil, nil, err
		}
		session := strings.TrimPrefix(k, sessionPrefix)
		alive, err := d.shared.st.Alive(asking, session)
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

// requeueDue requeues the items that are due, and those claimed in sessions that
// have ended. It looks for such sessions if look is true, or if this handle has not
// looked for sessionCheckInterval. Where nothing can be written it does nothing.
//
// An item whose value is lost cannot be requeued. If the caller takes items, the
// item is removed and the caller gets an error, once; for all others it stays where
// it is.
func (d *Deque[T]) requeueDue(ctx context.Context, s settings, look, taking bool) error {
	if !s.InFlight {
		return nil
	}
	now := d.now()
	due := d.clockSetBack(s) // then due times tell nothing
	for _, prefix := range []string{claimPrefix, delayPrefix} {
		at, ok, err := d.nextDue(ctx, prefix)
		if err != nil {
			return err
		}
		due = due || ok && at <= now
	}
	var dead []string
	since := int64(time.Since(processStart) + sessionCheckInterval)
	if look || since-d.shared.checked.Load() >= int64(sessionCheckInterval) {
		var err error
		if _, dead, err = d.holders(ctx); err != nil {
			return err
		}
		if len(dead) == 0 { // else the next look is to find out whether that was committed
			d.shared.checked.Store(since)
		}
	}
	if !due && len(dead) == 0 || d.shared.st.ReadOnly() {
		return nil
	}
	err := family.Repeat(func() error {
		return d.step(ctx, func(d *Deque[T]) error {
			var lost *int
			if taking {
				lost = new(int)
			}
			err := d.requeueAll(ctx, now, dead, lost)
			if err == nil && taking && *lost > 0 {
				err = refusal{errLost(*lost)}
			}
			return err
		})
	})
	if errors.Is(err, cache.ErrReadOnly) {
		return nil // inside View
	}
	return err
}

func errLost(n int) error {
	return fmt.Errorf("%w: the files of %d claimed or delayed items are missing or damaged, and the items are removed", cache.ErrCorrupt, n)
}

// requeueAll requeues what is due at now, and what was claimed in sessions that have
// ended, which dead names. Items whose values are lost are removed and counted in
// lost, or stay if that is nil.
func (d *Deque[T]) requeueAll(ctx context.Context, now int64, dead []string, lost *int) error {
	s, err := d.stored(ctx)
	if err != nil {
		return err
	}
	if err := d.redate(ctx, s); err != nil {
		return err
	}
	room, err := d.room(ctx, s)
	if err != nil {
		return err
	}
	room, err = d.requeueClaims(ctx, now, dead, room, lost)
	if err != nil {
		return err
	}
	n := int64(0)
	for e, err := range d.leases.Sorted().Prefix(delayPrefix).Limit(dueLimit).All(ctx) {
		if err != nil {
			return err
		}
		due, number, err := parseLeaseKey(delayPrefix, e.Key)
		if err != nil {
			return err
		}
		if due > now || n >= room {
			break
		}
		back, err := d.tryRequeue(ctx, e.Key, number, e.Value, lost)
		if err != nil {
			return err
		}
		if back {
			n++
		}
	}
	return nil
}

// requeueClaims requeues claimed items at the front, in the order in which they were
// claimed, as far as there is room, and returns how much room is left.
func (d *Deque[T]) requeueClaims(ctx context.Context, now int64, dead []string, room int64, lost *int) (int64, error) {
	type over struct {
		key    string
		number int64
		row    leaseRow
	}
	var back []over
scan:
	for e, err := range d.leases.Sorted().Prefix(claimPrefix).All(ctx) {
		if err != nil {
			return 0, err
		}
		due, number, err := parseLeaseKey(claimPrefix, e.Key)
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
		back, err := d.tryRequeue(ctx, o.key, o.number, o.row, lost)
		if err != nil {
			return 0, err
		}
		if !back && lost == nil {
			dead = nil // this one as well
		}
	}
	for _, session := range dead {
		if _, err := d.leases.Delete(ctx, sessionPrefix+session); err != nil {
			return 0, err
		}
	}
	return room - n, nil
}

// tryRequeue is requeue, but reports false if the item's value is lost: the item is
// removed then and counted, or stays if lost is nil.
func (d *Deque[T]) tryRequeue(ctx context.Context, key string, number int64, l leaseRow, lost *int) (bool, error) {
	err := d.requeue(ctx, key, number, l)
	if !errors.Is(err, cache.ErrCorrupt) {
		return err == nil, err
	}
	if lost == nil {
		return false, nil
	}
	*lost++
	if _, err := d.inflight.Delete(ctx, number); err != nil {
		return false, err
	}
	_, err = d.leases.Delete(ctx, key)
	return false, err
}

// requeue puts an item that was in flight back into the deque, in a transaction.
func (d *Deque[T]) requeue(ctx context.Context, key string, number int64, l leaseRow) error {
	k, _, err := d.freeKeys(ctx, l.Back, 1)
	if err != nil {
		return err
	}
	v, ok, err := d.inflight.Pop(ctx, number)
	if err != nil {
		return err
	}
	if _, err := d.leases.Delete(ctx, key); err != nil || !ok {
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

// purge removes items in flight, up to purgeLimit of those of a kind, and returns
// how many.
func (d *Deque[T]) purge(ctx context.Context, prefix string) (n int, err error) {
	if s, err := d.stored(ctx); err != nil || !s.InFlight {
		return 0, err
	}
	err = d.step(ctx, func(d *Deque[T]) error {
		n = 0
		for k, err := range d.leases.Sorted().Prefix(prefix).Limit(purgeLimit).Keys(ctx) {
			if err != nil {
				return err
			}
			_, number, err := parseLeaseKey(prefix, k)
			if err != nil {
				return err
			}
			if _, err := d.leases.Delete(ctx, k); err != nil {
				return err
			}
			if _, err := d.inflight.Delete(ctx, number); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
