package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/memo"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// order is what is to be done: to compute its amount in euros.
type order struct {
	ID       int64
	Cents    int64
	Currency string
}

var currencies = []string{"USD", "JPY", "CHF"}

// How long things take.
const (
	orderTakes  = 300 * time.Millisecond
	rateTakes   = 2 * time.Second
	reportTakes = 4 * time.Second
)

// host is one copy of the program, with all that the copies share.
type host struct {
	name    string
	every   time.Duration // nights
	verbose bool
	out     io.Writer

	st      *cache.Store
	orders  *deque.Deque[order]
	amounts *cache.Cache[int64, int64]  // of the orders that are done
	reports *cache.Cache[string, int64] // totals, by night: those that are there are done
	numbers *cache.Cache[string, int64] // the last order's
	report  *dsync.Lock                 // who has it writes the night's report
	rate    *memo.Memo[string, float64] // of a currency; slow

	done, lost, written atomic.Int64
}

func (h *host) open(ctx context.Context, st *cache.Store) error {
	var errs [6]error
	h.st = st
	h.orders, errs[0] = deque.New[order](ctx, st, "orders", nil)
	h.amounts, errs[1] = cache.New(ctx, st, "amounts", &cache.Options[int64, int64]{Persistent: true})
	h.reports, errs[2] = cache.New(ctx, st, "reports", &cache.Options[string, int64]{Persistent: true})
	h.numbers, errs[3] = cache.New(ctx, st, "numbers", &cache.Options[string, int64]{Persistent: true})
	h.report, errs[4] = dsync.NewLock(ctx, st, "report", nil)
	h.rate, errs[5] = memo.New(ctx, st, "rate", h.askRate, &memo.Options[string, float64]{TTL: time.Hour})
	return errors.Join(errs[:]...)
}

// askRate stands for a slow call of somebody else's server.
func (h *host) askRate(ctx context.Context, currency string) (float64, error) {
	h.say("asks for the rate of %s", currency)
	return map[string]float64{"USD": 0.9, "JPY": 0.006, "CHF": 1.05}[currency], pause(ctx, rateTakes)
}

// work does orders and reports until ctx ends.
func (h *host) work(ctx context.Context, atOnce int) {
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() { h.keep(ctx, h.nextOrder) })
	}
	all.Go(func() { h.keep(ctx, h.nextNight) })
	all.Wait()
	s, err := h.rate.Stats(context.WithoutCancel(ctx))
	fmt.Fprintf(h.out, "%s: %d orders done, %d lost to others; rates: %d asked for, %d remembered; %d reports\n",
		h.name, h.done.Load(), h.lost.Load(), s.Computed, s.Hits, h.written.Load())
	if err != nil {
		h.say("cannot count: %v", err)
	}
}

// keep calls fn until ctx ends. What fails while the database is away, or fails over,
// works again afterwards.
func (h *host) keep(ctx context.Context, fn func(context.Context) error) {
	for ctx.Err() == nil {
		if err := fn(ctx); err != nil && ctx.Err() == nil {
			h.say("tries again: %v", err)
			_ = pause(ctx, time.Second)
		}
	}
}

// nextOrder does one order. The claim lasts as long as this copy: until it ends, or the
// database has not heard of it for some ten seconds.
func (h *host) nextOrder(ctx context.Context) error {
	c, err := h.orders.ClaimWait(ctx, deque.UntilClosed)
	if err != nil {
		return err
	}
	id := c.Value.ID
	h.say("begins order %d, attempt %d", id, c.Attempt)
	rate, err := h.rate.Call(ctx, c.Value.Currency)
	if err == nil {
		err = pause(ctx, orderTakes)
	}
	if err != nil { // also where ctx has ended: then Close gives the order back
		return errors.Join(err, c.Nack(ctx, time.Second))
	}
	amount := int64(float64(c.Value.Cents) * rate)
	for ctx.Err() == nil {
		err = h.st.Update(ctx, func(tx *cache.Tx) error {
			if err := c.In(tx).Ack(ctx); err != nil {
				return err
			}
			added, err := h.amounts.In(tx).Add(ctx, id, amount)
			if err == nil && !added {
				err = fmt.Errorf("order %d is done twice", id)
			}
			return err
		})
		switch {
		case err == nil:
			h.done.Add(1)
			h.say("has done order %d", id)
			return nil
		case errors.Is(err, deque.ErrLost):
			// It went to another one; or, if the answer to the last try was lost, it is done.
			h.lost.Add(1)
			h.say("has lost order %d", id)
			return nil
		}
		// It is not known what became of it, or the database is away: the same once more
		// does no harm, and tells.
		h.say("tries again: order %d: %v", id, err)
		_ = pause(ctx, time.Second)
	}
	return ctx.Err()
}

