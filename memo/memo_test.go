package memo_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/memo"
)

func openMemory(t testing.TB, data *memory.Data) *cache.Store {
	t.Helper()
	st := cache.NewStore(data.Open(&memory.Options{RunTwice: true, Declared: true}), nil)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st
}

func openDir(t testing.TB, dir string) *cache.Store {
	t.Helper()
	st, err := cache.OpenStore(t.Context(), dir, nil)
	ok(t, err)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st
}

func newMemo[A, R any](t testing.TB, st *cache.Store, fn func(context.Context, A) (R, error), o *memo.Options[A, R]) *memo.Memo[A, R] {
	t.Helper()
	m, err := memo.New(t.Context(), st, "m", fn, o)
	ok(t, err)
	return m
}

// counted is a function that counts its calls, and returns their number.
type counted struct {
	n     atomic.Int64
	fail  atomic.Pointer[error]
	takes time.Duration

	during func() // called by call, if not nil
}

func (c *counted) call(ctx context.Context, arg string) (int64, error) {
	n := c.n.Add(1)
	if c.during != nil {
		c.during()
	}
	if c.takes > 0 {
		select {
		case <-time.After(c.takes):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if err := c.fail.Load(); err != nil {
		return 0, *err
	}
	return n, nil
}

func (c *counted) failWith(err error) {
	if err == nil {
		c.fail.Store(nil)
		return
	}
	c.fail.Store(&err)
}

// calls checks what Call returns, and how often the function was called so
// far.
func calls[A any](t testing.TB, m *memo.Memo[A, int64], arg A, want int64, c *counted, n int64) {
	t.Helper()
	v, err := m.Call(t.Context(), arg)
	ok(t, err)
	equal(t, v, want)
	equal(t, c.n.Load(), n)
}

func TestCall(t *testing.T) {
	st := openDir(t, t.TempDir())
	var c counted
	m := newMemo(t, st, c.call, nil)
	_, found, err := m.Peek(t.Context(), "a")
	ok(t, err)
	equal(t, found, false)
	calls(t, m, "a", 1, &c, 1)
	calls(t, m, "a", 1, &c, 1)
	calls(t, m, "b", 2, &c, 2)
	calls(t, newMemo(t, st, c.call, nil), "a", 1, &c, 2)
	v, found, err := m.Peek(t.Context(), "a")
	ok(t, err)
	equal(t, v, 1)
	equal(t, found, true)

	v, err = m.Refresh(t.Context(), "a")
	ok(t, err)
	equal(t, v, 3)
	calls(t, m, "a", 3, &c, 3)

	was, err := m.Forget(t.Context(), "a")
	ok(t, err)
	equal(t, was, true)
	was, err = m.Forget(t.Context(), "a")
	ok(t, err)
	equal(t, was, false)
	calls(t, m, "a", 4, &c, 4)
}

func TestKey(t *testing.T) {
	type request struct{ User, Page string }
	var c counted
	m := newMemo(t, openDir(t, t.TempDir()), func(ctx context.Context, r request) (int64, error) {
		return c.call(ctx, r.Page)
	}, &memo.Options[request, int64]{Key: func(r request) string { return r.Page }})
	calls(t, m, request{"ann", "home"}, 1, &c, 1)
	calls(t, m, request{"bob", "home"}, 1, &c, 1)
	calls(t, m, request{"bob", "news"}, 2, &c, 2)
}

// An argument that is encoded as null is invalid: nothing could be stored.
func TestNull(t *testing.T) {
	m := newMemo(t, openDir(t, t.TempDir()), func(context.Context, float64) (int64, error) { return 1, nil }, nil)
	_, err := m.Call(t.Context(), math.NaN())
	is(t, err, cache.ErrInvalid)
	_, err = m.Refresh(t.Context(), math.NaN())
	is(t, err, cache.ErrInvalid)
	_, err = m.Forget(t.Context(), math.NaN())
	is(t, err, cache.ErrInvalid)
}

// A function may call itself through its Memo.
func TestRecursion(t *testing.T) {
	var m *memo.Memo[int, int]
	n := 0
	m = newMemo(t, openDir(t, t.TempDir()), func(ctx context.Context, k int) (int, error) {
		n++
		if k < 2 {
			return k, nil
		}
		a, err := m.Call(ctx, k-1)
		if err != nil {
			return 0, err
		}
		b, err := m.Call(ctx, k-2)
		return a + b, err
	}, nil)
	v, err := m.Call(t.Context(), 30)
	ok(t, err)
	equal(t, v, 832040)
	equal(t, n, 31)

	var loop *memo.Memo[int, int]
	loop, err = memo.New(t.Context(), openDir(t, t.TempDir()), "loop", func(ctx context.Context, k int) (int, error) {
		return loop.Call(ctx, 1-k)
	}, nil)
	ok(t, err)
	_, err = loop.Call(t.Context(), 0)
	is(t, err, memo.ErrRecursive)
}

// Of many calls in several stores on the same data, one computes.
func TestOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		c := counted{takes: time.Second}
		var all sync.WaitGroup
		began := time.Now()
		for range 4 {
			m := newMemo(t, openMemory(t, &data), c.call, nil)
			for range 4 {
				all.Go(func() { calls(t, m, "a", 1, &c, 1) })
			}
		}
		all.Wait()
		equal(t, time.Since(began) < 1100*time.Millisecond, true)
	})
}

