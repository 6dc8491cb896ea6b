package deque_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
)

func TestLook(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	st, err := cache.OpenStore(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, name := range []string{"", "jobs"} {
		if name != "" {
			if _, err := deque.Look(ctx, st, name); !errors.Is(err, cache.ErrNotFound) {
				t.Fatalf("a deque that does not exist: %v", err)
			}
			if err := deque.Requeue(ctx, st, name, 1); !errors.Is(err, cache.ErrNotFound) {
				t.Fatalf("a deque that does not exist: %v", err)
			}
		}
		d, err := deque.New[string](ctx, st, name, &deque.Options[string]{MaxLen: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []string{"a", "b", "c"} {
			if err := d.PushBack(ctx, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.PushBack(ctx, "later", deque.Delay(time.Hour)); err != nil {
			t.Fatal(err)
		}
		c, _, err := d.Claim(ctx, deque.UntilClosed)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Claim(ctx, time.Hour); err != nil {
			t.Fatal(err)
		}
		s, err := deque.Look(ctx, st, name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Ready != 1 || s.Claimed != 2 || s.Delayed != 1 || s.MaxLen != 10 || len(s.Claims) != 2 {
			t.Fatalf("%+v", s)
		}
		if s.Claims[0].Until.IsZero() || !s.Claims[1].Until.IsZero() || !s.Claims[0].Alive || s.Claims[1].Attempt != 1 {
			t.Errorf("%+v", s.Claims)
		}
		other, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := deque.Look(ctx, other, name); err != nil || !slices.Equal(again.Claims, s.Claims) {
			t.Errorf("read-only: %+v, %v", again, err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}

		if err := deque.Requeue(ctx, st, name, s.Claims[1].ID); err != nil {
			t.Fatal(err)
		}
		if err := c.Ack(ctx); !errors.Is(err, deque.ErrLost) {
			t.Errorf("Ack of a requeued claim: %v", err)
		}
		if err := deque.Requeue(ctx, st, name, s.Claims[1].ID); !errors.Is(err, deque.ErrLost) {
			t.Errorf("Requeue of a claim that is over: %v", err)
		}
		if v, _, err := d.PeekFront(ctx); v != "a" || err != nil {
			t.Errorf("front is %q, %v", v, err)
		}
	}
}
