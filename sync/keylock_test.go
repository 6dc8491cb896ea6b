package sync_test

import (
	"bufio"
	"context"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func init() {
	helpers["keylock"] = func(ctx context.Context, p *peer) error {
		c, err := cache.New[string, string](ctx, p.st, "", nil)
		if err != nil {
			return err
		}
		l, err := dsync.NewKeyLock(c, "l", nil)
		if err != nil {
			return err
		}
		if _, err := l.Lock(ctx); err != nil {
			return err
		}
		p.say("held")
		p.hear()
		return nil
	}
}

func newKeyLock(t testing.TB, st *cache.Store, o *dsync.LockOptions) (*dsync.KeyLock[string, string], *cache.Cache[string, string]) {
	t.Helper()
	c, err := cache.New[string, string](t.Context(), st, "", nil)
	ok(t, err)
	l, err := dsync.NewKeyLock(c, "l", o)
	ok(t, err)
	return l, c
}

func TestKeyLock(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		l, c := newKeyLock(t, st, nil)
		g, err := l.Lock(t.Context())
		ok(t, err)
		_, got, err := l.TryLock(t.Context())
		ok(t, err)
		equal(t, got, false)
		done := make(chan struct{})
		go func() {
			defer close(done)
			ok(t, l.Do(t.Context(), func(context.Context) error { return nil }))
		}()
		ok(t, g.Unlock())
		within(t, done, "a KeyLock")
		is(t, g.Unlock(), dsync.ErrNotHeld)
		is(t, (*dsync.KeyGuard)(nil).Unlock(), dsync.ErrNotHeld)

		g, err = l.Lock(t.Context())
		ok(t, err)
		_, err = c.Delete(t.Context(), "l")
		ok(t, err)
		next, got, err := l.TryLock(t.Context())
		ok(t, err)
		equal(t, got, true)
		is(t, g.Unlock(), dsync.ErrLost) // and the next one keeps it
		ok(t, next.Unlock())

		is(t, l.Do(t.Context(), nil), cache.ErrInvalid)
		_, err = l.Lock(cancelled())
		is(t, err, context.Canceled)
		_, err = dsync.NewKeyLock[string, string](nil, "l", nil)
		is(t, err, cache.ErrInvalid)
		ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
			_, err := l.Lock(tx.Context())
			is(t, err, cache.ErrInTx)
			return nil
		}))
	})
}

func TestKeyLockMaxHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := cache.NewStore((&memory.Data{}).Open(nil), nil)
		l, _ := newKeyLock(t, st, &dsync.LockOptions{MaxHold: time.Minute})
		began := time.Now()
		_, err := l.Lock(t.Context())
		ok(t, err)
		_, err = l.Lock(t.Context())
		ok(t, err)
		equal(t, time.Since(began), time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = l.Lock(ctx)
		is(t, err, context.DeadlineExceeded)
		errs := make(chan error)
		go func() {
			_, err := l.Lock(t.Context())
			errs <- err
		}()
		synctest.Wait()
		ok(t, st.Close())
		is(t, <-errs, cache.ErrClosed)
	})
}

func TestKeyLockKill(t *testing.T) {
	dir := t.TempDir()
	l, _ := newKeyLock(t, openDir(t, dir), nil)
	c := start(t, "keylock", dir)
	c.hear("held")
	got := make(chan struct{})
	go func() {
		defer close(got)
		ok(t, l.Do(t.Context(), func(context.Context) error { return nil }))
	}()
	c.kill()
	within(t, got, "the KeyLock of a dead process")
}

// A KeyLock and Python's Lock exclude each other.
func TestKeyLockPython(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import diskcache").Run() != nil {
		t.Skip("Python's diskcache is not installed")
	}
	dir := t.TempDir()
	l, c := newKeyLock(t, openDir(t, dir), nil)
	counts, err := cache.New[string, int](t.Context(), c.Store(), "counts", nil)
	ok(t, err)
	cmd := exec.Command(python, "-c", `
import sys, diskcache
c = diskcache.Cache(sys.argv[1])
lock = diskcache.Lock(c, "l")
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
lock.release()
for i in range(50):
    with lock:
        assert c.get("inside") is None
        c["inside"] = "Python"
        del c["inside"]
`, dir)
	in, err := cmd.StdinPipe()
	ok(t, err)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	lines := bufio.NewScanner(out)
	lines.Scan()
	equal(t, lines.Text(), "held")
	_, got, err := l.TryLock(t.Context())
	ok(t, err)
	equal(t, got, false)
	_, err = in.Write([]byte("\n"))
	ok(t, err)
	for range 50 {
		ok(t, l.Do(t.Context(), func(ctx context.Context) error {
			there, err := c.Contains(ctx, "inside")
			ok(t, err)
			equal(t, there, false)
			ok(t, c.Set(ctx, "inside", "Go"))
			_, err = cache.Incr(ctx, counts, "n", 1)
			ok(t, err)
			_, err = c.Delete(ctx, "inside")
			return err
		}))
	}
	ok(t, cmd.Wait())
	n, _, err := counts.Get(t.Context(), "n")
	ok(t, err)
	equal(t, n, 50)
}

// A release that has failed is tried again, until it succeeds or the store is closed.
func TestKeyUnlockTimeout(t *testing.T) {
	for _, closes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var data memory.Data
			slow := cache.NewStore(data.Open(&memory.Options{Timeout: time.Millisecond}), nil)
			defer func() { ok(t, slow.Close()) }()
			st := openMemory(t, &data)
			l, _ := newKeyLock(t, slow, nil)
			theirs, c := newKeyLock(t, st, nil)
			g, err := l.Lock(t.Context())
			ok(t, err)
			ok(t, st.Update(t.Context(), func(*cache.Tx) error {
				is(t, g.Unlock(), cache.ErrTimeout)
				is(t, g.Unlock(), cache.ErrTimeout)
				time.Sleep(time.Second) // more than one try fails
				return nil
			}))
			_, got, err := theirs.TryLock(t.Context())
			ok(t, err)
			equal(t, got, false)
			if closes {
				ok(t, slow.Close())
				n, err := c.Len(t.Context())
				ok(t, err)
				equal(t, n, 0)
				return
			}
			next, err := theirs.Lock(t.Context())
			ok(t, err)
			synctest.Wait()
			is(t, g.Unlock(), dsync.ErrNotHeld)
			ok(t, next.Unlock())
		})
	}
}
