//go:build unix

package vfs

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// shim is the VFS: database and WAL files are opened by SQLite's own and then get a copy
// of its table of methods in which a few are ours. What they save is described in
// walbuffer_unix.go and deferred_unix.go. Other files, and other users of SQLite in the
// process, are not touched.
var shim = shimType{deferring: make(map[string][]uintptr)}

type shimType struct {
	name uintptr // C string
	tail uintptr // offset of the vfsFile within SQLite's file object
	base uintptr // the VFS below
	open cabi.OpenFunc

	unlocking func(db uintptr) // see Register

	mu        sync.Mutex
	db, wal   methods              // written once
	deferring map[string][]uintptr // database files by name, see deferred_unix.go

	checkpoints atomic.Int32 // that our connections do, of whatever database
}

const (
	vfsName = "diskcache"
	// baseName is the only VFS that we know well enough to stand before.
	baseName = "unix"
)

// vfsFile is what we know of a file. It lies in C memory, at the end of
// SQLite's file object, and must have no Go pointers.
type vfsFile struct {
	lockState   // of a database file
	bufferState // of a WAL file
}

func fileAt(id uintptr) *vfsFile { return cabi.At[vfsFile](id + shim.tail) }

// methods is a table of the VFS below and our copy of it.
type methods struct {
	from uintptr // the table that own was made of
	own  uintptr

	close    cabi.FileFunc
	read     cabi.IOFunc
	write    cabi.IOFunc
	truncate cabi.TruncateFunc
	sync     cabi.FlagFunc
	size     cabi.SizeFunc
	shmLock  cabi.LockFunc
	shmUnmap cabi.FlagFunc
	shmMap   cabi.MapFunc
}

// Register makes the VFS known to SQLite, not as the default one. It is called once in a
// process, before a database is opened. Before a file that [File.CallOnUnlock] was called
// with releases the write lock, unlocking is called with what it was given.
func Register(tls *libc.TLS, unlocking func(db uintptr)) {
	shim.unlocking = unlocking
	base := lib.Xsqlite3_vfs_find(tls, 0)
	if base == 0 {
		return
	}
	v := *cabi.At[lib.Tsqlite3_vfs](base)
	if libc.GoString(v.FzName) != baseName {
		return
	}
	const align = 8
	shim.tail = uintptr(v.FszOsFile+align-1) &^ (align - 1)
	shim.open = cabi.GoFunc[cabi.OpenFunc](v.FxOpen)

	// What SQLite has pointers to lies in C memory like everything that its
	// code touches, and for good.
	p, name := cmalloc(tls, unsafe.Sizeof(v)), cmalloc(tls, uintptr(len(vfsName)+1))
	if p == 0 || name == 0 {
		return
	}
	copy(cabi.Bytes(name, len(vfsName)+1), vfsName+"\x00")
	v.FpNext = 0
	v.FszOsFile = int32(shim.tail + unsafe.Sizeof(vfsFile{}))
	v.FzName = name
	v.FxOpen = cabi.Function(shimOpen)
	*cabi.At[lib.Tsqlite3_vfs](p) = v
	if lib.Xsqlite3_vfs_register(tls, p, 0) == lib.SQLITE_OK {
		shim.base, shim.name = base, name
	}
}

// cmalloc returns memory that SQLite does not count as its own.
func cmalloc(tls *libc.TLS, n uintptr) uintptr { return libc.Xmalloc(tls, libc.Tsize_t(n)) }

// Name is the name of the VFS to open a database with as a C string, or zero
// for SQLite's default.
func Name() uintptr { return shim.name }

// shimOpen is xOpen.
func shimOpen(tls *libc.TLS, _, name, id uintptr, flags int32, out uintptr) int32 {
	if rc := shim.open(tls, shim.base, name, id, flags, out); rc != lib.SQLITE_OK {
		return rc
	}
	*fileAt(id) = vfsFile{}
	const kinds = 0x0fff00
	switch flags & kinds {
	case lib.SQLITE_OPEN_MAIN_DB:
		shim.wrap(tls, id, &shim.db, overrideDB)
	case lib.SQLITE_OPEN_WAL:
		// The name that SQLite passes belongs to the pager of the database.
		db := lib.Xsqlite3_database_file_object(tls, name)
		if isOurs(db, &shim.db) && shim.wrap(tls, id, &shim.wal, overrideWAL) {
			fileAt(db).wal = id
			fileAt(id).db = db
		}
	}
	return lib.SQLITE_OK
}

// wrap gives the file our methods. It does not if the file's own are not
// those that ours were made of: on some systems they depend on the file
// system.
func (s *shimType) wrap(tls *libc.TLS, id uintptr, m *methods, override overrideFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	table := cabi.At[uintptr](id)
	if m.own == 0 {
		if *table == 0 {
			return false
		}
		t := *cabi.At[lib.Tsqlite3_io_methods](*table)
		if !override(m, &t) {
			return false
		}
		own := cmalloc(tls, unsafe.Sizeof(t))
		if own == 0 {
			return false
		}
		*cabi.At[lib.Tsqlite3_io_methods](own) = t
		m.from, m.own = *table, own
	}
	if *table != m.from {
		return false
	}
	*table = m.own
	return true
}

// overrideFunc puts our functions in t and those that were there in m.
type overrideFunc = func(m *methods, t *lib.Tsqlite3_io_methods) bool

// isOurs reports whether a file has our methods of a kind.
func isOurs(id uintptr, m *methods) bool {
	shim.mu.Lock()
	defer shim.mu.Unlock()
	return id != 0 && m.own != 0 && *cabi.At[uintptr](id) == m.own
}

// override replaces the method in slot and returns what was there.
func override[F any](slot *uintptr, f F) F {
	was := cabi.GoFunc[F](*slot)
	*slot = cabi.Function(f)
	return was
}
