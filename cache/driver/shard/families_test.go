package shard_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/shard"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/memo"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// Queues, locks and memos work in a store that New has made, also in a transaction with
// entries of all shards.
func TestFamilies(t *testing.T) {
	ctx := t.Context()
	engine, err := shard.New(ctx, memory.New(nil), memory.New(nil), memory.New(nil))
	ok(t, err)
	st := cache.NewStore(engine, nil)
	defer func() { ok(t, st.Close()) }()
	pages, err := cache.New[int, string](ctx, st, "", nil)
	ok(t, err)
	jobs, err := deque.New[int](ctx, st, "jobs", nil)
	ok(t, err)
	lock, err := dsync.NewLock(ctx, st, "l", nil)
	ok(t, err)
	calls := 0
	twice, err := memo.New(ctx, st, "twice", func(_ context.Context, n int) (int, error) { calls++; return 2 * n, nil }, nil)
	ok(t, err)
	for range 2 {
		n, err := twice.Call(ctx, 4)
		ok(t, err)
		if n != 8 || calls != 1 {
			t.Errorf("%d after %d calls", n, calls)
		}
	}

	g, err := lock.Lock(ctx)
	ok(t, err)
	ok(t, jobs.PushBack(ctx, 7))
	claim, found, err := jobs.Claim(ctx, deque.UntilClosed)
	ok(t, err)
	if !found {
		t.Fatal("the queue is empty")
	}
	failure := errors.New("not this time")
	for _, want := range []error{failure, nil} {
		err := st.Update(ctx, func(tx *cache.Tx) error {
			if err := g.Check(tx); err != nil {
				return err
			}
			for i := range 20 {
				if err := pages.In(tx).Set(ctx, i, "done"); err != nil {
					return err
				}
			}
			if err := claim.In(tx).Ack(ctx); err != nil {
				return err
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Fatal(err)
		}
		n, err := pages.Len(ctx)
		ok(t, err)
		if n != 0 && want != nil || n != 20 && want == nil {
			t.Errorf("%d entries after %v", n, want)
		}
	}
	if _, free, err := lock.TryLock(ctx); free || err != nil {
		t.Errorf("the lock has two holders, %v", err)
	}
	ok(t, g.Unlock())
	if err := claim.Ack(ctx); !errors.Is(err, deque.ErrLost) {
		t.Errorf("a second Ack: %v", err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
