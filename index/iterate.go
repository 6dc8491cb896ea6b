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

// Sorted returns all entries in the order of their keys, to be narrowed and
// iterated over:
//
//	for e, err := range x.Sorted().From("a").Before("c").All(ctx) {
//	for e, err := range x.Sorted().Prefix("user/").Limit(10).All(ctx) {
//	for k, err := range x.Sorted().Desc().Keys(ctx) {
//
// See [cache.Cache.Sorted] for the order.
func (x *Index[K, V]) Sorted() cache.Range[K, V] { return x.c.Sorted() }
