package memo_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

// batches is a function of many arguments, which notes what it is asked for.
type batches struct {
	mu    sync.Mutex
	asked []string
	ended int // calls that were told to end
	takes time.Duration
	fail  error
}

func (b *batches) call(ctx context.Context, args []string) ([]string, error) {
	b.mu.Lock()
	b.asked = append(b.asked, strings.Join(args, " "))
	fail := b.fail
	b.mu.Unlock()
	select {
	case <-time.After(b.takes):
	case <-ctx.Done():
		b.mu.Lock()
		b.ended++
		b.mu.Unlock()
		return nil, ctx.Err()
	}
	if fail != nil {
		return nil, fail
	}
	var out []string
	for _, a := range args {
		if a == "large" {
			a = strings.Repeat(a, 1000)
		}
		out = append(out, strings.ToUpper(a))
	}
	return out, nil
}

func (b *batches) one(ctx context.Context, arg string) (string, error) {
	vs, err := b.call(ctx, []string{arg})
	if err != nil {
		return "", err
	}
	return vs[0], nil
}

// want checks what was asked for, in any order, and forgets it.
func (b *batches) want(t *testing.T, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.asked)
	equal(t, strings.Join(b.asked, ", "), strings.Join(want, ", "))
	b.asked = nil
}

func (b *batches) failWith(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

func newMany(t *testing.T, st *cache.Store, b *batches, o *memo.Options[string, string]) *memo.Memo[string, string] {
	t.Helper()
	if o == nil {
		o = &memo.Options[string, string]{}
	}
	o.Batch = b.call
	return newMemo(t, st, b.one, o)
}

func callMany(t *testing.T, m *memo.Memo[string, string], args string) {
	t.Helper()
	vs, err := m.CallMany(t.Context(), strings.Fields(args)...)
	ok(t, err)
	equal(t, strings.Join(vs, " "), strings.ToUpper(args))
}

func TestCallMany(t *testing.T) {
	for name, st := range map[string]*cache.Store{"memory": openMemory(t, &memory.Data{}), "dir": openDir(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			var b batches
			m := newMany(t, st, &b, &memo.Options[string, string]{
				TTL: time.Hour, Beta: 1, Tag: func(arg, _ string) cache.TagValue { return cache.Tag(arg[:1]) },
				CacheError: func(error) time.Duration { return time.Hour },
			})
			callMany(t, m, "")
			b.want(t)
			callMany(t, m, "b1 a1 b1 a2")
			b.want(t, "b1 a1 a2")
			callMany(t, m, "a3 a1 c1 b1")
			b.want(t, "a3 c1")
			callMany(t, m, "a1 a1 c1")
			v, err := m.Call(t.Context(), "a3")
			ok(t, err)
			equal(t, v, "A3")
			b.want(t)
			s, err := m.Stats(t.Context())
			ok(t, err)
			equal(t, fmt.Sprint(s.Hits, s.Misses, s.Computed, s.Results), "5 5 5 5")

			n, err := m.Evict(t.Context(), cache.Tag("a"))
			ok(t, err)
			equal(t, n, 3)
			callMany(t, m, "c1 a1")
			b.want(t, "a1")

			down := errors.New("down")
			b.failWith(down)
			vs, err := m.CallMany(t.Context(), "a1", "x", "y")
			is(t, err, down)
			equal(t, len(vs), 0)
			b.want(t, "x y")
			b.failWith(nil)
			_, err = m.CallMany(t.Context(), "z", "x")
			var kept *memo.StoredError
			if !errors.As(err, &kept) || kept.Message != "down" {
				t.Error("the error is not kept: ", err)
			}
			b.want(t, "z")
			callMany(t, m, "z")
			b.want(t)
		})
	}
}

