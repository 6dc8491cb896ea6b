package adapter

import (
	"context"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// HTTPRate counts requests for github.com/go-chi/httprate, in all processes together: it
// is its LimitCounter, for the option WithLimitCounter. Each limit needs a collection of
// its own, or a prefix in the keys: two that count under the same key count as one.
type HTTPRate struct {
	c      *cache.Cache[string, int64]
	window atomic.Int64 // nanoseconds
}

// NewHTTPRate returns a counter in c, whose entries are the counts of one key and window.
// Each is removed when the window after it has ended.
func NewHTTPRate(c *cache.Cache[string, int64]) *HTTPRate { return &HTTPRate{c: c} }

// Config is told of the limit before requests are counted.
func (h *HTTPRate) Config(_ int, window time.Duration) { h.window.Store(int64(window)) }

// Increment counts a request.
func (h *HTTPRate) Increment(key string, window time.Time) error {
	return h.IncrementBy(key, window, 1)
}

// IncrementBy counts so many requests, in the window that begins at that time. None of
// several callers at once, in any processes, is lost.
func (h *HTTPRate) IncrementBy(key string, window time.Time, amount int) error {
	ends := window.Add(2 * time.Duration(h.window.Load())) // of the window after it, too
	_, err := cache.Incr(context.Background(), h.c, countKey(key, window), int64(amount), cache.ExpireAt(ends))
	return err
}

// Get returns the counts of two windows, as of one moment.
func (h *HTTPRate) Get(key string, current, previous time.Time) (currentCount, previousCount int, err error) {
	now, before := countKey(key, current), countKey(key, previous)
	entries, err := h.c.GetMany(context.Background(), now, before)
	for _, e := range entries {
		n := int(min(e.Value, math.MaxInt))
		if e.Key == now {
			currentCount = n
		} else {
			previousCount = n
		}
	}
	return currentCount, previousCount, err
}

func countKey(key string, window time.Time) string {
	return strconv.FormatInt(window.UnixNano(), 10) + " " + key
}
