//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"golang.org/x/sync/errgroup"
)

// worker is a process of Go.
type worker struct {
	*tables
	name string
	stop context.Context // ends when the process shall
}

// role is what one goroutine of a worker does, again and again.
type role struct {
	*worker
	r    *rand.Rand
	last map[string]int64 // numbers that were seen in files
	n    int64            // number of the last value in files
}

// ack tells the supervisor that the nth operation of a kind has returned. It is one
// write, so that lines stay whole.
func (w *worker) ack(kind string, n int64) error {
	_, err := fmt.Fprintf(os.Stdout, "%s %s %d\n", kind, w.name, n)
	return err
}

// work is a process of Go, until its standard input ends.
func work(dir, name string) error {
	stop, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	t, err := open(context.Background(), dir)
	if err != nil {
		return err
	}
	w := &worker{t, name, stop}
	var group errgroup.Group
	for _, do := range []func(*role) error{
		(*role).count, (*role).transfer, (*role).write, (*role).push, (*role).take, (*role).hold, (*role).read, (*role).fill,
	} {
		r := &role{worker: w, r: rand.New(rand.NewPCG(rand.Uint64(), 0)), last: map[string]int64{}}
		group.Go(func() error {
			defer cancel() // one that fails ends the process
			for stop.Err() == nil {
				if err := do(r); err != nil {
					return err
				}
				r.pause(2 * time.Millisecond)
			}
			return nil
		})
	}
	group.Go(func() error {
		for stop.Err() == nil {
			if err := w.ack("goroutines", int64(runtime.NumGoroutine())); err != nil {
				return err
			}
			select {
			case <-time.After(time.Second):
			case <-stop.Done():
			}
		}
		return nil
	})
	return errors.Join(group.Wait(), t.st.Close())
}

// pause waits for some time, d on the average.
func (r *role) pause(d time.Duration) {
	time.Sleep(time.Duration(r.r.ExpFloat64() * float64(d)))
}

