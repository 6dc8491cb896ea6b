package memo

import (
	"context"

	"github.com/go-diskcache/diskcache/cache"
)

// Bound is what a [Memo] remembers, in a transaction. What its methods remove goes
// with the transaction's commit, and is not removed if the transaction is rolled back.
// There is no Call: it would have to wait for a computation, and while a transaction
// runs, nothing else can be stored. Peek first, and Call outside.
type Bound[A, R any] struct {
	m    *Memo[A, R]
	kept *kept[A, R]
}

// In returns what m remembers, bound to a transaction: see [cache.Cache.In].
func (m *Memo[A, R]) In(tx *cache.Tx) *Bound[A, R] { return &Bound[A, R]{m, m.kept.in(tx)} }

// Peek is [Memo.Peek] as the transaction sees it.
func (b *Bound[A, R]) Peek(ctx context.Context, arg A) (R, bool, error) {
	return b.m.peek(ctx, b.kept, arg)
}

// Forget is [Memo.Forget] as a part of the transaction. A caller who comes after the
// commit and finds a computation that began before it waits until that has ended.
func (b *Bound[A, R]) Forget(ctx context.Context, arg A) (ok bool, err error) {
	id, err := b.m.id(arg)
	if err == nil {
		err = b.kept.removals.add(ctx, hashID(id))
	}
	if err == nil {
		ok, err = b.kept.delete(ctx, arg)
	}
	return ok, b.m.fail("Forget", err)
}

// Evict is [Memo.Evict] as a part of the transaction.
func (b *Bound[A, R]) Evict(ctx context.Context, tag cache.TagValue) (int, error) {
	n, err := b.m.evict(ctx, b.kept, tag)
	return n, b.m.fail("Evict", err)
}

// Clear is [Memo.Clear] as a part of the transaction.
func (b *Bound[A, R]) Clear(ctx context.Context) (int, error) {
	n, err := b.kept.clear(ctx)
	return n, b.m.fail("Clear", err)
}
