//go:build linux

package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// prompt is how soon a call returns once its context has ended, with much
// allowance for a busy machine.
const prompt = 5 * time.Second

var errCause = errors.New("the cause")

// endsPromptly calls fn with a context that ends while fn waits, cancelled or
// by its deadline, and demands that fn returns at once with the reason.
func endsPromptly(t *testing.T, what string, fn func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	var ended time.Time
	timer := time.AfterFunc(20*time.Millisecond, func() {
		ended = time.Now()
		cancel(errCause)
	})
	defer timer.Stop()
	err := fn(ctx)
	if ctx.Err() == nil {
		t.Errorf("%s did not wait: %v", what, err)
		return
	}
	var detail *cache.Error
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) || !errors.As(err, &detail) {
		t.Errorf("%s: error %v", what, err)
	}
	if late := time.Since(ended); late > prompt {
		t.Errorf("%s returned %v after its context had ended", what, late)
	}

	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	began := time.Now()
	if err := fn(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: error %v", what, err)
	}
	if took := time.Since(began); took > prompt {
		t.Errorf("%s with a deadline of 20ms took %v", what, took)
	}
}

// waiting are operations that wait for a writer.
func waiting(c collections) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Set":      func(ctx context.Context) error { return c.lru.Set(ctx, "new", "v") },
		"Set big":  func(ctx context.Context) error { return c.lru.Set(ctx, "new", strings.Repeat("v", 40_000)) },
		"SetFrom":  func(ctx context.Context) error { return c.named.SetFrom(ctx, "new", strings.NewReader("v")) },
		"Add":      func(ctx context.Context) error { _, err := c.lru.Add(ctx, "new", "v"); return err },
		"Delete":   func(ctx context.Context) error { _, err := c.lru.Delete(ctx, "k"); return err },
		"Pop":      func(ctx context.Context) error { _, _, err := c.lru.Pop(ctx, "k"); return err },
		"Incr":     func(ctx context.Context) error { _, err := cache.Incr(ctx, c.n, "new", 1); return err },
		"PushBack": func(ctx context.Context) error { _, err := c.jobs.Queue("q").PushBack(ctx, "v"); return err },
		"PopFront": func(ctx context.Context) error { _, _, err := c.jobs.Queue("q").PopFront(ctx); return err },
		"Clear":    func(ctx context.Context) error { _, err := c.named.Clear(ctx); return err },
		"Cull":     func(ctx context.Context) error { _, err := c.lru.Cull(ctx); return err },
		"Stats":    func(ctx context.Context) error { _, err := c.lru.Stats(ctx); return err },
		"Update": func(ctx context.Context) error {
			return c.st.Update(ctx, func(tx *cache.Tx) error { return errors.New("it ran") })
		},
		"Configure": func(ctx context.Context) error {
			_, err := c.lru.Configure(ctx, func(s *cache.Settings) { s.CullLimit = 1 })
			return err
		},
		"Configure: tag index": func(ctx context.Context) error {
			_, err := c.lru.Configure(ctx, func(s *cache.Settings) { s.TagIndex = true })
			return err
		},
		"New":     func(ctx context.Context) error { _, err := cache.New[string, string](ctx, c.st, "x", nil); return err },
		"Drop":    func(ctx context.Context) error { return c.st.Drop(ctx, "cache/named") },
		"Check":   func(ctx context.Context) error { _, err := c.st.Check(ctx, nil); return err },
		"Compact": func(ctx context.Context) error { return c.st.Compact(ctx) },
		"Backup":  func(ctx context.Context) error { return c.st.Backup(ctx, c.st.Dir()+"-backup") },
	}
}

