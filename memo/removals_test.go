package memo_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

// byArg tags a result with its argument.
func byArg(arg string, _ int64) cache.TagValue { return cache.Tag(arg) }

func peek[A any](t testing.TB, m *memo.Memo[A, int64], arg A, want bool) {
	t.Helper()
	_, found, err := m.Peek(t.Context(), arg)
	ok(t, err)
	equal(t, found, want)
}

func TestClear(t *testing.T) {
	st := openDir(t, t.TempDir())
	var c counted
	m := newMemo(t, st, c.call, &memo.Options[string, int64]{CacheError: func(error) time.Duration { return time.Hour }})
	other, err := memo.New(t.Context(), st, "other", c.call, nil)
	ok(t, err)
	calls(t, m, "a", 1, &c, 1)
	calls(t, m, "b", 2, &c, 2)
	calls(t, other, "a", 3, &c, 3)
	down := errors.New("down")
	c.failWith(down)
	_, err = m.Call(t.Context(), "c")
	is(t, err, down)
	c.failWith(nil)
	n, err := m.Clear(t.Context())
	ok(t, err)
	equal(t, n, 2)
	peek(t, m, "a", false)
	calls(t, m, "a", 5, &c, 5)
	calls(t, m, "c", 6, &c, 6) // the error is forgotten too
	calls(t, m, "a", 5, &c, 6)
	calls(t, other, "a", 3, &c, 6)
}

func TestEvict(t *testing.T) {
	st := openDir(t, t.TempDir())
	var c counted
	m := newMemo(t, st, c.call, &memo.Options[string, int64]{Tag: func(arg string, n int64) cache.TagValue {
		switch {
		case arg == "none":
			return cache.TagValue{}
		case n > 2:
			return cache.Tag("large")
		}
		return cache.Tag("small")
	}})
	for i, arg := range []string{"a", "b", "c", "none"} {
		calls(t, m, arg, int64(i+1), &c, int64(i+1))
	}
	for _, tt := range []struct {
		tag  string
		want int
	}{{"unused", 0}, {"small", 2}, {"small", 0}, {"large", 1}} {
		n, err := m.Evict(t.Context(), cache.Tag(tt.tag))
		ok(t, err)
		equal(t, n, tt.want)
	}
	peek(t, m, "a", false)
	peek(t, m, "c", false)
	peek(t, m, "none", true)
	calls(t, m, "a", 5, &c, 5)
	calls(t, m, "a", 5, &c, 5)
}

// What was cleared or evicted while it was computed is given to those who
// waited, but neither stored nor joined, whoever did it and however it was
// computed.
func TestRemoveRunning(t *testing.T) {
	type memos = memo.Memo[string, int64]
	clear := func(m *memos, ctx context.Context) error { _, err := m.Clear(ctx); return err }
	evict := func(m *memos, ctx context.Context) error { _, err := m.Evict(ctx, cache.Tag("a")); return err }
	evictMany := func(m *memos, ctx context.Context) error {
		for i := range 200 {
			tag := cache.Tag(i)
			if i == 20 {
				tag = cache.Tag("a")
			}
			if _, err := m.Evict(ctx, tag); err != nil {
				return err
			}
		}
		return nil
	}
	for name, remove := range map[string]func(*memos, context.Context) error{"Clear": clear, "Evict": evict, "EvictMany": evictMany} {
		for _, who := range []string{"same", "other"} {
			t.Run(name+"/"+who, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var data memory.Data
					st, other := openMemory(t, &data), openMemory(t, &data)
					c := counted{takes: time.Second}
					o := &memo.Options[string, int64]{Tag: byArg, TTL: time.Hour, RefreshAfter: time.Minute}
					m := newMemo(t, st, c.call, o)
					remover := m
					if who == "other" {
						remover = newMemo(t, other, c.call, o)
					}
					got := make(chan int64, 3)
					run := func(call func(context.Context, string) (int64, error)) {
						go func() {
							v, err := call(t.Context(), "a")
							ok(t, err)
							got <- v
						}()
						synctest.Wait()
					}
					run(m.Call)
					ok(t, remove(remover, t.Context()))
					began := time.Now()
					run(m.Call) // these two compute together
					run(m.Call)
					equal(t, <-got, 1)
					equal(t, <-got, 2)
					equal(t, <-got, 2)
					equal(t, time.Since(began), 2*time.Second)
					calls(t, m, "a", 2, &c, 2)

					// Without another call, nothing is stored.
					run(m.Refresh)
					ok(t, remove(remover, t.Context()))
					equal(t, <-got, 3)
					peek(t, m, "a", false)

					// Nor is what was computed in the background.
					calls(t, m, "a", 4, &c, 4)
					time.Sleep(time.Minute)
					v, err := m.Call(t.Context(), "a") // computes in the background
					ok(t, err)
					equal(t, v, 4)
					synctest.Wait()
					equal(t, c.n.Load(), 5)
					ok(t, remove(remover, t.Context()))
					time.Sleep(2 * time.Second)
					peek(t, m, "a", false)
				})
			})
		}
	}
}

