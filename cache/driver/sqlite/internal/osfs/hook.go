package osfs

import (
	"path/filepath"
	"sync"
)

// OpKind is a kind of access.
type OpKind string

// The kinds of access. What is set beside Op.Name stands next to them.
const (
	OpOpen       OpKind = "open"
	OpCreate     OpKind = "create"
	OpRead       OpKind = "read"
	OpWrite      OpKind = "write"    // Data, Offset
	OpTruncate   OpKind = "truncate" // Offset is the new size
	OpSync       OpKind = "sync"
	OpClose      OpKind = "close"
	OpLock       OpKind = "lock"
	OpStat       OpKind = "stat"
	OpReadDir    OpKind = "readdir"
	OpMkdir      OpKind = "mkdir"
	OpRemove     OpKind = "remove"
	OpLink       OpKind = "link" // To
	OpSyncFolder OpKind = "syncfolder"
	OpStatFS     OpKind = "statfs"
)

// Op is one access to what is below a directory.
type Op struct {
	Kind OpKind
	Dir  string // path of the directory
	Name string // relative to it; of an open file, the name that it was opened with
	To   string

	Data   []byte // a hook that shortens it has less written
	Offset int64
}

// Hook stands between the engine and the file system in a test. It calls do,
// which does op, or returns an error instead of that, or after it. It is called
// by any goroutine.
type Hook func(op *Op, do func() error) error

var hooks = struct {
	sync.Mutex
	by map[string]Hook // by directory
}{by: make(map[string]Hook)}

// SetHook has hook called for all accesses of a directory, and of those below,
// if they are opened from now on, until the returned function is called.
func SetHook(dir string, hook Hook) (remove func()) {
	if resolved, err := resolve(dir); err == nil {
		dir = resolved
	}
	hooks.Lock()
	defer hooks.Unlock()
	hooks.by[dir] = hook
	return func() {
		hooks.Lock()
		defer hooks.Unlock()
		delete(hooks.by, dir)
	}
}

func hookOf(dir string) Hook {
	hooks.Lock()
	defer hooks.Unlock()
	for root, hook := range hooks.by {
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
			return hook
		}
	}
	return nil
}