// The computation ends when the last waiter has left, not with the first, and
// nobody joins one that was cancelled.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openMemory(t, &memory.Data{})
		var n atomic.Int64
		cancelled := make(chan struct{})
		finish := make(chan struct{})
		m := newMemo(t, st, func(ctx context.Context, arg string) (int64, error) {
			i := n.Add(1)
			if i > 1 {
				return i, nil
			}
			<-ctx.Done()
			close(cancelled)
			<-finish // it takes no notice
			return i, nil
		}, nil)
		first, cancelFirst := context.WithCancelCause(t.Context())
		second, cancelSecond := context.WithCancel(t.Context())
		cause := errors.New("bored")
		errs := make(chan error)
		for _, ctx := range []context.Context{first, second} {
			go func() {
				_, err := m.Call(ctx, "a")
				errs <- err
			}()
			synctest.Wait()
		}
		cancelFirst(cause)
		err := <-errs
		is(t, err, context.Canceled)
		is(t, err, cause)
		synctest.Wait()
		select {
		case <-cancelled:
			t.Error("the computation ended with its first caller")
		default:
		}
		cancelSecond()
		is(t, <-errs, context.Canceled)
		<-cancelled
		v, err := m.Call(t.Context(), "a")
		ok(t, err)
		equal(t, v, 2)
		close(finish)
		synctest.Wait()
		v, _, err = m.Peek(t.Context(), "a")
		ok(t, err)
		equal(t, v, 2)
	})
}

// What was forgotten while it was computed is given to those who waited, but
// neither stored nor joined, whoever forgot it.
func TestForget(t *testing.T) {
	for _, who := range []string{"same", "other"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var data memory.Data
				st, other := openMemory(t, &data), openMemory(t, &data)
				c := counted{takes: time.Second}
				m := newMemo(t, st, c.call, nil)
				forgetter := m
				if who == "other" {
					forgetter = newMemo(t, other, c.call, nil)
				}
				got := make(chan int64, 1)
				go func() {
					v, err := m.Call(t.Context(), "a")
					ok(t, err)
					got <- v
				}()
				synctest.Wait()
				_, err := forgetter.Forget(t.Context(), "a")
				ok(t, err)
				v, err := m.Call(t.Context(), "a")
				ok(t, err)
				equal(t, v, 2)
				equal(t, <-got, 1)
				synctest.Wait()
				calls(t, m, "a", 2, &c, 2)

				// Without another call, nothing is stored.
				go func() {
					v, err := m.Refresh(t.Context(), "a")
					ok(t, err)
					got <- v
				}()
				synctest.Wait()
				_, err = forgetter.Forget(t.Context(), "a")
				ok(t, err)
				equal(t, <-got, 3)
				_, found, err := m.Peek(t.Context(), "a")
				ok(t, err)
				equal(t, found, false)
			})
		})
	}
}

