package index

import (
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache"
)

// All iterates over all entries in insertion order.
//
// Like every iterator of package cache it yields (entry, nil) until the end,
// or an error once, and ends then. No transaction, lock or connection is held
// while the loop's body runs, so it may do anything, also write to the index.
// What is there throughout is yielded exactly once; what is added, changed or
// removed meanwhile may be seen or not. An index bound to a View's transaction
// is iterated over as it was when that began.
func (x *Index[K, V]) All(ctx context.Context) iter.Seq2[cache.Entry[K, V], error] {
	return x.c.All(ctx)
}

// Backward is All from the last entry to the first.
func (x *Index[K, V]) Backward(ctx context.Context) iter.Seq2[cache.Entry[K, V], error] {
	return x.c.Backward(ctx)
}

// Keys iterates over all keys in insertion order, without reading values. See
// All.
func (x *Index[K, V]) Keys(ctx context.Context) iter.Seq2[K, error] { return x.c.Keys(ctx) }

// Values iterates over all values in insertion order. See All.
func (x *Index[K, V]) Values(ctx context.Context) iter.Seq2[V, error] { return x.c.Values(ctx) }

// Ascend iterates over entries in the order of their keys, all or those of a
// range:
//
//	for e, err := range x.Ascend(ctx, cache.From("a"), cache.Before("c")) {
//	for e, err := range x.Ascend(ctx, cache.Prefix("user/"), cache.Limit[string](10)) {
//
// See [cache.Cache.Ascend] for the order, and All.
func (x *Index[K, V]) Ascend(ctx context.Context, ranges ...cache.Range[K]) iter.Seq2[cache.Entry[K, V], error] {
	return x.c.Ascend(ctx, ranges...)
}

// Descend is Ascend from the last key to the first.
func (x *Index[K, V]) Descend(ctx context.Context, ranges ...cache.Range[K]) iter.Seq2[cache.Entry[K, V], error] {
	return x.c.Descend(ctx, ranges...)
}

// AscendKeys is Ascend without reading values.
func (x *Index[K, V]) AscendKeys(ctx context.Context, ranges ...cache.Range[K]) iter.Seq2[K, error] {
	return x.c.AscendKeys(ctx, ranges...)
}

// DescendKeys is Descend without reading values.
func (x *Index[K, V]) DescendKeys(ctx context.Context, ranges ...cache.Range[K]) iter.Seq2[K, error] {
	return x.c.DescendKeys(ctx, ranges...)
}
