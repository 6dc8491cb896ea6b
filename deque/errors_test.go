package deque_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
)

// A user reads the name of what was called, once, whatever it consists of.
func TestErrorsNameTheOperation(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		d := open(t, e.st, "n", 1)
		c := claim(t, d, longest)
		ok(t, e.st.Close())
		for op, err := range map[string]error{
			"PushBack":      d.PushBack(ctx, 1, deque.Delay(1)),
			"PushFrontMany": d.PushFrontMany(ctx, slices.Values([]int{1})),
			"PopBack":       second2(d.PopBack(ctx)),
			"PopFrontN":     second(d.PopFrontN(ctx, 1)),
			"PopFrontWait":  second(d.PopFrontWait(ctx)),
			"PeekFront":     second2(d.PeekFront(ctx)),
			"Claim":         second2(d.Claim(ctx, longest)),
			"Ack":           c.Ack(ctx),
			"Nack":          c.Nack(ctx, 0),
			"Extend":        c.Extend(ctx, longest),
			"At":            second(d.At(ctx, 0)),
			"RemoveAt":      d.RemoveAt(ctx, 0),
			"Len":           second(d.Len(ctx)),
			"Clear":         second(d.Clear(ctx)),
			"Rotate":        d.Rotate(ctx, 1),
			"Remove":        second(d.Remove(ctx, 1)),
			"Backward":      second(cache.Collect(d.Backward(ctx))),
			"SetMaxLen":     d.SetMaxLen(ctx, 1),
			"Stats":         second(d.Stats(ctx)),
			"Update":        d.Update(ctx, func(*cache.Tx) error { return nil }),
			"View":          d.View(ctx, func(*cache.Tx) error { return nil }),
			"New":           second(deque.New[int](ctx, e.st, "n", nil)),
			"Drop":          deque.Drop(ctx, e.st, "n"),
		} {
			is(t, err, cache.ErrClosed)
			if got, direct := err.(*cache.Error); !direct || got.Op != op || got.Collection != "deque/n" || strings.Count(err.Error(), "cache: ") != 1 {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
	err := second(deque.Open[int](t.Context(), "", nil))
	if got, direct := err.(*cache.Error); !direct || got.Op != "Open" {
		t.Errorf("Open: %v", err)
	}
}