func TestPanic(t *testing.T) {
	sentinel := errors.New("oops")
	for name, fn := range map[string]func(){
		"panic":  func() { panic(sentinel) },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m *memo.Memo[string, int]
				release := make(chan struct{})
				m = newMemo(t, openMemory(t, &memory.Data{}), func(context.Context, string) (int, error) {
					<-release
					fn()
					return 1, nil
				}, nil)
				errs := make(chan error)
				for range 3 {
					go func() {
						_, err := m.Call(t.Context(), "a")
						errs <- err
					}()
				}
				synctest.Wait()
				close(release)
				for range 3 {
					err := <-errs
					var p *memo.PanicError
					if !errors.As(err, &p) {
						t.Fatalf("got %v", err)
					}
					if !strings.Contains(string(p.Stack), "TestPanic") {
						t.Errorf("stack %s", p.Stack)
					}
					is(t, err, map[string]error{"panic": sentinel, "goexit": memo.ErrGoexit}[name])
				}
			})
		})
	}
}

// leaving is a codec that may not return when it encodes.
type leaving struct {
	codec.Codec[string]
	do func()
}

func (c leaving) Encode(v string) (codec.Value, error) {
	if v != "" {
		c.do()
	}
	return c.Codec.Encode(v)
}

// A panic or a Goexit in other code of the user's is no result either, and ends
// nothing else.
func TestUserCodeLeaves(t *testing.T) {
	failed := errors.New("failed")
	for name, leave := range map[string]func(){"panic": func() { panic(failed) }, "goexit": runtime.Goexit} {
		left := false
		do := func() {
			if !left {
				left = true
				leave()
			}
		}
		for where, o := range map[string]*memo.Options[string, string]{
			"Encode":     {Values: leaving{codec.String[string](), do}},
			"Tag":        {Tag: func(string, string) cache.TagValue { do(); return cache.TagValue{} }},
			"CacheError": {CacheError: func(error) time.Duration { do(); return time.Minute }},
		} {
			m := newMemo(t, openDir(t, t.TempDir()), func(context.Context, string) (string, error) {
				if where == "CacheError" {
					return "", failed
				}
				return "v", nil
			}, o)
			left = false
			_, err := m.Call(t.Context(), "a")
			if p := new(memo.PanicError); !errors.As(err, &p) {
				t.Errorf("%s in %s: got %v", name, where, err)
			}
			switch v, err := m.Call(t.Context(), "a"); {
			case where == "CacheError":
				is(t, err, failed)
			case v != "v" || err != nil:
				t.Errorf("%s in %s: then %q, %v", name, where, v, err)
			}
		}
	}
}

// Nor does it end the process when it happens in the background, and the next
// call that is due tries again.
func TestUserCodeLeavesRefresh(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("user") }, "goexit": runtime.Goexit} {
		var armed atomic.Bool
		left := make(chan struct{}, 1)
		do := func() {
			if armed.CompareAndSwap(true, false) {
				left <- struct{}{}
				leave()
			}
		}
		var calls atomic.Int64
		m := newMemo(t, openDir(t, t.TempDir()), func(context.Context, string) (string, error) {
			calls.Add(1)
			return "v", nil
		}, &memo.Options[string, string]{Values: leaving{codec.String[string](), do}, TTL: time.Hour, RefreshAfter: 1})
		call := func() {
			t.Helper()
			if v, err := m.Call(t.Context(), "a"); v != "v" || err != nil {
				t.Fatalf("%s: %q, %v", name, v, err)
			}
		}
		call()
		armed.Store(true)
		call()
		<-left
		for calls.Load() < 3 {
			call()
			runtime.Gosched()
		}
	}
}

