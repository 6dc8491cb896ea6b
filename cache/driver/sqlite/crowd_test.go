package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Who meets nobody does not take the directory's lock; who does keeps it until
// the transaction ends, for a while.
func TestCrowd(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	impatient, err := Open(ctx, s.Dir(), &Options{Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	c, err := s.Open(ctx, "", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	line, err := openFileLock(s.core.files)
	if err != nil {
		t.Fatal(err)
	}
	defer line.close()
	held := func() bool {
		ok, err := line.f.TryLock()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			line.unlock()
		}
		return !ok
	}
	set := func(s *Store, within *bool) error {
		err := s.Update(ctx, driver.Shared, func(t driver.Tx) error {
			*within = held()
			return errOf(t.Put(ctx, c, driver.Put{Key: key(1), Value: key(2), Now: at()}))
		})
		if held() {
			t.Error("the lock is held after the transaction")
		}
		return err
	}
	var within bool
	s.core.writer.crowd = crowd{}
	if err := set(s, &within); err != nil || within {
		t.Error("alone:", err, "locked:", within)
	}

	other, err := lite.Open(filepath.Join(s.Dir(), databaseName), lite.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := set(impatient, &within); !errors.Is(err, driver.ErrTimeout) {
		t.Error("while another program writes:", err)
	}
	result := make(chan error)
	s.core.writer.crowd.looked = time.Now().Add(time.Hour) // or it would be in held's way
	go func() { result <- set(s, &within) }()
	for !held() {
		time.Sleep(time.Millisecond)
	}
	if err := other.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil || !within {
		t.Error("after another program wrote:", err, "locked:", within)
	}
	s.core.writer.crowd.until = time.Now().Add(time.Hour)
	if err := set(s, &within); err != nil || !within {
		t.Error("soon after another program wrote:", err, "locked:", within)
	}
	s.core.writer.crowd.until = time.Now()
	if err := set(s, &within); err != nil || within {
		t.Error("long after another program wrote:", err, "locked:", within)
	}
}

// oneCrowded returns a store that takes the place for crowded, a transaction
// with nothing in it, and a lock as another process has it.
func oneCrowded(t *testing.T) (w *writer, update func(driver.Mode), line *fileLock) {
	t.Helper()
	ctx := t.Context()
	s, err := Open(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	line, err = openFileLock(s.core.files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.close() })
	<-s.core.maintainer.swept
	w = s.core.writer
	w.crowd.met(time.Now().Add(time.Hour))
	update = func(mode driver.Mode) {
		t.Helper()
		if err := s.Update(ctx, mode, func(driver.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return w, update, line
}

// becomes makes the process one that writes steadily, or not.
func (c *crowd) becomes(steady int, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steady, c.last = steady, last
}

func (l *fileLock) isWaiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

func (c *crowd) isKept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

// Who writes steadily keeps the directory's lock for a number of transactions,
// and then lets those go first who wait.
func TestStint(t *testing.T) {
	w, update, line := oneCrowded(t)
	// On a busy machine some stints end early, since there seems to be no
	// transaction any more, or the time is over.
	kept := false
	for !kept || !w.crowd.tired {
		w.crowd.becomes(2*steadyCount, time.Now())
		update(driver.Shared)
		if w.crowd.count > stintCount {
			t.Fatal("a stint has no end")
		}
		kept = kept || w.crowd.isKept()
	}
	if !line.free() {
		t.Error("the lock is held after a stint")
	}
	// Nor is any other, which the checkpoint of somebody else would wait for.
	other, err := lite.Open(filepath.Join(filepath.Dir(line.f.Name()), databaseName), lite.ReadWrite|lite.DefaultVFS)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Exec("SELECT * FROM Settings"); err != nil {
		t.Error(err)
	}
	if frames, _, err := other.Checkpoint(lite.Restart); err != nil || frames <= 0 {
		t.Error("no checkpoint:", frames, err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}

	// Somebody waits, and does not have the lock yet.
	if err := line.head.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := w.dir.lock(t.Context(), time.Now().Add(20*time.Millisecond), behind); !errors.Is(err, driver.ErrTimeout) {
		t.Errorf("before one who waits: %v", err)
	}
	line.head.Unlock()
	for w.dir.isWaiting() { // what was given up
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	if err := w.dir.lock(t.Context(), time.Time{}, behind); err != nil {
		t.Fatal(err)
	}
	if time.Since(began) < wakeUp {
		t.Error("takes the lock before one who is just being woken up")
	}
	w.dir.unlock()
	// As long as only one of the two locks is held, somebody may be on his way to
	// the other.
	for _, held := range [][]*osfs.File{{}, {line.f}, {line.head}, {line.f, line.head}} {
		for _, f := range held {
			if err := f.Lock(); err != nil {
				t.Fatal(err)
			}
		}
		waits := func() bool {
			began := time.Now()
			w.dir.letGo()
			return time.Since(began) >= maxWakeUp*wakeUp
		}
		want, got := len(held) == 1, waits()
		for tries := 0; got && !want && tries < 1000; tries++ { // the machine may be busy
			got = waits()
		}
		if got != want {
			t.Errorf("with %d locks held, whether it waits is %v", len(held), got)
		}
		for _, f := range held {
			f.Unlock()
		}
	}

	// Alone again, nobody is looked for before each transaction.
	w.crowd.becomes(2*steadyCount, time.Now())
	w.crowd.span = 0
	w.crowd.tired = true
	if update(driver.Shared); w.crowd.tired {
		t.Error("tired while nobody waits")
	}
}

// A stint ends when there are no transactions any more, and when the store is
// used without one.
func TestStintEnds(t *testing.T) {
	w, update, line := oneCrowded(t)
	keep := func() {
		t.Helper()
		for range 100 { // the machine may be busy
			w.crowd.becomes(2*steadyCount, time.Now())
			update(driver.Shared)
			if w.crowd.isKept() {
				return
			}
		}
		t.Fatal("the lock is never kept")
	}
	keep()
	for !line.free() {
		time.Sleep(time.Millisecond)
	}
	keep()
	err := w.exclusively(t.Context(), time.Time{}, func(*conn) error {
		if w.crowd.isKept() || line.free() {
			t.Error("the lock is not held, or kept")
		}
		return nil
	})
	if err != nil || !line.free() {
		t.Error("after work without a transaction:", err)
	}
	// Who writes now and then keeps nothing.
	w.crowd.becomes(0, time.Time{})
	if update(driver.Shared); !line.free() {
		t.Error("the lock is kept by one who does not write steadily")
	}
	// What is the user's own may be a lock's.
	keep()
	if update(driver.Alone); !line.free() {
		t.Error("the lock is kept after a transaction of the user's")
	}
	keep() // and the store is closed
}

// What does not wait for others happens in a stint, which goes on, or while
// nobody has the directory's lock.
func TestExclusivelyNow(t *testing.T) {
	w, update, line := oneCrowded(t)
	now := func() (ran bool) {
		t.Helper()
		ran, err := w.exclusivelyNow(time.Time{}, func() error {
			if w.crowd.isKept() || line.free() {
				t.Error("the lock is not held, or may be given up")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return ran
	}
	for tries := 0; ; tries++ { // the machine may be busy
		if tries == 1000 {
			t.Fatal("the stint does not go on")
		}
		w.crowd.becomes(2*steadyCount, time.Now())
		update(driver.Shared)
		if !w.crowd.isKept() {
			continue
		}
		since := w.crowd.since
		if !now() {
			t.Error("not done in a stint")
		}
		w.crowd.becomes(2*steadyCount, time.Now())
		if update(driver.Shared); w.crowd.since == since {
			break
		}
	}
	for !line.free() { // it ends if there are no transactions
		time.Sleep(time.Millisecond)
	}
	if !now() || !line.free() {
		t.Error("not done while nobody has the lock, or the lock is kept")
	}
	if err := line.f.Lock(); err != nil {
		t.Fatal(err)
	}
	if now() || w.dir.isWaiting() {
		t.Error("done, or waited for, while another process has the lock")
	}
	line.unlock()
}

// Who cannot get the directory's lock gets SQLite's, if nobody has that: its
// holder may be stopped between two transactions.
func TestPushIn(t *testing.T) {
	w, update, line := oneCrowded(t)
	if err := line.f.Lock(); err != nil {
		t.Fatal(err)
	}
	for _, steady := range []int{0, 2 * steadyCount} {
		w.crowd.becomes(steady, time.Now())
		w.crowd.stalled = false
		began := time.Now()
		if update(driver.Shared); time.Since(began) < late {
			t.Error("pushes in soon")
		}
		if !w.crowd.stalled {
			t.Error("has not noticed that the one in front does not move")
		}
	}
	// There is a try also where there is hardly any time.
	w.crowd.becomes(2*steadyCount, time.Now())
	w.crowd.stalled = false
	if err := w.update(t.Context(), time.Now().Add(late/2), driver.Alone, func(driver.Tx) error { return nil }); err != nil {
		t.Error(err)
	}
	// Waits that are short each, since their contexts are, add up.
	w.crowd.vain, w.crowd.stalled = 0, false
	for tries := 0; !w.crowd.stalled; tries++ {
		if tries == 100 {
			t.Fatal("has not noticed in short waits that the one in front does not move")
		}
		if err := w.update(t.Context(), time.Now().Add(late/2), driver.Shared, func(driver.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	err := w.exclusively(t.Context(), time.Now().Add(time.Minute), func(*conn) error { return nil })
	if err != nil {
		t.Error("work without a transaction:", err)
	}

	// Without a reason to line up, it is looked for one now and then.
	w.crowd.becomes(2*steadyCount, time.Now())
	w.crowd.span, w.crowd.looked = 0, time.Time{}
	if update(driver.Shared); w.crowd.span == 0 {
		t.Error("has not noticed that others line up")
	}
	line.unlock()
	for w.dir.isWaiting() {
		time.Sleep(time.Millisecond)
	}
	if err := line.head.Lock(); err != nil {
		t.Fatal(err)
	}
	if w.dir.free() {
		t.Error("free while somebody waits")
	}
	w.crowd.until = time.Now().Add(time.Hour)
	w.crowd.becomes(2*steadyCount, time.Now())
	w.crowd.tired = true
	since := w.crowd.since
	if update(driver.Shared); w.crowd.since != since {
		t.Error("has not let the one go first who waits")
	}
	line.head.Unlock()
	for w.dir.isWaiting() {
		time.Sleep(time.Millisecond)
	}

	// Its own place is not tried.
	w.dir.mu.Lock()
	w.dir.waiting = true
	w.dir.mu.Unlock()
	if w.dir.free() {
		t.Error("free while this process waits")
	}
	w.dir.mu.Lock()
	w.dir.waiting = false
	w.dir.mu.Unlock()
}

// Only who writes steadily lines up, and only he lets others go first.
func TestPlace(t *testing.T) {
	now := time.Now()
	c := crowd{steady: steadyCount - 1, last: now}
	for want, tired := range map[place]bool{inLine: false, behind: true} {
		c.tired = tired
		if c.came(now, false); c.place() != want {
			t.Errorf("tired %v, and steady: place %d, want %d", tired, c.place(), want)
		}
	}
	for name, came := range map[string]func(){
		"the user's own": func() { c.came(now, true) },
		"now and then":   func() { c.steady = steadyCount; c.came(now.Add(time.Second), false) },
	} {
		c.tired = true
		if came(); c.place() != aside {
			t.Errorf("%s: place %d, want %d", name, c.place(), aside)
		}
	}
}

// A goroutine that waits for a holder who does not move outlives its lock, but
// is the next one's too.
func TestLockReopened(t *testing.T) {
	dir, err := osfs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	open := func() *fileLock {
		t.Helper()
		l, err := openFileLock(dir)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	holder := open()
	if err := holder.f.Lock(); err != nil {
		t.Fatal(err)
	}
	var first *fileLock
	for i := range 5 {
		l := open()
		if first == nil {
			first = l
		}
		if l != first {
			t.Error("another lock, and another goroutine that waits for it")
		}
		at := []place{aside, inLine, behind}[i%3]
		if err := l.lock(t.Context(), time.Now().Add(time.Millisecond), at); !errors.Is(err, driver.ErrTimeout) {
			t.Error(err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
	// Not for another file of the name.
	for _, name := range []string{lockName, lineName} {
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
	if err := first.f.Sync(); !errors.Is(err, os.ErrClosed) {
		t.Error("the file of a lock that was closed is open:", err)
	}
	last := open()
	if last == first {
		t.Error("a lock without files")
	}
	if err := errors.Join(last.lock(t.Context(), time.Time{}, inLine), last.close(), holder.close()); err != nil {
		t.Error(err)
	}
}

func TestCrowdSpan(t *testing.T) {
	var c crowd
	now := time.Now()
	for i, want := range []time.Duration{minCrowded, 2 * minCrowded, 4 * minCrowded} {
		c.met(now)
		if c.span != want || c.until != now.Add(want) {
			t.Errorf("meeting %d: %v, want %v", i, c.span, want)
		}
		now = c.until.Add(minCrowded)
	}
	for range 20 {
		c.met(now)
		now = c.until
	}
	if c.span != maxCrowded {
		t.Errorf("meeting others all the time: %v", c.span)
	}
	c.met(now.Add(maxCrowded + 1))
	if c.span != minCrowded {
		t.Errorf("after a quiet time: %v", c.span)
	}
}
