package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/inotify"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

// strangers brings commits of programs that do not signal them: Python's
// DiskCache, the sqlite3 shell, processes that die before they signal. It asks
// SQLite whether another connection has committed, when the file system tells
// that somebody writes, and for some time after that, since a commit is seen
// only some time after it was written. Most of that time it is not told, so that
// those who write often do not pay for it; to be told again it first asks for
// some time more, since nobody tells of what was written just before.
//
// The file system tells on Linux only. The other systems' means are no help:
// kqueue has to open the database, and closing that descriptor would drop
// SQLite's locks; Windows tells of writes when a file is closed.
type strangers struct {
	core  *core
	stop  chan struct{} // closed to end it
	wrote chan struct{} // has room for one: somebody has written

	conn    *conn
	version int64  // as SQLite last told
	sent    uint32 // signals by then
}

const (
	// pollEvery is how often is looked where nobody tells. A look takes two or
	// three microseconds.
	pollEvery = 10 * time.Millisecond
	// firstLook is the time after which a commit that was written can be seen,
	// unless it waits for the disk. The times between further looks grow up
	// to lastLook.
	firstLook = 100 * time.Microsecond
	lastLook  = 100 * time.Millisecond
	// busyLook is the time between looks while processes commit that signal
	// it: their commits may hide others. thirdLook is it while others do.
	busyLook  = 20 * time.Millisecond
	thirdLook = time.Millisecond
)

// netEvery is how often is looked where somebody tells. Tests do without, so
// that what nobody tells stops them.
var netEvery = time.Second

func newStrangers(c *core) *strangers {
	s := &strangers{core: c, version: -1, stop: make(chan struct{}), wrote: make(chan struct{}, 1)}
	c.watches.all.Go(s.run)
	return s
}

// end has it end. It may still be about to: watches.all tells.
func (s *strangers) end() { close(s.stop) }

func (s *strangers) run() {
	if !s.open() {
		return
	}
	defer s.conn.Close()
	var told *inotify.Watch
	defer func() {
		if told != nil {
			told.Remove()
		}
	}()
	for {
		w, err := inotify.Add(s.core.files.Path(), inotify.Modified|inotify.Once, func() { signal(s.wrote) })
		if told != nil { // only now, as the first and the last watch of a process cost more
			told.Remove()
		}
		told = w
		rest := pollEvery
		if err == nil {
			rest = netEvery
		}
		wrote, ok := false, true
		if err == nil {
			// What was written before is not told any more, and may still not
			// be seen.
			wrote, ok = s.follow()
		}
		for ok && !wrote {
			s.lookForDatabase()
			s.look()
			if wrote, ok = s.wait(rest); err != nil {
				break
			}
		}
		if ok && wrote {
			_, ok = s.follow() // what is written now is told once only
		}
		if !ok {
			return
		}
	}
}

// open opens the connection, or returns false.
func (s *strangers) open() bool {
	for {
		var err error
		if s.conn, err = s.core.openConn(lite.ReadOnly, minCacheSize/4); err == nil {
			return true
		}
		s.lookForDatabase()
		s.core.log.Warn("changes by other programs are not noticed", "error", err)
		if _, ok := s.wait(time.Second); !ok {
			return false
		}
	}
}

// lookForDatabase tells all watchers if the database is not there any more: they
// find out when they read.
func (s *strangers) lookForDatabase() {
	if s.core.readable() != nil {
		s.core.watches.notifyAll()
	}
}

// wait waits until somebody writes, at most for d, and returns false when it
// is time to end.
func (s *strangers) wait(d time.Duration) (wrote, ok bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.stop:
		return false, false
	case <-s.wrote:
		return true, true
	case <-timer.C:
		return false, true
	}
}

// follow looks more and more seldom. It returns whether it was told meanwhile
// that somebody writes, and false when it is time to end.
func (s *strangers) follow() (wrote, ok bool) {
	for d := firstLook; d < 2*lastLook; {
		told, ok := s.wait(d)
		if !ok {
			return false, false
		}
		wrote = wrote || told
		switch changed, signalled := s.look(); {
		case changed && signalled:
			d = busyLook
		case changed:
			d = thirdLook
		case told:
			d = firstLook
		default:
			d *= 4
		}
	}
	return wrote, true
}

// look finds out whether anybody has committed since the last look, tells all
// watchers, and reports whether anybody has signalled. They are told of what
// keeps it from looking too, as they meet it themselves.
func (s *strangers) look() (changed, signalled bool) {
	s.conn.bound(context.Background(), time.Now().Add(time.Second))
	version, err := s.conn.integer("PRAGMA data_version")
	if sig := s.core.watches.signals; sig != nil {
		sent := sig.sent()
		signalled = sent != s.sent
		s.sent = sent
	}
	if err == nil && version == s.version {
		return false, signalled
	}
	s.version = version
	s.core.watches.notifyAll()
	return err == nil, signalled
}
