package notify

import (
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wake"
)

// Prober notices that other connections commit.
type Prober interface {
	// Version is a number that changes with each commit of another connection.
	Version() (int64, error)
	Close() error
}

// external notices commits of programs that do not signal them: Python's DiskCache,
// the sqlite3 shell, processes that die before they signal. Four words:
//
//   - It probes when it asks the prober for the version of the database.
//   - It looks when it probes, and wakes all watchers if the version has changed.
//   - It polls when it looks at fixed intervals, where the file system does not tell.
//   - It follows when it looks at growing intervals, since a commit is visible only some
//     time after it was written.
//
// A subscription tells of one write only, the first. So external subscribes, follows,
// since the file system does not tell of what was written before, waits for a write,
// follows, and subscribes again: programs that write often pay for one notification in
// all that time.
//
// The file system tells on Linux only. The other systems' means are no help:
// kqueue has to open the database, and closing that descriptor would drop
// SQLite's locks; Windows tells of writes when a file is closed.
type external struct {
	watchers *Watchers
	stop     chan struct{} // closed to end it
	wrote    chan struct{} // has room for one: a program has written

	prober  Prober
	version int64  // as the prober last said
	sent    uint32 // signals by then
}

const (
	// pollEvery is how often external looks where the file system does not tell. A
	// look takes two or three microseconds.
	pollEvery = 10 * time.Millisecond
	// firstLook is the time after which a commit that was written can be seen,
	// unless it waits for the disk. The times between further looks grow up
	// to lastLook.
	firstLook = 100 * time.Microsecond
	lastLook  = 100 * time.Millisecond
	// signalledLook is the interval of looks while commits arrive that were signalled:
	// one that was not may lie between them. unsignalledLook is the interval while
	// commits arrive that were not.
	signalledLook   = 20 * time.Millisecond
	unsignalledLook = time.Millisecond
	// openEvery is how often it tries to open the prober.
	openEvery = time.Second
)

func newExternal(w *Watchers) *external {
	x := &external{watchers: w, version: -1, stop: make(chan struct{}), wrote: make(chan struct{}, 1)}
	w.all.Go(x.run)
	return x
}

// end has the goroutine end. It may still run: Watchers.all waits for it.
func (x *external) end() { close(x.stop) }

// run is the goroutine.
func (x *external) run() {
	if !x.open() {
		return
	}
	defer x.prober.Close()
	var unsubscribe func()
	defer func() {
		if unsubscribe != nil {
			unsubscribe()
		}
	}()
	for {
		rest := pollEvery
		subscribed := false
		if x.watchers.Subscribe != nil {
			stop, err := x.watchers.Subscribe(func() { wake.Signal(x.wrote) })
			if subscribed = err == nil; subscribed {
				rest = x.watchers.LookEvery
			}
			if unsubscribe != nil { // only now, as the first and the last subscription of a process cost more
				unsubscribe()
			}
			unsubscribe = stop
		}
		wrote, ok := false, true
		if subscribed {
			// What was written before is not told any more, and may still not
			// be seen.
			wrote, ok = x.follow()
		}
		for ok && !wrote {
			x.lookForDatabase()
			x.look()
			if wrote, ok = x.wait(rest); !subscribed {
				break
			}
		}
		if ok && wrote {
			_, ok = x.follow() // the subscription tells of no further write
		}
		if !ok {
			return
		}
	}
}

// open opens the prober, or returns false.
func (x *external) open() bool {
	for {
		var err error
		if x.prober, err = x.watchers.OpenProber(); err == nil {
			return true
		}
		x.lookForDatabase()
		x.watchers.Log.Warn("changes by other programs are not noticed", "error", err)
		if _, ok := x.wait(openEvery); !ok {
			return false
		}
	}
}

// lookForDatabase wakes all watchers if the database is not there any more: they
// find out when they read.
func (x *external) lookForDatabase() {
	if x.watchers.Present() != nil {
		x.watchers.notifyAll()
	}
}

// wait waits until a program writes, at most for d, and returns false when it
// is time to end.
func (x *external) wait(d time.Duration) (wrote, ok bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-x.stop:
		return false, false
	case <-x.wrote:
		return true, true
	case <-timer.C:
		return false, true
	}
}

// follow looks at growing intervals; a commit or a write has them begin anew. It returns
// whether a program has written meanwhile, and false when it is time to end.
func (x *external) follow() (wrote, ok bool) {
	for d := firstLook; d < 2*lastLook; {
		again, ok := x.wait(d)
		if !ok {
			return false, false
		}
		wrote = wrote || again
		switch changed, signalled := x.look(); {
		case changed && signalled:
			d = signalledLook
		case changed:
			d = unsignalledLook
		case again:
			d = firstLook
		default:
			d *= 4
		}
	}
	return wrote, true
}

// look finds out whether another connection has committed since the last look, wakes
// all watchers then, and reports whether a process has signalled. It also wakes them
// if it cannot look: they meet the reason when they read.
func (x *external) look() (changed, signalled bool) {
	version, err := x.prober.Version()
	if s := x.watchers.signals; s != nil {
		sent := s.sent()
		signalled = sent != x.sent
		x.sent = sent
	}
	if err == nil && version == x.version {
		return false, signalled
	}
	x.version = version
	x.watchers.notifyAll()
	return err == nil, signalled
}
