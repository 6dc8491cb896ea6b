package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/inotify"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/notify"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// A watch tells that a collection may have changed, whichever process has changed it. Package
// notify has the watches; here it gets a connection to look with, and the page of signals.

// safetyPollEvery is how often watches and sessions poll for what other processes have done,
// although those signal it: a signal may be missing. Tests set it so high that a watch
// without its signal waits for ever.
var safetyPollEvery = time.Second

// openWatchers prepares for watches.
func (c *core) openWatchers() {
	o := notify.Options{
		Log: c.log, Present: c.readable, LookEvery: safetyPollEvery,
		Subscribe: func(wrote func()) (stop func(), err error) {
			return subscribe(c.files.Path(), inotify.Modified|inotify.Once, wrote)
		},
	}
	if !c.immutable { // else no process can change it
		o.OpenProber = func() (notify.Prober, error) {
			cn, err := c.openConn(sqlite3.ReadOnly, minCacheSize/4)
			if err != nil {
				return nil, err
			}
			return prober{cn}, nil
		}
	}
	c.watchers = notify.NewWatchers(o)
}

// subscribe has fn called when one of the events happens to a file, until stop.
func subscribe(path string, events inotify.Event, fn func()) (stop func(), err error) {
	w, err := inotify.Add(path, events, fn)
	if err != nil {
		return nil, err
	}
	return w.Remove, nil
}

// prober notices commits of other connections than its own.
type prober struct{ *conn }

// Version implements [notify.Prober].
func (p prober) Version() (int64, error) {
	p.waitUntil(context.Background(), time.Now().Add(time.Second))
	return p.integer("PRAGMA data_version")
}

// openSignals makes it possible to signal commits to other processes, and to be
// signalled. It writes to the directory. It fails if the file is not to be
// trusted.
func (c *core) openSignals() error {
	err := errors.ErrUnsupported
	if notify.CanSignal {
		err = c.openSignalsFile()
	}
	if isHostile(err) {
		return translate(err)
	}
	if err != nil {
		c.log.Debug("other processes are not signalled", "error", err)
	}
	return nil
}

// openSignalsFile opens the page of signals.
func (c *core) openSignalsFile() error {
	f, err := c.files.Shared(watchName)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.watchers.OpenSignals(f, func() {
		c.log.Warn("another program has cut the file of signals short: changes by other processes are noticed late until the store is opened again", "file", watchName)
	})
}

// Topic implements [notify.Subject].
func (c *collection) Topic() uint32 { return 1 << (uint64(c.id) % notify.Topics) }

// topicsOf returns the topics of collections.
func topicsOf(cs []*collection) (topics uint32) {
	for _, c := range cs {
		topics |= c.Topic()
	}
	return topics
}

// Watch implements [driver.Store].
func (s *Store) Watch(h driver.Collection) (<-chan struct{}, func(), error) {
	if err := s.gate.enter(); err != nil {
		return nil, nil, err
	}
	defer s.gate.leave()
	c, err := s.core.own(h)
	if err == nil {
		err = s.core.readable()
	}
	if err != nil {
		return nil, nil, err
	}
	changed, stop := s.core.watchers.Watch(s, c)
	return changed, stop, nil
}