// A store that fails is an error, or the function is called anyway.
func TestStoreFails(t *testing.T) {
	var data memory.Data
	busy := openMemory(t, &data)
	st := cache.NewStore(data.Open(&memory.Options{Timeout: time.Millisecond}), nil)
	var c counted
	strict := newMemo(t, st, c.call, nil)
	lenient := newMemo(t, st, c.call, &memo.Options[string, int64]{CallOnStoreError: true})
	ok(t, busy.Update(t.Context(), func(*cache.Tx) error {
		_, err := strict.Call(t.Context(), "a")
		is(t, err, cache.ErrTimeout)
		equal(t, c.n.Load(), 0)
		calls(t, lenient, "a", 1, &c, 1)
		return nil
	}))
	calls(t, strict, "a", 2, &c, 2)
	ok(t, st.Close())
	for _, m := range []*memo.Memo[string, int64]{strict, lenient} {
		_, err := m.Call(t.Context(), "a")
		is(t, err, cache.ErrClosed)
		_, err = m.Refresh(t.Context(), "a")
		is(t, err, cache.ErrClosed)
		_, err = m.Forget(t.Context(), "a")
		is(t, err, cache.ErrClosed)
	}
}

// Close ends those who wait, although the function never returns.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := cache.NewStore((&memory.Data{}).Open(nil), nil)
		never := make(chan struct{})
		m := newMemo(t, st, func(context.Context, string) (int, error) {
			<-never
			return 1, nil
		}, nil)
		errs := make(chan error)
		for range 2 {
			go func() {
				_, err := m.Call(t.Context(), "a")
				errs <- err
			}()
		}
		synctest.Wait()
		ok(t, st.Close())
		for range 2 {
			is(t, <-errs, cache.ErrClosed)
		}
		close(never)
	})
}

func TestMisuse(t *testing.T) {
	st := openMemory(t, &memory.Data{})
	fn := func(context.Context, string) (int, error) { return 1, nil }
	for name, o := range map[string]*memo.Options[string, int]{
		"negative TTL":       {TTL: -1},
		"NaN":                {TTL: 1, Beta: math.NaN()},
		"beta without TTL":   {Beta: 1},
		"stale without TTL":  {StaleIfError: 1},
		"late refresh":       {TTL: 1, RefreshAfter: 1},
		"key and keys":       {Key: func(string) string { return "" }, Keys: codec.String[string]()},
		"limited persistent": {Persistent: true, SizeLimit: 1},
	} {
		if _, err := memo.New(t.Context(), st, "m", fn, o); !errors.Is(err, cache.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := memo.New[string, int](t.Context(), st, "m", nil, nil)
	is(t, err, cache.ErrInvalid)
	_, err = memo.New(t.Context(), nil, "m", fn, nil)
	is(t, err, cache.ErrInvalid)
	_, err = memo.New(t.Context(), st, "", fn, nil)
	is(t, err, cache.ErrInvalid)

	m := newMemo(t, st, fn, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Call(ctx, "a")
	is(t, err, context.Canceled)
	_, err = m.Refresh(ctx, "a")
	is(t, err, context.Canceled)
	ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
		_, call := m.Call(tx.Context(), "a")
		_, refresh := m.Refresh(tx.Context(), "a")
		_, _, peek := m.Peek(tx.Context(), "a")
		_, forget := m.Forget(tx.Context(), "a")
		for _, err := range []error{call, refresh, peek, forget} {
			is(t, err, cache.ErrInTx)
			if strings.Contains(err.Error(), "In;") {
				t.Errorf("a memo cannot be bound: %v", err)
			}
		}
		return nil
	}))
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func is(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %v", err, target)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}
