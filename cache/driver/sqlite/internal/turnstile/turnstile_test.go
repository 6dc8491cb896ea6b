package turnstile

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// database is what processes take turns at, and the files of their lock.
type database struct {
	lock, head inode
	busy       atomic.Bool // SQLite's lock is held
}

// inode is a file as the kernel locks it.
type inode struct {
	mu       sync.Mutex
	holder   *file
	released chan struct{} // closed when it is; nil if no file waits
	data     [16]byte
}

// file is an open file of an inode.
type file struct {
	*inode
	closed bool
}

func (f *file) TryLock() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder != nil && f.holder != f {
		return false, nil
	}
	f.holder = f
	return true, nil
}

func (f *file) TryLockShared() (bool, error) { return f.TryLock() }

// Lock wakes up some time after another file has released the lock, which may be
// too late.
func (f *file) Lock() error {
	for {
		if ok, _ := f.TryLock(); ok {
			return nil
		}
		f.mu.Lock()
		if f.released == nil {
			f.released = make(chan struct{})
		}
		released := f.released
		f.mu.Unlock()
		<-released
		time.Sleep(wakeUp / 2)
	}
}

func (f *file) Unlock() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder != f {
		return
	}
	f.holder = nil
	if f.released != nil {
		close(f.released)
		f.released = nil
	}
}

func (f *file) ReadAt(b []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return copy(b, f.data[offset:]), nil
}

func (f *file) WriteAt(b []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder != f {
		return 0, errors.New("written without the lock")
	}
	return copy(f.data[offset:], b), nil
}

func (f *file) Close() error {
	f.Unlock()
	f.closed = true
	return nil
}

func (i *inode) open() *file { return &file{inode: i} }

func (i *inode) free() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.holder == nil
}

// process is one of those that take turns.
type process struct {
	*Turnstile
	t      *testing.T
	db     *database
	yields int
}

func newProcess(t *testing.T, db *database) *process {
	p := &process{t: t, db: db}
	p.Turnstile = &Turnstile{db: p, lock: newLock(db.lock.open(), db.head.open())}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // what waits in vain ends
	})
	return p
}

func (p *process) Barge(ctx context.Context) (begun bool, err error) {
	if !p.db.busy.CompareAndSwap(false, true) {
		return false, ctx.Err()
	}
	return true, nil
}

func (p *process) Yield() {
	p.yields++
	if p.db.lock.free() {
		p.t.Error("yields when another process may write already")
	}
}

// transaction is one of a process, and what became of it.
type transaction struct {
	alone   bool
	meets   bool // another process has SQLite's lock for a moment
	timeout time.Duration
	takes   time.Duration

	barged bool
	waited time.Duration
	err    error
}

func (p *process) do(tr transaction) transaction {
	p.t.Helper()
	began := time.Now()
	var deadline time.Time
	if tr.timeout > 0 {
		deadline = began.Add(tr.timeout)
	}
	if tr.meets {
		p.db.busy.Store(true)
		time.AfterFunc(stalledWait/2, func() { p.db.busy.Store(false) })
	}
	p.Arrive(began, tr.alone)
	defer p.Leave()
	tr.barged, tr.err = p.Acquire(p.t.Context(), began, deadline)
	tr.waited = time.Since(began)
	if tr.err != nil {
		return tr
	}
	if !tr.barged && p.db.lock.free() {
		p.t.Error("a transaction without the lock, and it has not barged")
	}
	time.Sleep(tr.takes)
	p.db.busy.Store(false)
	return tr
}

func (p *process) write() transaction {
	p.t.Helper()
	tr := p.do(transaction{})
	if tr.err != nil {
		p.t.Error(tr.err)
	}
	return tr
}

// meet has the process find another one writing.
func (p *process) meet() {
	p.t.Helper()
	p.db.busy.Store(true)
	if p.write().barged {
		p.t.Error("barges into the transaction of another process")
	}
}

// keep has the process write steadily until it keeps the lock, which it has met a
// reason for.
func (p *process) keep() {
	p.t.Helper()
	p.meet()
	for range 10 * steadyCount {
		if p.write(); !p.db.lock.free() {
			return
		}
	}
	p.t.Fatal("does not keep the lock although it writes steadily")
}

// quantum writes to the end of a quantum that has begun, and returns the number of
// transactions.
func (p *process) quantum(takes time.Duration) (n int) {
	p.t.Helper()
	for !p.db.lock.free() {
		p.do(transaction{takes: takes})
		if n++; n > 10*quantumCount {
			p.t.Fatal("a quantum has no end")
		}
	}
	return n
}

func inBubble(t *testing.T, fn func(t *testing.T, db *database, p *process)) {
	synctest.Test(t, func(t *testing.T) {
		var db database
		fn(t, &db, newProcess(t, &db))
	})
}