// TestContextEndsWaits ends the context of every operation while it waits for
// a writer: one of this process, another process, or a program that does not
// queue with us.
func TestContextEndsWaits(t *testing.T) {
	for _, who := range []string{"this process", "transaction", "stranger"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			dir := filepath.Join(t.TempDir(), "store")
			st := must(cache.OpenStore(ctx, dir, nil))(t)
			c := must(openCollections(ctx, st))(t)
			set(t, c.lru, "k", "v")
			before := must(c.lru.Configure(ctx, func(*cache.Settings) {}))(t)

			var release func()
			if who == "this process" {
				holds, letGo, done := make(chan struct{}), make(chan struct{}), make(chan error)
				go func() {
					done <- st.Update(ctx, func(*cache.Tx) error {
						close(holds)
						<-letGo
						return nil
					})
				}()
				<-holds
				release = func() {
					close(letGo)
					ok(t, <-done)
				}
			} else {
				holder := spawn(t, "hold", dir, who)
				holder.expect("holds")
				release = func() {
					holder.say("let go")
					holder.expect("released")
					holder.finish()
				}
			}
			for what, fn := range waiting(c) {
				endsPromptly(t, what, fn)
			}
			// Nobody who waits is held up by those who gave up.
			set1 := make(chan error)
			go func() { set1 <- c.lru.Set(ctx, "after", "v") }()
			release()
			ok(t, <-set1)
			set(t, c.lru, "after", "w")

			has(t, c.lru, "k", "v")
			has(t, c.lru, "new", "")
			has(t, c.lru, "after", "w")
			_, found, err := c.n.Get(ctx, "new")
			ok(t, err)
			equal(t, found, false)
			length(t, c.named, 0)
			length(t, c.jobs, 0)
			equal(t, must(c.lru.Configure(ctx, func(*cache.Settings) {}))(t), before)
			if _, err := os.Stat(dir + "-backup"); err == nil {
				t.Error("a part of a backup is left")
			}
			equal(t, unused(t, dir), 0)
			ok(t, st.Close())
			clean(t, dir)
		})
	}
}

// Of many writers that wait in line, any may give up.
func TestContextEndsInLine(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st := must(cache.OpenStore(ctx, t.TempDir(), nil))(t)
	defer st.Close()
	c := open[string, string](t, st, "", nil)
	for range scaled(50) {
		holds, letGo := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			if err := st.Update(ctx, func(*cache.Tx) error {
				close(holds)
				<-letGo
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		<-holds
		giveUp, cancel := context.WithCancelCause(ctx)
		var gaveUp sync.WaitGroup
		for i := range 20 {
			if i%2 == 0 {
				all.Go(func() {
					if err := c.Set(ctx, strconv.Itoa(i), "v"); err != nil {
						t.Error(err)
					}
				})
				continue
			}
			gaveUp.Go(func() {
				var err error
				if i%4 == 1 {
					err = c.Set(giveUp, strconv.Itoa(i), "v")
				} else {
					err = st.Update(giveUp, func(tx *cache.Tx) error { return c.In(tx).Set(ctx, strconv.Itoa(i), "v") })
				}
				if !errors.Is(err, errCause) {
					t.Errorf("error %v", err)
				}
			})
		}
		cancel(errCause)
		gaveUp.Wait()
		close(letGo)
		all.Wait()
		length(t, c, 10)
		must(c.Clear(ctx))(t)
	}
}

// Opening a store waits for whoever is making it, as long as its own context
// lasts, and holds nobody up who wants another store.
func TestContextEndsOpen(t *testing.T) {
	for _, how := range []string{"lock", "stranger"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			dir := t.TempDir()
			maker := spawn(t, "hold", dir, how)
			maker.expect("holds")
			endsPromptly(t, "OpenStore", func(ctx context.Context) error {
				st, err := cache.OpenStore(ctx, dir, nil)
				if err == nil {
					err = st.Close()
				}
				return err
			})
			began := time.Now()
			_, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Timeout: 50 * time.Millisecond})
			failed(t, err, cache.ErrTimeout, "OpenStore", "")
			if took := time.Since(began); took > prompt {
				t.Errorf("a timeout of 50ms took %v", took)
			}

			opened := make(chan *cache.Store, 1)
			go func() {
				st, err := cache.OpenStore(ctx, dir, nil)
				if err != nil {
					t.Error(err)
				}
				opened <- st
			}()
			// Another that waits longer does not hold this one up.
			for range 5 {
				endsPromptly(t, "the second OpenStore", func(ctx context.Context) error {
					st, err := cache.OpenStore(ctx, dir, nil)
					if err == nil {
						err = st.Close()
					}
					return err
				})
			}
			began = time.Now()
			other := must(cache.OpenStore(ctx, t.TempDir(), nil))(t)
			ok(t, other.Close())
			if took := time.Since(began); took > 4*prompt {
				t.Errorf("opening and closing another store took %v", took)
			}
			maker.say("let go")
			maker.expect("released")
			st := <-opened
			if st == nil {
				return
			}
			set(t, open[string, string](t, st, "", nil), "k", "v")
			maker.finish()
			ok(t, st.Close())
			clean(t, dir)
		})
	}
}
