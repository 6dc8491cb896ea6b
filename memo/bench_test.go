package memo_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/memo"
)

// BenchmarkHit is a call whose result is remembered, beside the Get of a
// cache.
func BenchmarkHit(b *testing.B) {
	st := openDir(b, b.TempDir())
	c, err := cache.New[string, string](b.Context(), st, "c", nil)
	ok(b, err)
	ok(b, c.Set(b.Context(), "a", "b"))
	m, err := memo.New(b.Context(), st, "m", func(context.Context, string) (string, error) { return "b", nil },
		&memo.Options[string, string]{TTL: time.Hour, Beta: 1})
	ok(b, err)
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, err := c.Get(b.Context(), "a")
			ok(b, err)
		}
	})
	b.Run("Call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := m.Call(b.Context(), "a")
			ok(b, err)
		}
	})
}

// BenchmarkMiss is a call that has to compute.
func BenchmarkMiss(b *testing.B) {
	m, err := memo.New(b.Context(), openDir(b, b.TempDir()), "m", func(_ context.Context, n int) (int, error) { return n, nil }, nil)
	ok(b, err)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, err := m.Call(b.Context(), i)
		ok(b, err)
	}
}
