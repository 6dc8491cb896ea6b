//go:build unix

package powercut

import (
	"slices"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// SQLite's own VFS is changed in its place, for the whole process and before
// anybody opens a database: package vfs takes what it finds there for the
// system's. Each file keeps its methods but for those that change it.

var below struct {
	once   sync.Once
	open   cabi.OpenFunc
	delete cabi.DeleteFunc

	mu     sync.Mutex
	disks  []*Disk
	tables map[uintptr]*table // by that of SQLite's
	files  map[uintptr]*opened
}

// table is SQLite's methods of a kind of file, and the ones in their place.
type table struct {
	was, is uintptr

	close    cabi.FileFunc
	write    cabi.IOFunc
	truncate cabi.TruncateFunc
	sync     cabi.FlagFunc
}

// opened is a file that SQLite has open.
type opened struct {
	*table
	disk *Disk // nil if the file is none of a disk's
	node int
	rel  string
}

// Install has SQLite's files recorded in this process. It must be called before
// anything uses SQLite.
func Install() {
	below.once.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		lib.Xsqlite3_initialize(tls)
		vfs := cabi.At[lib.Tsqlite3_vfs](lib.Xsqlite3_vfs_find(tls, 0))
		below.tables = make(map[uintptr]*table)
		below.files = make(map[uintptr]*opened)
		below.open, below.delete = cabi.GoFunc[cabi.OpenFunc](vfs.FxOpen), cabi.GoFunc[cabi.DeleteFunc](vfs.FxDelete)
		vfs.FxOpen, vfs.FxDelete = cabi.Function(xOpen), cabi.Function(xDelete)
	})
}

// Record has what is done in the directory recorded until the returned function
// is called.
func (d *Disk) Record() (stop func()) {
	stopFiles := d.recordFiles()
	below.mu.Lock()
	defer below.mu.Unlock()
	below.disks = append(below.disks, d)
	return func() {
		stopFiles()
		below.mu.Lock()
		defer below.mu.Unlock()
		below.disks = slices.DeleteFunc(below.disks, func(o *Disk) bool { return o == d })
	}
}

// diskOf returns the disk of a path. The caller holds below.mu.
func diskOf(path string) (*Disk, string) {
	for _, d := range below.disks {
		if rel, ok := d.rel(path); ok {
			return d, rel
		}
	}
	return nil, ""
}

func xOpen(tls *libc.TLS, vfs, name, id uintptr, flags int32, out uintptr) int32 {
	rc := below.open(tls, vfs, name, id, flags, out)
	if rc != lib.SQLITE_OK {
		return rc
	}
	below.mu.Lock()
	defer below.mu.Unlock()
	f := &opened{table: tableOf(tls, id)}
	*cabi.At[uintptr](id) = f.is
	below.files[id] = f
	if name == 0 {
		return rc
	}
	if d, rel := diskOf(libc.GoString(name)); d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if n, ok := d.add(rel, false); ok {
			f.disk, f.node, f.rel = d, n, rel
		}
	}
	return rc
}

// tableOf returns the methods for a file that was just opened.
func tableOf(tls *libc.TLS, id uintptr) *table {
	was := *cabi.At[uintptr](id)
	t := below.tables[was]
	if t != nil {
		return t
	}
	m := *cabi.At[lib.Tsqlite3_io_methods](was)
	t = &table{
		was: was, close: cabi.GoFunc[cabi.FileFunc](m.FxClose), write: cabi.GoFunc[cabi.IOFunc](m.FxWrite),
		truncate: cabi.GoFunc[cabi.TruncateFunc](m.FxTruncate), sync: cabi.GoFunc[cabi.FlagFunc](m.FxSync),
	}
	m.FxClose, m.FxWrite = cabi.Function(xClose), cabi.Function(xWrite)
	m.FxTruncate, m.FxSync = cabi.Function(xTruncate), cabi.Function(xSync)
	t.is = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(m)))
	*cabi.At[lib.Tsqlite3_io_methods](t.is) = m
	below.tables[was] = t
	return t
}

func fileOf(id uintptr) *opened {
	below.mu.Lock()
	defer below.mu.Unlock()
	return below.files[id]
}

func xClose(tls *libc.TLS, id uintptr) int32 {
	f := fileOf(id)
	rc := f.close(tls, id)
	below.mu.Lock()
	defer below.mu.Unlock()
	delete(below.files, id)
	return rc
}

func xWrite(tls *libc.TLS, id, buf uintptr, n int32, off int64) int32 {
	f := fileOf(id)
	rc := f.write(tls, id, buf, n, off)
	if rc == lib.SQLITE_OK && f.disk != nil {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		f.disk.write(f.node, off, cabi.Bytes(buf, int(n)))
	}
	return rc
}

func xTruncate(tls *libc.TLS, id uintptr, size int64) int32 {
	f := fileOf(id)
	rc := f.truncate(tls, id, size)
	if rc == lib.SQLITE_OK && f.disk != nil {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		f.disk.truncate(f.node, size)
	}
	return rc
}

func xSync(tls *libc.TLS, id uintptr, flags int32) int32 {
	f := fileOf(id)
	if f.disk == nil {
		return f.sync(tls, id, flags)
	}
	// The first sync of a journal or a WAL is one of its folder too.
	folderToo := cabi.At[lib.TunixFile](id).FctrlFlags&lib.UNIXFILE_DIRSYNC != 0
	f.disk.mu.Lock()
	upto := len(f.disk.log)
	f.disk.mu.Unlock()
	rc := f.sync(tls, id, flags)
	if rc == lib.SQLITE_OK {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		f.disk.sync(f.node, upto)
		if folderToo {
			f.disk.syncFolderOf(f.rel, upto)
		}
	}
	return rc
}

func xDelete(tls *libc.TLS, vfs, name uintptr, syncFolder int32) int32 {
	rc := below.delete(tls, vfs, name, syncFolder)
	if rc != lib.SQLITE_OK {
		return rc
	}
	below.mu.Lock()
	d, rel := diskOf(libc.GoString(name))
	below.mu.Unlock()
	if d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.remove(rel)
		if syncFolder&1 != 0 {
			d.syncFolderOf(rel, len(d.log))
		}
	}
	return rc
}

func (d *Disk) syncFolderOf(rel string, upto int) {
	if n, _, ok := d.folder(rel); ok {
		d.sync(n, upto)
	}
}
