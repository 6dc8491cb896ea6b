package sync_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// An error has the user's operation and the name of what it was on, once, and can be
// told from one of the standard library's package sync.
func TestErrors(t *testing.T) {
	st := cache.NewStore((&memory.Data{}).Open(nil), nil)
	ctx := t.Context()
	l, s, th := newLock(t, st, "name", nil), newSemaphore(t, st, "name", 1), newThrottle(t, st, 1, time.Hour)
	r, err := dsync.NewRLock(ctx, st, "name", nil)
	ok(t, err)
	a, err := dsync.NewAverager(ctx, st, "name")
	ok(t, err)
	k, c := newKeyLock(t, st, nil)
	g := lock(t, newLock(t, st, "g", nil))
	p := acquire(t, newSemaphore(t, st, "p", 1), 1)
	kg, err := k.Lock(ctx)
	ok(t, err)
	ok(t, st.Close())
	_, average := a.Summary(ctx)
	_, free := s.Free(ctx)
	_, broken := l.Break(ctx)
	for _, tt := range []struct {
		op, name string
		err      error
	}{
		{"NewLock", "sync/lock/x", second(dsync.NewLock(ctx, st, "x", nil))},
		{"NewRLock", "sync/lock/x", second(dsync.NewRLock(ctx, st, "x", nil))},
		{"NewSemaphore", "sync/semaphore/x", second(dsync.NewSemaphore(ctx, st, "x", 1, nil))},
		{"NewThrottle", "sync/throttle/x", second(dsync.NewThrottle(ctx, st, "x", &dsync.ThrottleOptions{Count: 1, Period: 1}))},
		{"NewAverager", "sync/averager/x", second(dsync.NewAverager(ctx, st, "x"))},
		{"Lock", "sync/lock/name", second(l.Lock(ctx))},
		{"TryLock", "sync/lock/name", third(l.TryLock(ctx))},
		{"Do", "sync/lock/name", l.Do(ctx, nil)},
		{"Do", "sync/lock/name", r.Do(ctx, nil)},
		{"Break", "sync/lock/name", broken},
		{"Lock", "sync/lock/name", second(r.Lock(ctx))},
		{"Unlock", "sync/lock/g", g.Unlock()},
		{"Check", "sync/lock/g", g.Check(nil)},
		{"Acquire", "sync/semaphore/name", second(s.Acquire(ctx))},
		{"TryAcquire", "sync/semaphore/name", third(s.TryAcquire(ctx))},
		{"Free", "sync/semaphore/name", free},
		{"Resize", "sync/semaphore/name", s.Resize(ctx, 3)},
		{"Release", "sync/semaphore/p", p.Release()},
		{"Check", "sync/semaphore/p", p.Check(nil)},
		{"Allow", "sync/throttle/t", second(th.Allow(ctx))},
		{"Wait", "sync/throttle/t", th.Wait(ctx)},
		{"Add", "sync/averager/name", a.Add(ctx, 1)},
		{"Summary", "sync/averager/name", average},
		{"DropLock", "sync/lock/x", dsync.DropLock(ctx, st, "x")},
		{"DropThrottle", "sync/throttle/x", dsync.DropThrottle(ctx, st, "x")},
		{"Lock", c.Name(), second(k.Lock(ctx))},
		{"Unlock", c.Name(), kg.Unlock()},
	} {
		var e *cache.Error
		if !errors.As(tt.err, &e) || e.Op != tt.op || e.Collection != tt.name {
			t.Errorf("%s of %s: %v", tt.op, tt.name, tt.err)
			continue
		}
		if msg := tt.err.Error(); strings.HasPrefix(msg, "sync: ") || strings.Count(msg, "cache: ") != 1 ||
			tt.name != "" && strings.Count(msg, tt.name) != 1 {
			t.Errorf("%s of %s: %s", tt.op, tt.name, msg)
		}
	}
}