// However many other arguments and tags are removed while results are computed, nearly
// all of these are stored.
func TestRemoveManyOthersRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counted{takes: time.Second}
		st := openMemory(t, &memory.Data{})
		m := newMemo(t, st, c.call, &memo.Options[string, int64]{Tag: byArg})
		const all = 100
		for i := range all {
			go func() {
				_, err := m.Call(t.Context(), fmt.Sprint("arg-", i))
				ok(t, err)
			}()
		}
		synctest.Wait()
		ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
			for i := range 50 { // they lie in few of the 256 places
				if _, err := m.In(tx).Forget(tx.Context(), fmt.Sprint("other-", i%5)); err != nil {
					return err
				}
				if _, err := m.In(tx).Evict(tx.Context(), cache.Tag(fmt.Sprint("other-", i%5))); err != nil {
					return err
				}
			}
			return nil
		}))
		time.Sleep(2 * time.Second)
		stored := 0
		for i := range all {
			_, found, err := m.Peek(t.Context(), fmt.Sprint("arg-", i))
			ok(t, err)
			if found {
				stored++
			}
		}
		if stored < all*3/4 {
			t.Errorf("%d of %d results are stored", stored, all)
		}
	})
}

// Evict has no effect on what is being computed for another tag, and equal
// tags are equal here too.
func TestEvictOthersRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counted{takes: time.Second}
		m := newMemo(t, openMemory(t, &memory.Data{}), c.call, &memo.Options[string, int64]{
			Tag: func(arg string, _ int64) cache.TagValue {
				switch arg {
				case "one":
					return cache.Tag(1)
				case "blob":
					return cache.Tag([]byte("a"))
				case "zero":
					return cache.Tag(math.Copysign(0, -1))
				case "none":
					return cache.TagValue{}
				}
				return cache.Tag(arg)
			},
		})
		for arg, stays := range map[string]bool{"one": false, "zero": false, "a": false, "blob": true, "b": true, "none": true} {
			go func() {
				_, err := m.Call(t.Context(), arg)
				ok(t, err)
			}()
			synctest.Wait()
			for _, tag := range []cache.TagValue{cache.Tag(1.0), cache.Tag(0), cache.Tag("a")} {
				_, err := m.Evict(t.Context(), tag)
				ok(t, err)
			}
			n := c.n.Load()
			v, err := m.Call(t.Context(), arg) // waits for it, and computes if it was evicted
			ok(t, err)
			if stays {
				equal(t, v, n)
			} else {
				equal(t, v, n+1)
			}
		}
	})
}

// An error is not kept if everything was removed while it was computed.
func TestClearRunningError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counted{takes: time.Second}
		m := newMemo(t, openMemory(t, &memory.Data{}), c.call, &memo.Options[string, int64]{CacheError: func(error) time.Duration { return time.Hour }})
		down := errors.New("down")
		c.failWith(down)
		errs := make(chan error)
		go func() {
			_, err := m.Call(t.Context(), "a")
			errs <- err
		}()
		synctest.Wait()
		_, err := m.Clear(t.Context())
		ok(t, err)
		is(t, <-errs, down)
		c.failWith(nil)
		calls(t, m, "a", 2, &c, 2)
	})
}