// However many calls ask for an argument at once, in two processes, it is computed
// once, by a batch or by the function.
func TestCallManyTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		b := batches{takes: time.Second}
		m, theirs := newMany(t, openMemory(t, &data), &b, nil), newMany(t, openMemory(t, &data), &b, nil)
		var calls sync.WaitGroup
		for _, m := range []*memo.Memo[string, string]{m, theirs} {
			calls.Go(func() {
				v, err := m.Call(t.Context(), "c")
				ok(t, err)
				equal(t, v, "C")
			})
			synctest.Wait()
			for _, args := range []string{"a b c", "b c d", "d a"} {
				calls.Go(func() { callMany(t, m, args) })
				synctest.Wait()
			}
			calls.Go(func() {
				v, err := m.Call(t.Context(), "d")
				ok(t, err)
				equal(t, v, "D")
			})
			synctest.Wait()
		}
		began := time.Now()
		calls.Wait()
		equal(t, time.Since(began), time.Second)
		b.want(t, "a b", "c", "d")
	})
}

// Old results are returned where the batch fails, as those of Call are.
func TestCallManyStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b batches
		m := newMany(t, openMemory(t, &memory.Data{}), &b, &memo.Options[string, string]{TTL: time.Minute, StaleIfError: time.Hour})
		callMany(t, m, "a b")
		time.Sleep(2 * time.Minute)
		b.failWith(errors.New("down"))
		callMany(t, m, "b a")
		b.want(t, "a b", "b a")
	})
}

// What another process stores after it was looked for is not computed again.
func TestCallManyLate(t *testing.T) {
	var data memory.Data
	var b batches
	theirs := newMany(t, openMemory(t, &data), &b, nil)
	var once sync.Once
	st := cache.NewStore(data.Open(nil), &cache.StoreOptions{Observe: func(_ context.Context, o cache.Observation) {
		if o.Kind == cache.ViewOperation && o.Collection == "" {
			once.Do(func() {
				b.want(t)
				callMany(t, theirs, "a b")
			})
		}
	}})
	t.Cleanup(func() { ok(t, st.Close()) })
	callMany(t, newMany(t, st, &b, nil), "c b a")
	b.want(t, "a b", "c")
}

// A result that cannot be stored keeps no other from being stored.
func TestCallManyUnstorable(t *testing.T) {
	for _, lenient := range []bool{false, true} {
		t.Run(fmt.Sprint("CallOnStoreError=", lenient), func(t *testing.T) {
			var data memory.Data
			st := cache.NewStore(data.Open(nil), &cache.StoreOptions{MaxValueSize: 4000})
			t.Cleanup(func() { ok(t, st.Close()) })
			var b batches
			m := newMany(t, st, &b, &memo.Options[string, string]{
				CallOnStoreError: lenient,
				Tag: func(arg, _ string) cache.TagValue {
					if arg == "untaggable" {
						return cache.Tag(uint64(math.MaxUint64))
					}
					return cache.Tag(arg[:1])
				},
			})
			vs, err := m.CallMany(t.Context(), "a", "large", "b")
			if lenient {
				ok(t, err)
				equal(t, fmt.Sprint(len(vs[0]), len(vs[1]), len(vs[2])), "1 5000 1")
			} else {
				is(t, err, cache.ErrTooLarge)
			}
			b.want(t, "a large b")
			callMany(t, m, "a b")
			b.want(t)
			_, err = m.CallMany(t.Context(), "c", "untaggable", "d")
			is(t, err, cache.ErrInvalid)
			b.want(t, "c untaggable d")
			callMany(t, m, "d c")
			b.want(t)
		})
	}
}

// When the store fails, CallMany finds that out once, and not for each argument, and
// one request still gets all that is missing, if Options.CallOnStoreError says so.
func TestCallManyStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = time.Minute
		var data memory.Data
		st, other := cache.NewStore(data.Open(&memory.Options{Timeout: timeout}), nil), openMemory(t, &data)
		t.Cleanup(func() { ok(t, st.Close()) })
		var b batches
		strict := newMany(t, st, &b, nil)
		lenient := newMany(t, st, &b, &memo.Options[string, string]{CallOnStoreError: true})
		callMany(t, lenient, "a")
		b.want(t, "a")
		ok(t, other.Update(t.Context(), func(*cache.Tx) error {
			began := time.Now()
			_, err := strict.CallMany(t.Context(), "a", "b", "c", "d")
			is(t, err, cache.ErrTimeout)
			b.want(t)
			callMany(t, lenient, "a b c d")
			b.want(t, "b c d")
			if took := time.Since(began); took > 3*timeout {
				t.Error("it took ", took)
			}
			return nil
		}))
		callMany(t, lenient, "b c")
		b.want(t, "b c") // nothing was stored
	})
}

