package turnstile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

func (l *fifoLock) isWaiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

func waits(fn func()) time.Duration {
	began := time.Now()
	fn()
	return time.Since(began)
}

// A process that yields goes behind those that wait, and gives up at the head of
// the queue what nobody waits for any more.
func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db database
		l := newLock(db.lock.open(), db.head.open())
		first := db.head.open()
		first.Lock()
		if _, err := l.lock(t.Context(), time.Now().Add(20*time.Millisecond), endOfQueue); !errors.Is(err, driver.ErrTimeout) {
			t.Errorf("before one that waits: %v", err)
		}
		if ok, err := l.tryLock(); ok || err != nil {
			t.Error("taken while this process waits:", err)
		}
		holder := db.lock.open()
		holder.Lock()
		first.Unlock()
		time.Sleep(wakeUp)
		if synctest.Wait(); l.isWaiting() || !db.head.free() {
			t.Error("waits for the lock although nobody waits for it any more")
		}
		holder.Unlock()
		if d := waits(func() { l.lock(t.Context(), time.Time{}, endOfQueue) }); d < wakeUp {
			t.Error("takes the lock before one that is just being woken up")
		}
		l.unlock()
		// As long as only one of the two is held, a process may be on its way to
		// the other.
		for _, files := range [][]*file{{}, {holder}, {first}, {holder, first}} {
			for _, f := range files {
				f.Lock()
			}
			want := wakeUp
			if len(files) == 1 {
				want = maxWakeUp * wakeUp
			}
			if d := waits(l.letGo); d != want {
				t.Errorf("with %d locks held it waits %v", len(files), d)
			}
			for _, f := range files {
				f.Unlock()
			}
		}
	})
}

// The time in the lock's file is that of its last holder, wherever that one waited.
func TestTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db database
		a, b := newLock(db.lock.open(), db.head.open()), newLock(db.lock.open(), db.head.open())
		if a.taken() != 0 {
			t.Error("known before anybody had the lock")
		}
		for _, at := range []position{outsideQueue, endOfQueue} {
			time.Sleep(time.Second)
			if ok, err := a.tryLock(); !ok {
				t.Fatal("not free: ", err)
			}
			if got := a.taken(); got != time.Now().UnixNano() {
				t.Error("not waited for: ", got)
			}
			time.AfterFunc(time.Minute, a.unlock)
			if waited, err := b.lock(t.Context(), time.Time{}, at); !waited || err != nil {
				t.Error("has not waited: ", err)
			}
			if got := a.taken(); got != time.Now().UnixNano() {
				t.Error("waited for: ", got)
			}
			b.unlock()
		}
	})
}

// The goroutine of a wait that was given up is the next one's; without one it gives
// up what it gets.
func TestAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db database
		l := newLock(db.lock.open(), db.head.open())
		holder := db.lock.open()
		for _, again := range []bool{false, true} {
			holder.Lock()
			if _, err := l.lock(t.Context(), time.Now().Add(time.Millisecond), outsideQueue); !errors.Is(err, driver.ErrTimeout) {
				t.Error(err)
			}
			time.AfterFunc(time.Second, holder.Unlock)
			if again {
				if d := waits(func() { l.lock(t.Context(), time.Time{}, endOfQueue) }); d != time.Second+wakeUp/2 {
					t.Errorf("the next one waits %v", d)
				}
				if db.lock.free() {
					t.Error("the next one does not have the lock")
				}
				l.unlock()
			}
			time.Sleep(2 * time.Second)
			if synctest.Wait(); !db.lock.free() || !db.head.free() {
				t.Error("the lock is not given up")
			}
		}
	})
}

// A goroutine that waits for a holder that does not move outlives its lock, but
// is the next one's too.
func TestLockReopened(t *testing.T) {
	dir, err := osfs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	const lockName, headName = "lock", "head"
	open := func() *fifoLock {
		t.Helper()
		l, err := openLock(dir, lockName, headName)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	holder := open()
	if err := holder.f.Lock(); err != nil {
		t.Fatal(err)
	}
	var first *fifoLock
	for i := range 5 {
		l := open()
		if first == nil {
			first = l
		}
		if l != first {
			t.Error("another lock, and another goroutine that waits for it")
		}
		at := []position{outsideQueue, endOfQueue}[i%2]
		if _, err := l.lock(t.Context(), time.Now().Add(time.Millisecond), at); !errors.Is(err, driver.ErrTimeout) {
			t.Error(err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
	// Not for another file of the name.
	for _, name := range []string{lockName, headName} {
		name = filepath.Join(dir.Path(), name)
		if err := os.Rename(name, name+"-old"); err != nil {
			t.Fatal(err)
		}
		other := open()
		if other == first {
			t.Error("the lock of a file that was replaced")
		}
		if err := other.close(); err != nil {
			t.Error(err)
		}
		if err := os.Rename(name+"-old", name); err != nil {
			t.Fatal(err)
		}
	}
	if again := open(); again != first {
		t.Error("not the lock that was closed")
	} else if err := again.close(); err != nil {
		t.Error(err)
	}
	holder.unlock()
	for first.isWaiting() {
		time.Sleep(time.Millisecond)
	}
	if err := first.f.(*osfs.File).Sync(); !errors.Is(err, os.ErrClosed) {
		t.Error("the file of a lock that was closed is open:", err)
	}
	last := open()
	if last == first {
		t.Error("a lock without files")
	}
	if _, err := last.lock(t.Context(), time.Time{}, endOfQueue); err != nil {
		t.Error(err)
	}
	if err := errors.Join(last.close(), holder.close()); err != nil {
		t.Error(err)
	}
}