// A process that meets no other one does not take the lock; one that does takes it
// for a while, and as long as it has to wait for others.
func TestContention(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		contended := func() time.Duration {
			t.Helper()
			began := time.Now()
			for !p.write().barged {
				if !db.lock.free() {
					t.Error("keeps the lock, and does not write steadily")
				}
				time.Sleep(time.Millisecond)
			}
			return time.Since(began)
		}
		if !p.write().barged {
			t.Error("alone, and takes the lock")
		}
		for range 2 {
			p.meet()
			if got := contended(); got != contendedFor {
				t.Errorf("takes the lock for %v after it has met another process", got)
			}
		}
		p.meet()
		time.Sleep(contendedFor / 2)
		other := db.lock.open()
		other.Lock()
		time.AfterFunc(time.Millisecond, other.Unlock)
		if tr := p.write(); tr.barged || tr.waited < time.Millisecond {
			t.Error("does not wait for the lock")
		}
		if got := contended(); got != contendedFor {
			t.Errorf("takes the lock for %v after it has waited for another process", got)
		}
	})
}

// A process that writes steadily holds the lock for a number of transactions or a
// time, and then lets others go first.
func TestQuantum(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		p.keep()
		if n := p.quantum(0); n != quantumCount-1 || p.yields != 1 {
			t.Errorf("%d transactions more, %d yields", n, p.yields)
		}
		if tr := p.write(); tr.waited < wakeUp {
			t.Error("lets no other process go first")
		}
		const takes = steadyGap / 2
		if n := p.quantum(takes); n != int(quantum/takes) || p.yields != 2 {
			t.Errorf("%d transactions in %v, %d yields", n, quantum, p.yields)
		}
		if tr := p.do(transaction{alone: true}); tr.waited != 0 {
			t.Errorf("a transaction of the user's waits %v for others to go first", tr.waited)
		}
		if !db.lock.free() {
			t.Error("keeps the lock for a transaction of the user's")
		}
	})
}

// Others that wait get the lock between two quanta, whether they queue or not.
func TestQuantumEnds(t *testing.T) {
	for _, steady := range []bool{false, true} {
		inBubble(t, func(t *testing.T, db *database, p *process) {
			q := newProcess(t, db)
			if steady {
				q.keep()
				for range 2 * steadyCount {
					q.write()
				}
				time.Sleep(idleAfter)
			} else {
				q.meet()
			}
			p.keep()
			wrote := make(chan time.Time, 1)
			go func() {
				q.write()
				wrote <- time.Now()
			}()
			if p.quantum(steadyGap / 2); p.yields == 0 {
				t.Fatal("the quantum ended early")
			}
			p.write()
			if own := time.Now(); !(<-wrote).Before(own) {
				t.Errorf("steady %v: after its quantum a process writes before one that waits", steady)
			}
		})
	}
}

// A process that writes no more gives the lock up.
func TestIdle(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		p.keep()
		for range 2 * steadyCount {
			time.Sleep(quantum / (4 * steadyCount))
			p.write()
		}
		if db.lock.free() {
			t.Error("gives the lock up within its quantum")
		}
		p.keep()
		time.Sleep(idleAfter - 1)
		if synctest.Wait(); db.lock.free() {
			t.Error("gives the lock up early")
		}
		time.Sleep(time.Nanosecond)
		if synctest.Wait(); !db.lock.free() {
			t.Error("keeps the lock although it does not write")
		}
		p.keep()
		if p.retire(); db.lock.free() { // a timer that could not be stopped any more
			t.Error("gives the lock up just after a transaction")
		}
		p.keep()
		if p.do(transaction{alone: true}); !db.lock.free() {
			t.Error("keeps the lock after a transaction of the user's")
		}
		p.keep()
		if err := p.Close(); err != nil || !db.lock.free() {
			t.Error("keeps the lock when it is closed:", err)
		}
	})
}

// Work that is no transaction has the lock, and ends a quantum.
func TestHold(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		hold := func(timeout time.Duration) (waited time.Duration, err error) {
			began := time.Now()
			release, err := p.Hold(t.Context(), began.Add(timeout))
			waited = time.Since(began)
			if err != nil {
				return waited, err
			}
			time.Sleep(2 * idleAfter)
			if synctest.Wait(); db.lock.free() {
				t.Error("the lock is given up during the work")
			}
			release()
			return waited, nil
		}
		for range 2 {
			if waited, err := hold(time.Minute); err != nil || waited != 0 || !db.lock.free() {
				t.Error("the lock is free, or kept:", waited, err)
			}
			p.keep()
		}
		hold(time.Minute)
		stopped := db.lock.open()
		stopped.Lock()
		if waited, err := hold(time.Minute); err != nil || waited != stalledAfter {
			t.Error("the holder is stopped:", waited, err)
		}
		if _, err := hold(time.Millisecond); !errors.Is(err, driver.ErrTimeout) {
			t.Error("there is no time:", err)
		}
		stopped.Unlock()
	})
}

