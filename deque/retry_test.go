package deque_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
)

func openRetry[T any](t *testing.T, st *cache.Store, name string, p deque.RetryPolicy, items ...T) *deque.Deque[T] {
	t.Helper()
	d, err := deque.New(t.Context(), st, name, &deque.Options[T]{Retry: &p})
	ok(t, err)
	t.Cleanup(func() { ok(t, d.Close()) })
	for _, v := range items {
		ok(t, d.PushBack(t.Context(), v))
	}
	return d
}

// Work that fails is tried again, later each time, and at last its item is dead. What is
// mended is requeued.
func TestRetry(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		d := openRetry(t, e.st, "jobs", deque.RetryPolicy{MaxAttempts: 4, Backoff: time.Second, MaxBackoff: 3 * time.Second}, "a", "b")
		for i, wait := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
			c := claim(t, d, time.Minute)
			equal(t, c.Value, "a")
			equal(t, c.Attempt, int64(i+1))
			ok(t, c.Fail(ctx))
			is(t, c.Fail(ctx), deque.ErrLost)
			e.clock.Advance(wait - 1)
			holds(t, d, "b")
			e.clock.Advance(1)
			holds(t, d, "a", "b")
		}
		c := claim(t, d, time.Minute)
		ok(t, c.Fail(ctx))
		is(t, c.Fail(ctx), deque.ErrLost)
		is(t, c.Ack(ctx), deque.ErrLost)
		holds(t, d, "b")
		holds(t, d.Dead(), "a")
		equal(t, d.Dead().Name(), "deque/jobs.dead")
		e.clock.Advance(time.Hour)
		holds(t, d, "b")

		ok(t, d.Dead().PushBack(ctx, "c"))
		n, err := d.Requeue(ctx, 1)
		ok(t, err)
		equal(t, n, 1)
		holds(t, d, "b", "a")
		holds(t, d.Dead(), "c")
		n, err = d.Requeue(ctx, 9)
		ok(t, err)
		equal(t, n, 1)
		n, err = d.Requeue(ctx, 9)
		ok(t, err)
		equal(t, n, 0)
		pops(t, d, "b")
		equal(t, claim(t, d, time.Minute).Attempt, 1) // as if it were new
	})
}

// An item whose claims only ever end, since its workers die, is dead too.
func TestRetryLeases(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d := openRetry(t, e.st, "", deque.RetryPolicy{MaxAttempts: 2, Dead: "morgue"}, "a", "b", "c")
		for range 2 {
			equal(t, claim(t, d, time.Second).Value, "a")
			equal(t, claim(t, d, time.Second).Value, "b")
			e.clock.Advance(time.Second)
		}
		equal(t, claim(t, d, time.Second).Value, "c")
		holds(t, d)
		holds(t, d.Dead(), "a", "b")
		holds(t, open[string](t, e.st, "morgue"), "a", "b")
		_, found, err := d.Claim(t.Context(), time.Second)
		ok(t, err)
		equal(t, found, false)
	})
}

// To fail and to requeue are parts of a transaction, or happen not at all.
func TestRetryTransaction(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		d := openRetry(t, e.st, "jobs", deque.RetryPolicy{MaxAttempts: 1}, "a")
		failures, err := index.New[string, int](ctx, e.st, "failures", nil)
		ok(t, err)
		c := claim(t, d, time.Minute)
		undo := errors.New("undo")
		fail := func(result error) error {
			return e.st.Update(ctx, func(tx *cache.Tx) error {
				ok(t, failures.In(tx).Set(ctx, c.Value, 1))
				ok(t, c.In(tx).Fail(ctx))
				holds(t, d.In(tx).Dead(), "a")
				return result
			})
		}
		is(t, fail(undo), undo)
		holds(t, d.Dead())
		ok(t, fail(nil))
		holds(t, d.Dead(), "a")
		is(t, e.st.Update(ctx, func(tx *cache.Tx) error {
			_, err := d.In(tx).Requeue(ctx, 1)
			ok(t, err)
			return undo
		}), undo)
		holds(t, d.Dead(), "a")
		holds(t, d)
	})
}

