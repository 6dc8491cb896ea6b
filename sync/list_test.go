package sync_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func states(t testing.TB, list func(context.Context, *cache.Store) iter.Seq2[dsync.LockState, error], st *cache.Store) (out []dsync.LockState) {
	t.Helper()
	for s, err := range list(t.Context(), st) {
		ok(t, err)
		out = append(out, s)
	}
	return out
}

func TestList(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		ctx := t.Context()
		equal(t, len(states(t, dsync.Locks, st)), 0)
		names, err := st.Collections(ctx)
		ok(t, err)
		if slices.Contains(names, "sync/leases") {
			t.Error("to look has made a collection")
		}

		began := time.Now().Add(-time.Second)
		held := newLock(t, st, "b/held", &dsync.LockOptions{MaxHold: time.Hour})
		g := lock(t, held)
		got := make(chan *dsync.Guard)
		go func() { got <- lock(t, newLock(t, st, "b/held", nil)) }()
		queued(t, st, 1)
		ok(t, lock(t, newLock(t, st, "a", nil)).Unlock()) // free again
		c := lock(t, newLock(t, st, "c", nil))
		sem, err := dsync.NewSemaphore(ctx, st, "s", 3, nil)
		ok(t, err)

		list := states(t, dsync.Locks, st)
		names = nil
		for _, s := range list {
			names = append(names, s.Name)
		}
		if !slices.Equal(names, []string{"b/held", "c"}) {
			t.Fatalf("locks %q", names)
		}
		s := list[0]
		if s.Size != 1 || len(s.Holders) != 1 || len(s.Waiters) != 1 {
			t.Fatalf("%+v", s)
		}
		h, w := s.Holders[0], s.Waiters[0]
		equal(t, h.Session, session(t, st))
		equal(t, h.Alive, true)
		equal(t, h.Permits, 1)
		equal(t, h.Token, g.Token())
		equal(t, h.Until.Sub(h.Since), time.Hour)
		if h.Since.Before(began) || h.Since.After(time.Now()) {
			t.Errorf("held since %v", h.Since)
		}
		if w != (dsync.LockUser{Session: session(t, st), Alive: true, Permits: 1}) {
			t.Errorf("waiter %+v", w)
		}

		list = states(t, dsync.Semaphores, st)
		if len(list) != 1 || list[0].Name != "s" || list[0].Size != 3 || len(list[0].Holders) != 0 {
			t.Fatalf("%+v", list)
		}
		p, err := sem.AcquireN(ctx, 2)
		ok(t, err)
		equal(t, states(t, dsync.Semaphores, st)[0].Holders[0].Permits, 2)
		ok(t, p.Release())
		ok(t, c.Unlock())
		ok(t, g.Unlock())
		ok(t, (<-got).Unlock())
		equal(t, len(states(t, dsync.Locks, st)), 0)

		for _, err := range dsync.Locks(ctx, nil) {
			is(t, err, cache.ErrInvalid)
		}
	})
}
