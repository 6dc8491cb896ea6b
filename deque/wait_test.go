package deque_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/deque"
)

// Whoever waits is woken by a push, a delay, a lease, or a session that ends,
// at the moment when that happens.
func TestWaitWakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		take func(ctx context.Context, d *deque.Deque[int]) (int, error)
		make func(ctx context.Context, d, other *deque.Deque[int]) error // makes 7 available
		want time.Duration
	}{
		{"push", popFront, func(ctx context.Context, d, _ *deque.Deque[int]) error { return d.PushBack(ctx, 7) }, 0},
		{"push by another", popFront, func(ctx context.Context, _, other *deque.Deque[int]) error { return other.PushBack(ctx, 7) }, 0},
		{"push, from the back", popBack, func(ctx context.Context, d, _ *deque.Deque[int]) error { return d.PushFront(ctx, 7) }, 0},
		{"push, for a claim", claimWait, func(ctx context.Context, d, _ *deque.Deque[int]) error { return d.PushBack(ctx, 7) }, 0},
		{"push without Deque", popFront, func(ctx context.Context, d, _ *deque.Deque[int]) error {
			_, err := d.Cache().Queue("").PushBack(ctx, 7)
			return err
		}, 0},
		{"delay", popFront, func(ctx context.Context, d, _ *deque.Deque[int]) error {
			return d.PushBack(ctx, 7, deque.Delay(time.Minute))
		}, time.Minute},
		{"lease", claimWait, func(ctx context.Context, d, _ *deque.Deque[int]) error {
			return d.Update(ctx, func(tx *cache.Tx) error {
				d := d.In(tx)
				if err := d.PushBack(ctx, 7); err != nil {
					return err
				}
				_, _, err := d.Claim(ctx, time.Minute)
				return err
			})
		}, time.Minute},
		{"nack", popFront, func(ctx context.Context, d, _ *deque.Deque[int]) error {
			var c *deque.Claim[int]
			err := d.Update(ctx, func(tx *cache.Tx) (err error) {
				d := d.In(tx)
				if err = d.PushBack(ctx, 7); err == nil {
					c, _, err = d.Claim(ctx, deque.UntilClosed)
				}
				return err
			})
			if err != nil {
				return err
			}
			return c.Nack(ctx, time.Second)
		}, time.Second},
		{"session", popFront, func(ctx context.Context, _, other *deque.Deque[int]) error {
			err := other.Update(ctx, func(tx *cache.Tx) error {
				other := other.In(tx)
				if err := other.PushBack(ctx, 7); err != nil {
					return err
				}
				_, _, err := other.Claim(ctx, deque.UntilClosed)
				return err
			})
			return errors.Join(err, other.Store().Close())
		}, 50 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var data memory.Data
				var ds [2]*deque.Deque[int]
				for i := range ds {
					st := cache.NewStore(data.Open(nil), nil)
					defer st.Close()
					ds[i] = must(deque.New[int](t.Context(), st, "", nil))(t)
				}
				got := make(chan time.Time)
				go func() {
					v, err := tt.take(t.Context(), ds[0])
					if v != 7 || err != nil {
						t.Error(v, err)
					}
					got <- time.Now()
				}()
				time.Sleep(time.Second)
				synctest.Wait()
				began := time.Now()
				ok(t, tt.make(t.Context(), ds[0], ds[1]))
				if took := (<-got).Sub(began); took > tt.want+50*time.Millisecond || took < tt.want-50*time.Millisecond {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

func popFront(ctx context.Context, d *deque.Deque[int]) (int, error) { return d.PopFrontWait(ctx) }
func popBack(ctx context.Context, d *deque.Deque[int]) (int, error)  { return d.PopBackWait(ctx) }
func claimWait(ctx context.Context, d *deque.Deque[int]) (int, error) {
	c, err := d.ClaimWait(ctx, time.Minute)
	if err != nil {
		return 0, err
	}
	return c.Value, c.Ack(ctx)
}

// pushing is an engine that pushes when somebody begins to watch: when the
// waiter has found nothing and nobody tells it yet.
type pushing struct {
	driver.Store
	push func()
}

func (p *pushing) Watch(c driver.Collection) (<-chan struct{}, func(), error) {
	if p.push != nil {
		p.push()
	}
	return p.Store.Watch(c)
}

func TestNoLostWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		engine := &pushing{Store: data.Open(nil)}
		st := cache.NewStore(engine, nil)
		defer st.Close()
		d := open[int](t, st, "")
		engine.push = func() {
			engine.push = nil
			push(t, d, 7)
		}
		began := time.Now()
		v, err := d.PopFrontWait(t.Context())
		ok(t, err)
		equal(t, v, 7)
		equal(t, time.Since(began), 0)
	})
}