// Beta knows how long a result of any tag took.
func TestBetaWithTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counted{takes: 2 * time.Second}
		m := newMemo(t, openMemory(t, &memory.Data{}), c.call, &memo.Options[string, int64]{
			TTL: time.Minute, Beta: 1.5, Tag: func(string, int64) cache.TagValue { return cache.Tag(1000.0) },
		})
		memo.SetRand(m, func() float64 { return 1 - math.Exp(-4) }) // 12 s early
		calls(t, m, "a", 1, &c, 1)
		time.Sleep(47 * time.Second)
		calls(t, m, "a", 1, &c, 1)
		synctest.Wait()
		equal(t, c.n.Load(), 1)
		time.Sleep(time.Second + time.Millisecond)
		v, err := m.Call(t.Context(), "a")
		ok(t, err)
		equal(t, v, 1)
		synctest.Wait()
		equal(t, c.n.Load(), 2)
		time.Sleep(3 * time.Second)
		was, err := m.Forget(t.Context(), "a")
		ok(t, err)
		equal(t, was, true)
		calls(t, m, "a", 3, &c, 3)
		n, err := m.Evict(t.Context(), cache.Tag(1000))
		ok(t, err)
		equal(t, n, 1)
	})
}

func TestRemoveMisuse(t *testing.T) {
	st := cache.NewStore((&memory.Data{}).Open(nil), nil)
	var c counted
	plain := newMemo(t, st, c.call, nil)
	_, err := plain.Evict(t.Context(), cache.Tag("a"))
	is(t, err, cache.ErrInvalid)

	bad := map[string]cache.TagValue{"panic": {}, "nan": cache.Tag(math.NaN()), "large": cache.Tag(uint64(math.MaxUint64))}
	m, err := memo.New(t.Context(), st, "tagged", c.call, &memo.Options[string, int64]{Tag: func(arg string, _ int64) cache.TagValue {
		if arg == "panic" {
			panic("oops")
		}
		return bad[arg]
	}})
	ok(t, err)
	for arg, tag := range bad {
		_, err := m.Call(t.Context(), arg)
		var p *memo.PanicError
		if arg == "panic" {
			if !errors.As(err, &p) || !strings.Contains(fmt.Sprint(p.Value), "oops") {
				t.Errorf("a panic of Tag is %v", err)
			}
		} else {
			is(t, err, cache.ErrInvalid)
		}
		peek(t, m, arg, false)
		_, err = m.Evict(t.Context(), tag)
		is(t, err, cache.ErrInvalid)
	}
	ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
		_, err := m.Clear(tx.Context())
		is(t, err, cache.ErrInTx)
		_, err = m.Evict(tx.Context(), cache.Tag("a"))
		is(t, err, cache.ErrInTx)
		return nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Clear(ctx)
	is(t, err, context.Canceled)
	_, err = m.Evict(ctx, cache.Tag("a"))
	is(t, err, context.Canceled)
	ok(t, st.Close())
	_, err = m.Clear(t.Context())
	is(t, err, cache.ErrClosed)
	_, err = m.Evict(t.Context(), cache.Tag("a"))
	is(t, err, cache.ErrClosed)
}

// What is remembered can be read where nothing can be written, also in a store
// without a collection for what was removed.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	var c counted
	writer := openDir(t, dir)
	calls(t, newMemo(t, writer, c.call, nil), "a", 1, &c, 1)
	for range 2 {
		st, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{ReadOnly: true})
		ok(t, err)
		m := newMemo(t, st, c.call, nil)
		calls(t, m, "a", 1, &c, 1)
		_, err = m.Clear(t.Context())
		is(t, err, cache.ErrReadOnly)
		peek(t, m, "a", true)
		ok(t, st.Close())
		ok(t, writer.Drop(t.Context(), "memo-removals/all"))
	}
}