// What is dead keeps its expiry and its secrets, and there is no more of it than there is
// room for.
func TestRetryKeeps(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		sealed, err := codec.Seal(codec.String[string](), []byte(strings.Repeat("key ", 8)))
		ok(t, err)
		d, err := deque.New(ctx, e.st, "jobs", &deque.Options[string]{Values: sealed, MaxLen: 2, Retry: &deque.RetryPolicy{MaxAttempts: 1}})
		ok(t, err)
		defer d.Close()
		ok(t, d.PushBack(ctx, "a", cache.TTL(time.Hour)))
		ok(t, claim(t, d, time.Minute).Fail(ctx))
		for _, v := range []string{"b", "c"} {
			ok(t, d.PushBack(ctx, v))
			ok(t, claim(t, d, time.Minute).Fail(ctx))
		}
		holds(t, d.Dead(), "a", "b", "c")
		n, err := d.Requeue(ctx, 9)
		ok(t, err)
		equal(t, n, 2)
		holds(t, d, "a", "b")
		holds(t, d.Dead(), "c")
		e.clock.Advance(time.Hour)
		holds(t, d, "b")
	})
}

// Requeue drops nothing, also where items become due that take the same room.
func TestRequeueRoom(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		const maxLen, due = 1050, 1100 // a transaction brings back 1000 of them
		d, err := deque.New(ctx, e.st, "jobs", &deque.Options[string]{MaxLen: maxLen, Retry: &deque.RetryPolicy{MaxAttempts: 1}})
		ok(t, err)
		defer d.Close()
		ok(t, d.PushBack(ctx, "dead", cache.TTL(time.Hour)))
		ok(t, claim(t, d, time.Minute).Fail(ctx))
		ok(t, d.PushBack(ctx, "ready"))
		ok(t, d.PushBackMany(ctx, slices.Values(make([]string, due)), deque.Delay(time.Second)))
		e.clock.Advance(time.Minute)
		n, err := d.Requeue(ctx, 9)
		ok(t, err)
		equal(t, n, 1)
		ready, err := deque.Look(ctx, e.st, "jobs")
		ok(t, err)
		equal(t, ready.Ready+ready.Delayed, due+2)
	})
}

// An item whose value is lost holds up no other, whether it dies or is dead already.
func TestRetryLost(t *testing.T) {
	ctx := t.Context()
	st := must(cache.OpenStore(ctx, t.TempDir(), nil))(t)
	defer func() { ok(t, st.Close()) }()
	d, err := deque.New(ctx, st, "jobs", &deque.Options[string]{Retry: &deque.RetryPolicy{MaxAttempts: 1}})
	ok(t, err)
	for _, v := range []string{"lost1" + inFile, "a", "lost2" + inFile, "lost3" + inFile} {
		ok(t, d.PushBack(ctx, v))
	}
	for range 2 {
		ok(t, claim(t, d, time.Minute).Fail(ctx))
	}
	c, claimed := claim(t, d, deque.UntilClosed), claim(t, d, deque.UntilClosed)
	ok(t, claimed.Fail(ctx))
	lose(t, st, 3)
	is(t, c.Fail(ctx), cache.ErrCorrupt)
	is(t, c.Fail(ctx), deque.ErrLost)
	n, err := d.Requeue(ctx, 9)
	is(t, err, cache.ErrCorrupt)
	equal(t, n, 1)
	holds(t, d, "a")
	n, err = d.Requeue(ctx, 9)
	ok(t, err)
	equal(t, n, 0)
	s, err := d.Stats(ctx)
	ok(t, err)
	equal(t, s.Claimed, 0)
}

func TestRetryRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		for _, p := range []deque.RetryPolicy{{}, {MaxAttempts: 1, Backoff: -1}, {MaxAttempts: 1, Backoff: 2, MaxBackoff: 1}, {MaxAttempts: 1, Dead: "jobs"}} {
			_, err := deque.New(ctx, e.st, "jobs", &deque.Options[string]{Retry: &p})
			is(t, err, cache.ErrInvalid)
		}
		d := open(t, e.st, "jobs", "a")
		equal(t, d.Dead(), nil)
		is(t, claim(t, d, time.Minute).Fail(ctx), cache.ErrInvalid)
		_, err := d.Requeue(ctx, 1)
		is(t, err, cache.ErrInvalid)

		ro, err := deque.New(ctx, e.reopen(true), "jobs", &deque.Options[string]{Retry: &deque.RetryPolicy{MaxAttempts: 1}})
		ok(t, err)
		defer ro.Close()
		equal(t, ro.Dead(), nil)
		_, err = ro.Requeue(ctx, 1)
		is(t, err, cache.ErrReadOnly)
	})
}
