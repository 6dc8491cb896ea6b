package memo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

var errRollback = errors.New("rollback")

// What is removed in a transaction goes with its commit, and stays without.
func TestBound(t *testing.T) {
	st := openMemory(t, &memory.Data{})
	var c counted
	m := newMemo(t, st, c.call, &memo.Options[string, int64]{Tag: byArg, CacheError: func(error) time.Duration { return time.Hour }, TTL: time.Hour, Beta: 1e-9})
	fill := func() {
		c.failWith(nil)
		for _, arg := range []string{"a", "b"} {
			_, err := m.Call(t.Context(), arg)
			ok(t, err)
		}
		c.failWith(errRollback)
		_, _ = m.Call(t.Context(), "e")
		c.failWith(nil)
	}
	type bound = memo.Bound[string, int64]
	for _, test := range []struct {
		name   string
		remove func(b *bound, ctx context.Context) (int, error)
		a, b   bool // remembered after it
		errors int64
	}{
		{"Forget", func(b *bound, ctx context.Context) (int, error) {
			was, err := b.Forget(ctx, "a")
			equal(t, was, true)
			again, err2 := b.Forget(ctx, "a")
			equal(t, again, false)
			_, err3 := b.Forget(ctx, "e")
			return 1, errors.Join(err, err2, err3)
		}, false, true, 0},
		{"Evict", func(b *bound, ctx context.Context) (int, error) { return b.Evict(ctx, cache.Tag("a")) }, false, true, 1},
		{"Clear", func(b *bound, ctx context.Context) (int, error) { return b.Clear(ctx) }, false, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := 1
			if !test.b {
				want = 2
			}
			for _, commit := range []bool{false, true} {
				fill()
				err := st.Update(t.Context(), func(tx *cache.Tx) error {
					b := m.In(tx)
					_, found, err := b.Peek(tx.Context(), "a")
					ok(t, err)
					equal(t, found, true)
					n, err := test.remove(b, t.Context())
					ok(t, err)
					equal(t, n, want)
					for arg, remembered := range map[string]bool{"a": test.a, "b": test.b} {
						_, found, err := b.Peek(t.Context(), arg)
						ok(t, err)
						equal(t, found, remembered)
					}
					if !commit {
						return errRollback
					}
					return nil
				})
				if !commit {
					is(t, err, errRollback)
				} else {
					ok(t, err)
				}
				peek(t, m, "a", test.a || !commit)
				peek(t, m, "b", test.b || !commit)
				s, err := m.Stats(t.Context())
				ok(t, err)
				if commit {
					equal(t, s.Errors, test.errors)
				} else {
					equal(t, s.Errors, 1)
				}
			}
		})
	}
}

// What is computed while a transaction forgets its argument is not stored, once that
// is committed.
func TestBoundForgetRunning(t *testing.T) {
	for _, commit := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var data memory.Data
			st, other := openMemory(t, &data), openMemory(t, &data)
			c := counted{takes: time.Second}
			m, remover := newMemo(t, st, c.call, nil), newMemo(t, other, c.call, nil)
			got := make(chan int64, 3)
			for _, arg := range []string{"a", "b"} {
				go func() {
					v, err := m.Call(t.Context(), arg)
					ok(t, err)
					got <- v
				}()
				synctest.Wait()
			}
			err := other.Update(t.Context(), func(tx *cache.Tx) error {
				_, err := remover.In(tx).Forget(t.Context(), "a")
				ok(t, err)
				if !commit {
					return errRollback
				}
				return nil
			})
			equal(t, err == nil, commit)
			began := time.Now()
			v, err := m.Call(t.Context(), "a") // waits for the first, and computes
			ok(t, err)
			equal(t, <-got+<-got, 3)
			if commit {
				equal(t, v, 3)
				equal(t, time.Since(began), 2*time.Second)
			} else {
				equal(t, v, 1)
				equal(t, time.Since(began), time.Second)
			}
			peek(t, m, "a", true)
			peek(t, m, "b", true)
		})
	}
}

func TestBoundMisuse(t *testing.T) {
	st := openMemory(t, &memory.Data{})
	var c counted
	m := newMemo(t, st, c.call, nil)
	all := func(ctx context.Context, b *memo.Bound[string, int64]) (peek, forget, clear error) {
		_, _, peek = b.Peek(ctx, "a")
		_, forget = b.Forget(ctx, "a")
		_, clear = b.Clear(ctx)
		return peek, forget, clear
	}
	peek, forget, clear := all(t.Context(), m.In(nil))
	is(t, peek, cache.ErrTxDone)
	is(t, forget, cache.ErrTxDone)
	is(t, clear, cache.ErrTxDone)
	ok(t, st.View(t.Context(), func(tx *cache.Tx) error {
		peek, forget, clear := all(t.Context(), m.In(tx))
		ok(t, peek)
		is(t, forget, cache.ErrReadOnly)
		is(t, clear, cache.ErrReadOnly)
		return nil
	}))
	ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
		_, err := m.In(tx).Evict(t.Context(), cache.Tag("a"))
		is(t, err, cache.ErrInvalid) // without Options.Tag
		return nil
	}))
}