// count adds to the counts that Go and Python share.
func (r *role) count() error {
	var n int64
	ctx := context.Background()
	err := r.st.Update(ctx, func(tx *cache.Tx) (err error) {
		c := r.shared.In(tx).Cache()
		if _, err = cache.Incr(ctx, c, "total", 1); err == nil {
			n, err = cache.Incr(ctx, c, r.name, 1)
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.ack("shared", n)
}

// transfer moves something from one account to another.
func (r *role) transfer() error {
	var n int64
	ctx := context.Background()
	err := r.st.Update(ctx, func(tx *cache.Tx) (err error) {
		x, y, amount := r.r.Int64N(accounts), r.r.Int64N(accounts), r.r.Int64N(100)
		c := r.accounts.In(tx).Cache()
		if _, err = cache.Incr(ctx, c, x, -amount); err == nil {
			if _, err = cache.Incr(ctx, c, y, amount); err == nil {
				n, err = r.add(ctx, tx, "transfer "+r.name, 1)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.ack("transfer", n)
}

// write writes one of the process's own values, and reads one of anybody's: it may
// not be older than one that this goroutine has seen there before.
func (r *role) write() error {
	ctx := context.Background()
	if r.n == 0 { // a process before this one may have written
		for i := range ownFiles {
			n, err := r.see(ctx, fileKey(r.name, i))
			if err != nil {
				return err
			}
			r.n = max(r.n, n)
		}
	}
	r.n++
	i := r.r.IntN(ownFiles)
	key := fileKey(r.name, i)
	value := text(key, r.n)
	var err error
	if r.r.IntN(2) == 0 {
		err = r.files.Set(ctx, key, value)
	} else {
		err = r.files.Cache().SetFrom(ctx, key, strings.NewReader(value))
	}
	if err != nil {
		return err
	}
	r.last[key] = r.n
	if err := r.ack(fmt.Sprint("file", i), r.n); err != nil {
		return err
	}
	_, err = r.see(ctx, fileKey(fmt.Sprint("go", r.r.IntN(8)), r.r.IntN(ownFiles)))
	return err
}

func (r *role) see(ctx context.Context, key string) (n int64, err error) {
	value, ok, err := r.files.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	if ok {
		if n, err = number(key, value); err != nil {
			return 0, err
		}
	}
	if n < r.last[key] {
		return 0, fmt.Errorf("%s was number %d and is number %d now", key, r.last[key], n)
	}
	r.last[key] = n
	return n, nil
}

// push adds a job unless there are many.
func (r *role) push() error {
	ctx := context.Background()
	if waiting, err := r.jobs.Len(ctx); err != nil || waiting > 100 {
		return err
	}
	j := job{From: r.name}
	var opts []deque.Option
	switch r.r.IntN(20) {
	case 0:
		j.Padding = strings.Repeat("x", 40_000)
	case 1:
		opts = append(opts, deque.Delay(longestDelay))
	}
	err := r.st.Update(ctx, func(tx *cache.Tx) (err error) {
		if j.N, err = r.add(ctx, tx, "push "+r.name, 1); err != nil {
			return err
		}
		return r.jobs.In(tx).PushBack(ctx, j, opts...)
	})
	if err != nil {
		return err
	}
	return r.ack("push", j.N)
}

const longestDelay = 5 * time.Millisecond

// take does a job, which is to be counted.
func (r *role) take() error {
	c, err := r.jobs.ClaimWait(r.stop, -1)
	if r.stop.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx := context.Background()
	if r.r.IntN(10) == 0 {
		return c.Nack(ctx, time.Duration(r.r.Int64N(int64(longestDelay))))
	}
	r.pause(time.Millisecond)
	var n int64
	err = r.st.Update(ctx, func(tx *cache.Tx) (err error) {
		if err = r.done(ctx, tx, c.Value); err == nil {
			if n, err = r.add(ctx, tx, "took "+r.name, 1); err == nil {
				err = c.In(tx).Ack(ctx)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.ack("took", n)
}

// done counts a job, so that it shows if one is lost or done twice.
func (t *tables) done(ctx context.Context, tx *cache.Tx, j job) error {
	_, err := t.add(ctx, tx, "done "+j.From, 1)
	if err == nil {
		_, err = t.add(ctx, tx, "sum "+j.From, j.N)
	}
	return err
}

// hold takes the lock, and adds to a count as nobody could do without it.
func (r *role) hold() error {
	ctx := context.Background()
	g, err := r.lock.Lock(ctx)
	if err != nil {
		return err
	}
	leave, err := r.enter("lock")
	if err != nil {
		return err
	}
	locked, _, err := r.counts.Get(ctx, "locked")
	if err != nil {
		return err
	}
	r.pause(200 * time.Microsecond)
	var n int64
	err = r.st.Update(ctx, func(tx *cache.Tx) (err error) {
		if err = g.Check(tx); err != nil {
			return err
		}
		c := r.counts.In(tx)
		last, _, err := c.Get(ctx, "token")
		if err == nil && last >= g.Token() {
			err = fmt.Errorf("token %d comes after token %d", g.Token(), last)
		}
		if err == nil {
			err = c.Set(ctx, "token", g.Token())
		}
		if err == nil {
			err = c.Set(ctx, "locked", locked+1)
		}
		if err == nil {
			n, err = r.add(ctx, tx, "lock "+r.name, 1)
		}
		return err
	})
	if err = errors.Join(err, leave()); err != nil {
		return err
	}
	if err := g.Unlock(); err != nil {
		return err
	}
	return r.ack("lock", n)
}

// read gets a page that somebody makes.
func (r *role) read() error {
	name := fmt.Sprint(r.r.IntN(pages))
	got, err := r.pages.Call(context.Background(), name)
	if err == nil && got != name+" made" {
		err = fmt.Errorf("page %s is %q", name, got)
	}
	return err
}

// fill does all kinds of things to a cache that evicts.
func (r *role) fill() error {
	ctx := context.Background()
	k := r.r.Int64N(2000)
	key := fmt.Sprint(k)
	var err error
	switch n := r.r.IntN(10_000); {
	case n < 4500:
		var value string
		var ok bool
		if value, ok, err = r.churn.Get(ctx, k); ok {
			_, err = number(key, value)
		}
	case n < 9500:
		opts := []cache.Option{cache.Tag(fmt.Sprint(k % 10))}
		if n%2 == 0 {
			opts = append(opts, cache.TTL(time.Second))
		}
		err = r.churn.Set(ctx, k, text(key, r.r.Int64N(1000)), opts...)
	case n < 9900:
		_, err = r.churn.Delete(ctx, k)
	case n < 9990:
		_, err = r.churn.Evict(ctx, cache.Tag(fmt.Sprint(k%10)))
	case n < 9998:
		_, err = r.churn.Clear(ctx)
	default:
		err = r.st.Compact(ctx)
	}
	return err
}