// Work that does not wait happens in a quantum, which goes on, or while no process
// has the lock.
func TestTryHold(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		try := func() bool {
			t.Helper()
			release, err := p.TryHold()
			if err != nil {
				t.Error(err)
			}
			if release == nil {
				return false
			}
			time.Sleep(2 * idleAfter)
			if synctest.Wait(); db.lock.free() {
				t.Error("the lock is given up during the work")
			}
			release()
			return true
		}
		if !try() || !db.lock.free() {
			t.Error("not done while no process has the lock, or the lock is kept")
		}
		p.keep()
		if !try() || db.lock.free() {
			t.Error("not done in a quantum, or the quantum ends")
		}
		time.Sleep(idleAfter)
		if synctest.Wait(); !db.lock.free() {
			t.Error("the quantum goes on for ever")
		}
		other := db.lock.open()
		other.Lock()
		if try() {
			t.Error("done while another process has the lock")
		}
		other.Unlock()
	})
}

// A process that cannot get the lock gets SQLite's, if no other has that and the lock
// is not handed on: its holder may be stopped between two transactions.
func TestBarge(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		p.meet()
		q := newProcess(t, db)
		q.meet()
		stopped := newLock(db.lock.open(), db.head.open())
		if ok, err := stopped.tryLock(); !ok {
			t.Fatal("the lock is not free: ", err)
		}
		for i, want := range []time.Duration{2 * stalledAfter, stalledWait, stalledWait} {
			if tr := p.do(transaction{}); !tr.barged || tr.waited != want {
				t.Errorf("try %d: barges %v after %v, want %v", i, tr.barged, tr.waited, want)
			}
		}
		if tr := q.do(transaction{timeout: stalledWait / 2}); !tr.barged || tr.waited != stalledWait/2 {
			t.Errorf("next to no time: barges %v after %v: %v", tr.barged, tr.waited, tr.err)
		}
		db.busy.Store(true)
		if tr := p.do(transaction{timeout: time.Second}); !errors.Is(tr.err, driver.ErrTimeout) || tr.waited != time.Second {
			t.Errorf("another process holds both locks: %v after %v", tr.err, tr.waited)
		}
		db.busy.Store(false)
		stopped.unlock()
		if tr := p.write(); tr.barged { // and has the lock again
			t.Error("barges although the lock is free")
		}
		stopped.tryLock()
		// There is a try also where there is hardly any time, and what short waits have
		// found out stays known.
		if tr := p.do(transaction{timeout: stalledAfter}); !tr.barged || tr.waited >= stalledAfter {
			t.Errorf("hardly any time: barges %v after %v: %v", tr.barged, tr.waited, tr.err)
		}
		if tr := p.do(transaction{timeout: stalledAfter}); tr.waited != stalledWait {
			t.Errorf("has not noticed in short waits that the holder does not move: %v", tr.waited)
		}
		stopped.unlock()
	})
}

// A process does not barge while the lock is handed on from one to the next, however
// long it waits, even if the lock was not handed on before.
func TestHandedOn(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		p.meet()
		p.meet()
		a, b := newLock(db.lock.open(), db.head.open()), newLock(db.lock.open(), db.head.open())
		a.tryLock()
		if tr := p.write(); !tr.barged {
			t.Error("does not barge although the holder is stopped")
		}
		a.unlock()
		time.Sleep(time.Millisecond)
		b.tryLock()
		a, b = b, a
		go func() {
			for range 50 {
				time.Sleep(stalledAfter / 2)
				a.unlock()
				if ok, _ := b.tryLock(); !ok {
					return // p has it at last
				}
				a, b = b, a
			}
			time.Sleep(stalledAfter / 2)
			a.unlock()
		}()
		if tr := p.write(); tr.barged || tr.waited < 20*stalledAfter {
			t.Errorf("barges %v after %v", tr.barged, tr.waited)
		}
	})
}

// A process whose quantum has ended queues, and no other.
func TestPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, db *database, p *process) {
		holder, first := db.lock.open(), db.head.open()
		waited := func() time.Duration {
			holder.Lock()
			first.Lock()
			time.AfterFunc(time.Millisecond, holder.Unlock)
			time.AfterFunc(2*time.Millisecond, first.Unlock)
			return p.write().waited.Truncate(time.Millisecond)
		}
		p.meet()
		if d := waited(); d != time.Millisecond {
			t.Error("now and then: waits", d)
		}
		time.Sleep(time.Second) // the head of the queue is free
		p.keep()
		p.quantum(0)
		if d := waited(); d != 2*time.Millisecond {
			t.Error("after a quantum: waits", d)
		}
	})
}
