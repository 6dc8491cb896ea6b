package sync_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func openFickle(t testing.TB, data *memory.Data) (*cache.Store, *drivertest.Fickle) {
	t.Helper()
	f := drivertest.NewFickle(data.Open(nil), func() driver.Store { return data.Open(nil) })
	st := cache.NewStore(f, nil)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st, f
}

var errRefused = errors.New("no session today")

// Nothing is held where no session can be begun, and all of it where one can.
func TestSessionRefused(t *testing.T) {
	var data memory.Data
	st, f := openFickle(t, &data)
	other := openMemory(t, &data)
	l := newLock(t, st, "l", nil)
	r, err := dsync.NewRLock(t.Context(), st, "r", nil)
	ok(t, err)
	s := newSemaphore(t, st, "s", 2)
	k, _ := newKeyLock(t, st, nil)
	none := func(context.Context) error {
		t.Error("runs without a session")
		return nil
	}
	f.Refuse(errRefused)
	for what, err := range map[string]error{
		"Lock":            second(l.Lock(t.Context())),
		"TryLock":         third(l.TryLock(t.Context())),
		"Lock.Do":         l.Do(t.Context(), none),
		"RLock.Lock":      second(r.Lock(t.Context())),
		"RLock.TryLock":   third(r.TryLock(t.Context())),
		"Acquire":         second(s.Acquire(t.Context())),
		"TryAcquire":      third(s.TryAcquire(t.Context())),
		"Semaphore.Do":    s.Do(t.Context(), none),
		"KeyLock.Lock":    second(k.Lock(t.Context())),
		"KeyLock.TryLock": third(k.TryLock(t.Context())),
		"KeyLock.Do":      k.Do(t.Context(), none),
	} {
		if !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", what, err)
		}
		var typed *cache.Error
		if !errors.As(err, &typed) || !strings.HasSuffix(what, typed.Op) {
			t.Errorf("%s: %v has another operation", what, err)
		}
	}
	ok(t, tryLock(t, newLock(t, other, "l", nil), true).Unlock()) // nothing is left in the row
	f.Refuse(nil)
	ok(t, lock(t, l).Unlock())
}

func second[T any](_ T, err error) error        { return err }
func third[T any](_ T, _ bool, err error) error { return err }

// Holds are lost with their session, and what waits fails. Afterwards all is as
// it was, in another session.
func TestSessionLost(t *testing.T) {
	var data memory.Data
	st, f := openFickle(t, &data)
	other := openMemory(t, &data)
	for range 3 {
		l, wanted := newLock(t, st, "l", nil), newLock(t, st, "wanted", nil)
		theirs := lock(t, newLock(t, other, "wanted", nil))
		observed, unseen := lock(t, l), lock(t, newLock(t, st, "unseen", nil))
		inside := observed.Context()
		errs := make(chan error)
		go func() {
			_, err := wanted.Lock(t.Context())
			errs <- err
		}()
		queued(t, other, 1)

		ok(t, f.Lose())
		is(t, <-errs, dsync.ErrLost)
		within(t, inside.Done(), "the end of a lock's context with its session")
		is(t, context.Cause(inside), dsync.ErrLost)
		for _, g := range []*dsync.Guard{observed, unseen} {
			is(t, context.Cause(g.Context()), dsync.ErrLost)
			is(t, st.View(t.Context(), g.Check), dsync.ErrLost)
			is(t, g.Unlock(), dsync.ErrLost)
		}
		ok(t, theirs.Unlock())
		for _, name := range []string{"l", "wanted", "unseen"} {
			g := tryLock(t, newLock(t, other, name, nil), true)
			tryLock(t, newLock(t, st, name, nil), false)
			ok(t, g.Unlock())
		}
		g := lock(t, l) // in another session
		tryLock(t, newLock(t, other, "l", nil), false)
		ok(t, g.Context().Err())
		ok(t, g.Unlock())
	}
}

// A lock that was lost with its session is free for this store too, without any
// other one's doing.
func TestSessionLostAlone(t *testing.T) {
	st, f := openFickle(t, &memory.Data{})
	l := newLock(t, st, "l", nil)
	before := lock(t, l)
	ok(t, f.Lose())
	is(t, st.View(t.Context(), before.Check), dsync.ErrLost)
	is(t, context.Cause(before.Context()), dsync.ErrLost)
	after := lock(t, l)
	is(t, before.Unlock(), dsync.ErrLost)
	ok(t, st.View(t.Context(), after.Check))
	ok(t, after.Unlock())
}

// A read-only store has locks to look at, and none to take.
func TestReadOnlyHoldsNothing(t *testing.T) {
	dir := t.TempDir()
	s := newSemaphore(t, openDir(t, dir), "s", 3)
	_, err := s.Acquire(t.Context())
	ok(t, err)
	st, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{ReadOnly: true})
	ok(t, err)
	defer st.Close()
	_, err = newLock(t, st, "l", nil).Lock(t.Context())
	is(t, err, cache.ErrReadOnly)
	s = newSemaphore(t, st, "s", 3)
	free, err := s.Free(t.Context())
	ok(t, err)
	equal(t, free, 2)
	_, _, err = s.TryAcquire(t.Context())
	is(t, err, cache.ErrReadOnly)
}