// A batch holds no lock while it waits for another: the function that computes one of
// its arguments may need another one.
func TestCallManyNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		b := batches{takes: time.Second}
		var theirs *memo.Memo[string, string]
		outer := func(ctx context.Context, arg string) (string, error) {
			time.Sleep(time.Second / 2) // the batch of the other process has begun
			_, err := theirs.Call(ctx, "b")
			return strings.ToUpper(arg), err
		}
		m := newMany(t, openMemory(t, &data), &b, nil)
		theirs = newMemo(t, openMemory(t, &data), outer, nil)
		var calls sync.WaitGroup
		calls.Go(func() {
			_, err := theirs.Call(t.Context(), "a")
			ok(t, err)
		})
		synctest.Wait()
		calls.Go(func() { callMany(t, m, "b a") })
		calls.Wait()
		b.want(t, "b")
	})
}

// When nobody waits for any argument of a batch any more, it is told to end; a result
// that was forgotten meanwhile is not stored, and the others are.
func TestCallManyLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batches{takes: time.Second}
		m := newMany(t, openMemory(t, &memory.Data{}), &b, nil)
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 1)
		call := func(args ...string) {
			go func() {
				_, err := m.CallMany(ctx, args...)
				errs <- err
			}()
			synctest.Wait()
		}
		call("a", "b")
		cancel()
		is(t, <-errs, context.Canceled)
		synctest.Wait() // the locks are released
		equal(t, b.ended, 1)
		b.want(t, "a b")
		callMany(t, m, "a b") // at once, and not after what was told to end
		b.want(t, "a b")

		ctx, cancel = context.WithCancel(t.Context())
		call("c", "d")
		stays := make(chan string)
		go func() {
			v, err := m.Call(t.Context(), "d")
			ok(t, err)
			stays <- v
		}()
		synctest.Wait()
		cancel()
		is(t, <-errs, context.Canceled)
		equal(t, <-stays, "D")
		equal(t, b.ended, 1)
		b.want(t, "c d")
		callMany(t, m, "d")
		b.want(t)

		ctx = t.Context()
		call("e", "f", "g")
		_, err := m.Forget(ctx, "f")
		ok(t, err)
		ok(t, <-errs)
		b.want(t, "e f g")
		callMany(t, m, "e f g")
		b.want(t, "f")
	})
}

func TestCallManyMisuse(t *testing.T) {
	st := cache.NewStore((&memory.Data{}).Open(nil), nil)
	var b batches
	plain, err := memo.New(t.Context(), st, "plain", b.one, nil)
	ok(t, err)
	_, err = plain.CallMany(t.Context(), "a")
	is(t, err, cache.ErrInvalid)

	var m *memo.Memo[string, string]
	behave := func(ctx context.Context, args []string) ([]string, error) { return nil, nil }
	m = newMemo(t, st, b.one, &memo.Options[string, string]{Batch: func(ctx context.Context, args []string) ([]string, error) { return behave(ctx, args) }})
	_, err = m.CallMany(t.Context(), "a", "b")
	is(t, err, cache.ErrInvalid)
	behave = func(context.Context, []string) ([]string, error) { panic("oops") }
	_, err = m.CallMany(t.Context(), "a", "b")
	var p *memo.PanicError
	if !errors.As(err, &p) {
		t.Error("a panic is ", err)
	}
	behave = func(ctx context.Context, _ []string) ([]string, error) { return m.CallMany(ctx, "c", "b") }
	_, err = m.CallMany(t.Context(), "a", "b")
	is(t, err, memo.ErrRecursive)
	ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
		_, err := m.CallMany(tx.Context(), "a")
		is(t, err, cache.ErrInTx)
		return nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.CallMany(ctx, "a")
	is(t, err, context.Canceled)
	ok(t, st.Close())
	_, err = m.CallMany(t.Context(), "a")
	is(t, err, cache.ErrClosed)
}