// nextNight waits for a night, and then until its report is there. The clock is the
// store's, so that all machines mean the same night.
func (h *host) nextNight(ctx context.Context) error {
	now := h.st.Now()
	at := now.Truncate(h.every).Add(h.every)
	if err := pause(ctx, at.Sub(now)); err != nil {
		return err
	}
	night := at.UTC().Format(time.DateTime)
	for ctx.Err() == nil {
		err := h.write(ctx, night)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			h.say("tries again: report of %s: %v", night, err)
			_ = pause(ctx, time.Second)
		}
	}
	return ctx.Err()
}

// write writes the report of a night, unless it is there when nobody else is at it.
func (h *host) write(ctx context.Context, night string) (err error) {
	g, err := h.report.Lock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			h.say("gives up the report of %s, token %d", night, g.Token())
		}
		if unlocking := g.Unlock(); !errors.Is(unlocking, dsync.ErrLost) {
			err = errors.Join(err, unlocking)
		}
	}()
	ctx = g.Context() // it ends when the lock is lost
	done, err := h.reports.Contains(ctx, night)
	if err != nil || done {
		return err
	}
	h.say("begins the report of %s, token %d", night, g.Token())
	total := int64(0)
	for e, err := range h.amounts.All(ctx) {
		if err != nil {
			return err
		}
		total += e.Value
	}
	if err := pause(ctx, reportTakes); err != nil {
		return err
	}
	err = h.st.Update(ctx, func(tx *cache.Tx) error {
		if err := g.Check(tx); err != nil { // to be sure: that a lock is lost takes a moment to notice
			return err
		}
		return h.reports.In(tx).Set(ctx, night, total)
	})
	if err == nil {
		h.written.Add(1)
		h.say("has written the report of %s, token %d", night, g.Token())
	}
	return err
}

// add adds n orders, or none.
func (h *host) add(ctx context.Context, n int) error {
	err := h.st.Update(ctx, func(tx *cache.Tx) error {
		for range n {
			id, err := cache.Incr(ctx, h.numbers.In(tx), "order", 1)
			if err != nil {
				return err
			}
			o := order{ID: id, Cents: 100 * id, Currency: currencies[id%int64(len(currencies))]}
			if err := h.orders.In(tx).PushBack(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		fmt.Fprintf(h.out, "%d orders added\n", n)
	}
	return err
}

// status prints what all copies have done.
func (h *host) status(ctx context.Context) error {
	s, err := h.orders.Stats(ctx)
	if err != nil {
		return err
	}
	done, err := h.amounts.Len(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(h.out, "orders: %d wait, %d are begun, %d done\n", s.Ready+s.Delayed, s.Claimed, done)
	for l, err := range dsync.Locks(ctx, h.st) {
		if err != nil {
			return err
		}
		for _, u := range l.Holders {
			fmt.Fprintf(h.out, "lock %s: token %d, since %s; %d wait\n", l.Name, u.Token, u.Since.UTC().Format(time.DateTime), len(l.Waiters))
		}
	}
	last, ok, err := h.reports.Last(ctx)
	if err == nil && ok {
		fmt.Fprintf(h.out, "last report: of %s, %d cents\n", last.Key, last.Value)
	}
	return err
}

// say prints what happens, a line in one write, so that copies may share a file.
func (h *host) say(format string, args ...any) {
	if h.verbose {
		line := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ") // some errors have several lines
		fmt.Fprintln(h.out, h.name, line)
	}
}

// progress keeps a line up to date on a terminal, until the function that it returns is
// called.
func (h *host) progress(ctx context.Context, w io.Writer) (stop func()) {
	line := newLine(w)
	if line.w == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var shower sync.WaitGroup
	shower.Go(func() {
		for pause(ctx, time.Second) == nil {
			if s, err := h.orders.Stats(ctx); err == nil {
				line.show("%d orders done here; %d wait, %d are begun", h.done.Load(), s.Ready+s.Delayed, s.Claimed)
			} else {
				line.show("%d orders done here; the store is away", h.done.Load())
			}
		}
		line.end()
	})
	return func() { cancel(); shower.Wait() }
}

// pause waits, and fails with the cause if ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
