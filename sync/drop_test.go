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

func TestDropLock(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		drop := func(name string) error { return dsync.DropLock(t.Context(), st, name) }
		ok(t, drop("l"))
		l := newLock(t, st, "l", nil)
		g := lock(t, l)
		other := lock(t, newLock(t, st, "other", nil))
		is(t, drop("l"), dsync.ErrHeld)
		ok(t, st.Update(t.Context(), g.Check))
		got := make(chan *dsync.Guard)
		go func() { got <- lock(t, l) }()
		queued(t, st, 1)
		is(t, drop("l"), dsync.ErrHeld)
		ok(t, g.Unlock())
		g = <-got
		ok(t, g.Unlock())
		ok(t, drop("l"))
		for key, err := range leases(t, st).Keys(t.Context()) {
			ok(t, err)
			equal(t, key, "lock/other")
		}
		ok(t, other.Unlock())
		again := lock(t, l)
		if again.Token() <= g.Token() {
			t.Errorf("token %d after %d", again.Token(), g.Token())
		}
		ok(t, again.Unlock())
		is(t, st.Update(t.Context(), func(tx *cache.Tx) error { return dsync.DropLock(tx.Context(), st, "l") }), cache.ErrInTx)
	})
}

// What a store held that is gone, or for longer than its time, is not held.
func TestDropAbandoned(t *testing.T) {
	var data memory.Data
	st, f := openFickle(t, &data)
	other := openMemory(t, &data)
	lock(t, newLock(t, st, "l", nil))
	is(t, dsync.DropLock(t.Context(), other, "l"), dsync.ErrHeld)
	ok(t, f.Lose())
	ok(t, dsync.DropLock(t.Context(), other, "l"))
	onClock(t, func(t *testing.T, st *cache.Store, c *clock) {
		lock(t, newLock(t, st, "l", &dsync.LockOptions{MaxHold: time.Minute}))
		is(t, dsync.DropLock(t.Context(), st, "l"), dsync.ErrHeld)
		time.Sleep(time.Minute)
		ok(t, dsync.DropLock(t.Context(), st, "l"))
	})
}

func TestDropSemaphore(t *testing.T) {
	st := openDir(t, t.TempDir())
	drop := func() error { return dsync.DropSemaphore(t.Context(), st, "s") }
	ok(t, drop())
	s := newSemaphore(t, st, "s", 2)
	lock(t, newLock(t, st, "s", nil)) // another name
	p := acquire(t, s, 1)
	is(t, drop(), dsync.ErrHeld)
	ok(t, p.Release())
	ok(t, drop())
	larger := newSemaphore(t, st, "s", 5)
	free(t, larger, 5)
	ok(t, drop())
	p = acquire(t, s, 2)
	free(t, s, 0)
	ok(t, p.Release())
}

func TestDropNumbers(t *testing.T) {
	st := openDir(t, t.TempDir())
	ctx := t.Context()
	ok(t, dsync.DropThrottle(ctx, st, "t"))
	ok(t, dsync.DropAverager(ctx, st, "a"))
	th := newThrottle(t, st, 1, time.Hour)
	allow(t, th, true)
	allow(t, th, false)
	a, err := dsync.NewAverager(ctx, st, "a")
	ok(t, err)
	ok(t, a.Add(ctx, 1))
	ok(t, dsync.DropThrottle(ctx, st, "other"))
	ok(t, dsync.DropAverager(ctx, st, "other"))
	allow(t, th, false)
	ok(t, dsync.DropThrottle(ctx, st, "t"))
	allow(t, th, true)
	sum, err := a.Summary(ctx)
	ok(t, err)
	equal(t, sum.Count, 1)
	ok(t, dsync.DropAverager(ctx, st, "a"))
	sum, err = a.Summary(ctx)
	ok(t, err)
	equal(t, sum.Count, 0)
	for what, err := range map[string]error{
		"DropLock":      dsync.DropLock(ctx, nil, "x"),
		"DropSemaphore": dsync.DropSemaphore(ctx, nil, "x"),
		"DropThrottle":  dsync.DropThrottle(ctx, nil, "x"),
		"DropAverager":  dsync.DropAverager(ctx, nil, "x"),
	} {
		if !errors.Is(err, cache.ErrInvalid) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s of no store: %v", what, err)
		}
	}
}
