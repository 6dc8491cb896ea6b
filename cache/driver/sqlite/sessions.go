package sqlite

import (
	"context"
	"path"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/inotify"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
)

// The store's use of package session, which knows neither what is in a session's folder nor
// that value files and backups put it there.

// openSessions opens the way to sessions, when the database is open.
func (c *core) openSessions() (err error) {
	o := session.Options{
		Dir: c.files, Root: sessionsName, Database: c.dbFile, ReadOnly: c.opts.ReadOnly, Log: c.log,
		Present: c.present, LookEvery: safetyPollEvery, Discard: c.discardLeftOver, LockFiles: c.opts.lockFiles,
	}
	if !c.opts.AllowNetwork { // another machine's processes are not told of
		o.Subscribe = func(closed func()) (stop func(), err error) {
			return subscribe(c.path(databaseName), inotify.Closed|inotify.Unlinked, closed)
		}
	}
	c.sessions, err = session.Open(o)
	return err
}

// isSessionFile reports whether a session may have made what is in its folder
// beside its lock: a value, or a backup's folder of links.
func isSessionFile(name string, isFolder bool) bool {
	if isFolder {
		return isLinksName(name)
	}
	return len(valuefile.FinalNames(valuesName, name)) > 0
}

// discardLeftOver removes what a session has left in its folder.
func (c *core) discardLeftOver(name string, isFolder bool) (gone bool, err error) {
	switch {
	case !isSessionFile(path.Base(name), isFolder):
		return false, nil
	case isFolder:
		return removeLinks(c.files, name)
	}
	return true, c.files.RemoveIfThere(name)
}

// Session implements [driver.Store]. The session is lost when the directory, or
// the database in it, is removed or replaced.
func (s *Store) Session(ctx context.Context) (name string, lost <-chan struct{}, err error) {
	if err := s.gate.enter(); err != nil {
		return "", nil, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return "", nil, context.Cause(ctx)
	}
	name, lost, err = s.core.sessions.Begin()
	return name, lost, translate(err)
}

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, name string) (bool, error) {
	if err := s.gate.enter(); err != nil {
		return false, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return s.core.alive(name)
}

// alive reports whether a session lives.
func (c *core) alive(name string) (bool, error) {
	ok, err := c.sessions.Alive(name)
	return ok, translate(err)
}

// WatchSession implements [driver.Store].
func (s *Store) WatchSession(names ...string) (ended <-chan struct{}, stop func(), err error) {
	if err := s.gate.enter(); err != nil {
		return nil, nil, err
	}
	defer s.gate.leave()
	ended, stop = s.core.sessions.Watch(s, names...)
	return ended, stop, nil
}