// A wait ends with its context, with the deque and with the store, and takes
// nothing with it.
func TestWaitEnds(t *testing.T) {
	stop := errors.New("stop")
	for name, tt := range map[string]struct {
		end  func(d *deque.Deque[int], cancel context.CancelCauseFunc) error
		want error
	}{
		"context": {func(_ *deque.Deque[int], cancel context.CancelCauseFunc) error { cancel(stop); return nil }, stop},
		"deque":   {func(d *deque.Deque[int], _ context.CancelCauseFunc) error { return d.Close() }, cache.ErrClosed},
		"store":   {func(d *deque.Deque[int], _ context.CancelCauseFunc) error { return d.Store().Close() }, cache.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, e *env) {
				d := open[int](t, e.st, "")
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				const n = 4
				errs := make(chan error, n)
				for i := range n {
					go func() {
						_, err := []func(context.Context, *deque.Deque[int]) (int, error){popFront, popBack, claimWait}[i%3](ctx, d)
						errs <- err
					}()
				}
				ok(t, tt.end(d, cancel))
				for range n {
					err := <-errs
					is(t, err, tt.want)
					if tt.want == stop {
						is(t, err, context.Canceled)
					}
				}
				if tt.want == stop {
					push(t, d, 1)
					pops(t, d, 1)
				}
			})
		})
	}
	onEngines(t, func(t *testing.T, e *env) {
		d := open(t, e.st, "", 1)
		_, err := d.PopFrontWait(cancelled())
		is(t, err, context.Canceled)
		holds(t, d, 1)
		ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
			_, err := d.In(tx).PopFrontWait(t.Context())
			is(t, err, cache.ErrInvalid)
			return nil
		}))
	})
}

// Waiters of one handle are served in the order in which they came.
func TestWaitersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		st := cache.NewStore(data.Open(nil), nil)
		defer st.Close()
		d := must(deque.New[int](t.Context(), st, "", nil))(t)
		const n = 20
		var got [n]int
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				v, err := d.PopFrontWait(t.Context())
				if err != nil {
					t.Error(err)
				}
				got[i] = v
			})
			synctest.Wait()
		}
		for i := range n {
			ok(t, d.PushBack(t.Context(), i))
		}
		wg.Wait()
		for i := range n {
			equal(t, got[i], i)
		}
	})
}

// Of many producers and consumers, with several handles, every item goes to
// exactly one, and no wake-up is lost.
func TestWaitOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		const handles, each = 3, 24
		ctx := t.Context()
		taken := make(chan int)
		var wg sync.WaitGroup
		for h := range handles {
			d := open[int](t, e.reopen(false), "")
			wg.Go(func() {
				for i := range each {
					if err := d.PushBack(ctx, h*each+i); err != nil {
						t.Error(err)
					}
				}
			})
			for w := range 2 {
				wg.Go(func() {
					for range each / 2 {
						v, err := []func(context.Context, *deque.Deque[int]) (int, error){popFront, claimWait}[w](ctx, d)
						if err != nil {
							t.Error(err)
						}
						taken <- v
					}
				})
			}
		}
		go func() {
			wg.Wait()
			close(taken)
		}()
		seen := map[int]bool{}
		for v := range taken {
			if seen[v] {
				t.Errorf("%d was handed out twice", v)
			}
			seen[v] = true
		}
		equal(t, len(seen), handles*each)
		empty(t, open[int](t, e.st, ""))
	})
}
