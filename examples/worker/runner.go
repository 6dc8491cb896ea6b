package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/memo"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// job is what is to be done: the price of an order in a currency.
type job struct {
	ID       int64
	Cents    int64
	Currency string
}

const (
	loops  = 4 // jobs that one process works on at once, at most
	atOnce = 6 // jobs that all processes work on at once, at most

	attempts = 3 // after which a job is given up
)

// runner is all that the processes share.
type runner struct {
	st        *cache.Store
	jobs      *deque.Deque[job]
	results   *cache.Cache[int64, string] // by job
	failed    *cache.Cache[int64, string] // why, by job that was given up
	counters  *cache.Cache[string, int64]
	running   *dsync.Semaphore            // of jobs
	scheduler *dsync.Lock                 // one process adds jobs
	rate      *memo.Memo[string, float64] // of a currency
	took      *dsync.Averager             // milliseconds a job
	api       *dsync.Throttle             // calls a second
}

func newRunner(ctx context.Context, st *cache.Store) (r *runner, err error) {
	r = &runner{st: st}
	var errs [9]error
	r.jobs, errs[0] = deque.New[job](ctx, st, "jobs", nil)
	r.results, errs[1] = cache.New(ctx, st, "results", &cache.Options[int64, string]{Persistent: true})
	r.counters, errs[2] = cache.New(ctx, st, "counters", &cache.Options[string, int64]{Persistent: true})
	r.running, errs[3] = dsync.NewSemaphore(ctx, st, "running", atOnce, nil)
	r.scheduler, errs[4] = dsync.NewLock(ctx, st, "scheduler", nil)
	r.took, errs[5] = dsync.NewAverager(ctx, st, "took")
	r.api, errs[6] = dsync.NewThrottle(ctx, st, "api", &dsync.ThrottleOptions{Count: 10, Period: time.Second})
	r.rate, errs[7] = memo.New(ctx, st, "rate", dsync.Throttled(r.api, askRate), &memo.Options[string, float64]{
		TTL: time.Minute, RefreshAfter: 30 * time.Second, StaleIfError: time.Hour,
	})
	r.failed, errs[8] = cache.New(ctx, st, "failed", &cache.Options[int64, string]{Persistent: true})
	return r, errors.Join(errs[:]...)
}

// askRate stands for a slow call of somebody else's server, which allows only
// a few calls a second.
func askRate(ctx context.Context, currency string) (float64, error) {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	rate, ok := map[string]float64{"EUR": 1, "USD": 1.1, "JPY": 160}[currency]
	if !ok {
		return 0, fmt.Errorf("unknown currency %q", currency)
	}
	return rate, nil
}

// add adds n jobs, or none.
func (r *runner) add(ctx context.Context, n int) error {
	currencies := []string{"EUR", "USD", "JPY"}
	return r.st.Update(ctx, func(tx *cache.Tx) error {
		for range n {
			id, err := cache.Incr(ctx, r.counters.In(tx), "job", 1)
			if err != nil {
				return err
			}
			j := job{ID: id, Cents: id * 100, Currency: currencies[id%3]}
			if err := r.jobs.In(tx).PushBack(ctx, j); err != nil {
				return err
			}
		}
		return nil
	})
}

// work runs jobs until ctx ends. One of all processes also adds jobs; when it
// dies, another one does.
func (r *runner) work(ctx context.Context, every time.Duration) error {
	g, ctx := errgroup.WithContext(ctx)
	for range loops {
		g.Go(func() error {
			for {
				c, err := r.jobs.ClaimWait(ctx, asLongAsWeLive)
				if err != nil {
					return err
				}
				if err := r.do(ctx, c); err != nil {
					return err
				}
			}
		})
	}
	g.Go(func() error {
		return r.scheduler.Do(ctx, func(ctx context.Context) error {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return ctx.Err()
				}
				if err := r.add(ctx, 1); err != nil {
					return err
				}
			}
		})
	})
	return g.Wait()
}

// drain runs jobs until there are none.
func (r *runner) drain(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range loops {
		g.Go(func() error {
			for {
				c, ok, err := r.jobs.Claim(ctx, asLongAsWeLive)
				if err != nil || !ok {
					return err
				}
				if err := r.do(ctx, c); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// A claim with this lease ends when the process does: a job that takes long is
// not given to somebody else, and one whose process was killed is.
const asLongAsWeLive = -1

// do runs one job. Its result is stored in the transaction that removes the
// job: there is one result, however often the job was begun.
func (r *runner) do(ctx context.Context, c *deque.Claim[job]) error {
	began := time.Now()
	var result string
	err := r.running.Do(ctx, func(ctx context.Context) error {
		rate, err := r.rate.Call(ctx, c.Value.Currency)
		if err != nil {
			return err
		}
		result = fmt.Sprintf("%.2f %s", float64(c.Value.Cents)/100*rate, c.Value.Currency)
		return nil
	})
	if err != nil {
		return r.again(ctx, c, err)
	}
	return r.st.Update(ctx, func(tx *cache.Tx) error {
		new, err := r.results.In(tx).Add(ctx, c.Value.ID, result)
		if err != nil {
			return err
		}
		if !new {
			return fmt.Errorf("job %d was done twice", c.Value.ID)
		}
		if err := r.took.In(tx).Add(ctx, float64(time.Since(began).Milliseconds())); err != nil {
			return err
		}
		return c.In(tx).Ack(ctx)
	})
}

// again gives a job back that has failed, or gives it up.
func (r *runner) again(ctx context.Context, c *deque.Claim[job], failed error) error {
	if ctx.Err() != nil { // we are to stop: somebody else shall do it, at once
		return errors.Join(ctx.Err(), c.Nack(context.WithoutCancel(ctx), 0))
	}
	if c.Attempt < attempts {
		return c.Nack(ctx, time.Second)
	}
	return r.st.Update(ctx, func(tx *cache.Tx) error {
		if err := r.failed.In(tx).Set(ctx, c.Value.ID, failed.Error()); err != nil {
			return err
		}
		return c.In(tx).Ack(ctx)
	})
}

func (r *runner) report(ctx context.Context) error {
	left, err := r.jobs.Len(ctx)
	if err != nil {
		return err
	}
	s, err := r.took.Summary(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d jobs done, %.0f ms each on average and %.0f ms at most; %d wait\n", s.Count, s.Mean, s.Max, left)
	return nil
}
