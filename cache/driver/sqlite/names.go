package sqlite

import (
	"errors"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// The names of what lies in the directory. Every name contains
// "cache.db", because DiskCache's check removes files that it does not know
// unless their path does.
const (
	databaseName  = "cache.db"
	lockName      = "cache.db-lock"         // held by the process whose turn it is to write
	queueHeadName = "cache.db-line"         // held by the process that is next
	sessionsName  = "cache.db-sessions"     // a folder a session
	watchName     = "cache.db-watch"        // a page of memory that signals commits
	nearName      = "cache.db-" + near.Name // versions of rows, for near caches
	reserveName   = "cache.db-reserve"      // room to give up when the disk is full
	valuesName    = "cache.db-values"       // value files of named collections
)

// path returns the full path of a name relative to the store.
func (c *core) path(rel string) string {
	return filepath.Join(c.files.Path(), filepath.FromSlash(rel))
}

// isOwnName reports whether a name in the store's directory is one of the
// store's own. Some file systems take upper and lower case for the same.
func isOwnName(name string) bool { return strings.Contains(strings.ToLower(name), databaseName) }

// isHostile reports whether err says that something was put in the place of a
// file of the store's.
func isHostile(err error) bool {
	return errors.Is(err, osfs.ErrNotRegular) || errors.Is(err, osfs.ErrOwner)
}

// maxName bounds the bytes of the name of a value file. DiskCache's have 38.
const maxName = 1000

// isValueName reports whether a row may refer to a file: one in the store that
// is not part of the store's own.
func isValueName(rel string) bool {
	return len(rel) <= maxName && rel != "." && path.Clean(rel) == rel && strings.IndexByte(rel, 0) < 0 &&
		filepath.IsLocal(filepath.FromSlash(rel)) && !isOwnName(strings.TrimPrefix(rel, valuesName+"/"))
}

// ownFiles are those that SQLite keeps beside the database.
var ownFiles = [...]string{databaseName + "-wal", databaseName + "-shm", databaseName + "-journal"}
