package deque

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// Stats counts the items of a deque.
type Stats struct {
	Ready   int64 // items that can be taken, which Len counts
	Claimed int64 // items that are claimed
	Delayed int64 // items that were pushed, or given back, with a delay that has not ended

	// Age is how long the item at the front has been there to be taken: since it
	// was pushed, came back or was moved. It is 0 in an empty deque. In a work queue
	// it tells how far the workers are behind.
	Age time.Duration
}

// Stats counts the items, as of one moment. It costs the same however many of them
// are ready or delayed, and a step in the database for each that is claimed; in a
// deque that has held items with an expiry, also for each that is ready. At the
// maximum length, items that are to come back count as what they were until there
// is room for them.
func (d *Deque[T]) Stats(ctx context.Context) (s Stats, err error) {
	if err = d.refresh(ctx); err == nil {
		err = d.view(ctx, func(d *Deque[T]) error {
			s, err = d.stats(ctx)
			return err
		})
	}
	if err != nil {
		return Stats{}, d.fail(ctx, "Stats", err)
	}
	return s, nil
}

func (d *Deque[T]) stats(ctx context.Context) (s Stats, err error) {
	stored, err := d.stored(ctx)
	if err != nil {
		return s, err
	}
	if stored.Expires {
		s.Ready, err = d.count(ctx, nil)
	} else {
		s.Ready, err = d.raw.Len(ctx)
	}
	if err != nil {
		return s, err
	}
	front, ok, err := d.raw.Queue("").PeekFront(ctx)
	if err != nil && !errors.Is(err, cache.ErrCorrupt) { // a value that is lost is as old
		return s, err
	}
	if ok {
		s.Age = max(d.shared.st.Now().Sub(front.Stored), 0)
	}
	if !stored.InFlight {
		return s, nil
	}
	for _, err := range d.leases.Sorted().Prefix(claimPrefix).Keys(ctx) {
		if err != nil {
			return s, err
		}
		s.Claimed++
	}
	n, err := d.inflight.Len(ctx)
	s.Delayed = n - s.Claimed
	return s, err
}
