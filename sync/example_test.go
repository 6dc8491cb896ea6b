package sync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// open makes a store for an example.
func open() (*cache.Store, func()) {
	dir, err := os.MkdirTemp("", "")
	check(err)
	st, err := cache.OpenStore(context.Background(), dir, nil)
	check(err)
	return st, func() {
		check(st.Close())
		check(os.RemoveAll(dir))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func ExampleLock() {
	ctx := context.Background()
	st, done := open()
	defer done()
	lock, err := dsync.NewLock(ctx, st, "report", nil)
	check(err)
	err = lock.Do(ctx, func(ctx context.Context) error {
		fmt.Println("one process at a time")
		return nil
	})
	check(err)
	// Output: one process at a time
}

func ExampleLock_TryLock() {
	ctx := context.Background()
	st, done := open()
	defer done()
	lock, err := dsync.NewLock(ctx, st, "scheduler", nil)
	check(err)
	for range 2 {
		_, ok, err := lock.TryLock(ctx)
		check(err)
		fmt.Println(ok)
	}
	// Output:
	// true
	// false
}

// A holder that comes late cannot write.
func ExampleGuard_Check() {
	ctx := context.Background()
	st, done := open()
	defer done()
	totals, err := cache.New[string, int](ctx, st, "totals", nil)
	check(err)
	lock, err := dsync.NewLock(ctx, st, "totals", nil)
	check(err)
	guard, err := lock.Lock(ctx)
	check(err)
	_, err = lock.Break(ctx) // somebody has lost patience
	check(err)

	err = st.Update(ctx, func(tx *cache.Tx) error {
		if err := guard.Check(tx); err != nil {
			return err
		}
		return totals.In(tx).Set(ctx, "sum", 42)
	})
	fmt.Println(errors.Is(err, dsync.ErrLost))
	// Output: true
}

func ExampleRLock() {
	ctx := context.Background()
	st, done := open()
	defer done()
	lock, err := dsync.NewRLock(ctx, st, "tree", nil)
	check(err)
	outer, err := lock.Lock(ctx)
	check(err)
	inner, err := lock.Lock(outer.Context())
	check(err)
	fmt.Println(inner.Token() == outer.Token())
	check(inner.Unlock())
	check(outer.Unlock())
	// Output: true
}

func ExampleSemaphore() {
	ctx := context.Background()
	st, done := open()
	defer done()
	jobs, err := dsync.NewSemaphore(ctx, st, "jobs", 2, nil)
	check(err)
	for range 3 {
		_, ok, err := jobs.TryAcquire(ctx)
		check(err)
		fmt.Println(ok)
	}
	// Output:
	// true
	// true
	// false
}

func ExampleAverager() {
	ctx := context.Background()
	st, done := open()
	defer done()
	latency, err := dsync.NewAverager(ctx, st, "latency")
	check(err)
	for _, ms := range []float64{1, 2, 6} {
		check(latency.Add(ctx, ms))
	}
	s, err := latency.Summary(ctx)
	check(err)
	fmt.Printf("%d, %.1f on average, %.1f at most\n", s.Count, s.Mean, s.Max)
	// Output: 3, 3.0 on average, 6.0 at most
}

func ExampleThrottle() {
	ctx := context.Background()
	st, done := open()
	defer done()
	api, err := dsync.NewThrottle(ctx, st, "api", &dsync.ThrottleOptions{Count: 2, Period: time.Hour})
	check(err)
	for range 3 {
		ok, err := api.Allow(ctx)
		check(err)
		fmt.Println(ok)
	}
	// Output:
	// true
	// true
	// false
}

func ExampleThrottled() {
	ctx := context.Background()
	st, done := open()
	defer done()
	api, err := dsync.NewThrottle(ctx, st, "api", &dsync.ThrottleOptions{Count: 100, Period: time.Second})
	check(err)
	shout := dsync.Throttled(api, func(ctx context.Context, s string) (string, error) {
		return strings.ToUpper(s), nil
	})
	s, err := shout(ctx, "hello")
	fmt.Println(s, err)
	// Output: HELLO <nil>
}

func ExampleBarrier() {
	ctx := context.Background()
	st, done := open()
	defer done()
	lock, err := dsync.NewLock(ctx, st, "import", nil)
	check(err)
	load := dsync.Barrier(lock, func(ctx context.Context, file string) (int, error) {
		return len(file), nil
	})
	n, err := load(ctx, "data.csv")
	fmt.Println(n, err)
	// Output: 8 <nil>
}

// A program in Python holds the same lock with
// diskcache.Lock(diskcache.Cache(directory), "nightly").
func ExampleKeyLock() {
	ctx := context.Background()
	st, done := open()
	defer done()
	shared, err := cache.New[string, string](ctx, st, "", nil)
	check(err)
	lock, err := dsync.NewKeyLock(shared, "nightly", nil)
	check(err)
	guard, err := lock.Lock(ctx)
	check(err)
	held, err := shared.Contains(ctx, "nightly")
	fmt.Println(held, err)
	check(guard.Unlock())
	// Output: true <nil>
}

// A tenant that leaves takes the throttle with it.
func ExampleDropThrottle() {
	ctx := context.Background()
	st, done := open()
	defer done()
	calls, err := dsync.NewThrottle(ctx, st, "tenant/7", &dsync.ThrottleOptions{Count: 1, Period: time.Hour})
	check(err)
	fmt.Println(calls.Allow(ctx))
	fmt.Println(calls.Allow(ctx))
	check(dsync.DropThrottle(ctx, st, "tenant/7"))
	fmt.Println(calls.Allow(ctx))
	// Output:
	// true <nil>
	// false <nil>
	// true <nil>
}

// Who holds what.
func ExampleLocks() {
	ctx := context.Background()
	st, done := open()
	defer done()
	lock, err := dsync.NewLock(ctx, st, "report", nil)
	check(err)
	err = lock.Do(ctx, func(ctx context.Context) error {
		for l, err := range dsync.Locks(ctx, st) {
			if err != nil {
				return err
			}
			for _, h := range l.Holders {
				fmt.Println(l.Name, "is held, and its holder lives:", h.Alive)
			}
		}
		return nil
	})
	check(err)
	// Output: report is held, and its holder lives: true
}

// Somebody else is told to wait.
func ExampleThrottle_Reserve() {
	ctx := context.Background()
	st, done := open()
	defer done()
	mail, err := dsync.NewThrottle(ctx, st, "mail", &dsync.ThrottleOptions{Count: 2, Period: time.Hour})
	check(err)
	for range 3 {
		delay, cancel, err := mail.Reserve(ctx, 1)
		check(err)
		if delay > time.Minute {
			check(cancel())
			fmt.Println("come back in", delay.Round(time.Minute))
			continue
		}
		fmt.Println("now")
	}
	// Output:
	// now
	// now
	// come back in 30m0s
}

// A job that is to run once a night, in one of many processes: those that come while it
// runs go on, since it is somebody else's, and those that come later find that it is done.
// Lock.Do would run it once in each.
func ExampleLock_TryLock_nightly() {
	ctx := context.Background()
	st, done := open()
	defer done()
	reports, err := cache.New(ctx, st, "reports", &cache.Options[string, time.Time]{Persistent: true})
	check(err)
	lock, err := dsync.NewLock(ctx, st, "nightly", nil)
	check(err)

	nightly := func(night string) error {
		guard, ok, err := lock.TryLock(ctx)
		if err != nil || !ok {
			return err
		}
		defer guard.Unlock()
		done, err := reports.Contains(ctx, night) // asked while it holds the lock
		if err != nil || done {
			return err
		}
		fmt.Println("report of", night)
		return reports.Set(ctx, night, time.Now(), cache.TTL(7*24*time.Hour)) // if it dies before, another one does it again
	}
	for range 3 {
		check(nightly("2026-11-29"))
	}
	// Output: report of 2026-11-29
}
