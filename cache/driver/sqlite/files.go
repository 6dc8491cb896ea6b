package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/codec"
)

// What lies in the directory beside the database. Every name contains
// "cache.db", because DiskCache's check removes files that it does not know
// unless their path does.
const (
	lockName     = "cache.db-lock"         // turns of writers that have met
	lineName     = "cache.db-line"         // the head of the queue for a turn
	sessionsName = "cache.db-sessions"     // a folder a session
	watchName    = "cache.db-watch"        // a page of memory that signals commits
	nearName     = "cache.db-" + near.Name // versions of rows, for near caches
	reserveName  = "cache.db-reserve"      // room to give up when the disk is full
	valuesName   = "cache.db-values"       // value files of named collections
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

// isHex reports whether s is n digits as hex.EncodeToString writes them.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// file is a value file on its way into the store.
//
// It is written under a temporary name in the folder of its session. Put links
// it to the name that the row will have, which only then is created, under
// the write lock, so that no check takes it for a left-over. The temporary
// name goes when a power cut cannot undo the commit any more. A process that dies
// in between leaves a temporary file that tells, by its name, which file may be
// without a row.
type file struct {
	core   *core
	kind   codec.Kind
	f      *osfs.File
	temp   string // relative to the store; "" once it is gone
	base   string // aa/bb/cccc.val
	final  string // relative to the store; "" if there is none now
	size   int64
	sum    uint32 // CRC-32C of the content
	copied bool   // final is no link to temp
	kept   bool
	err    error
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Create implements [driver.Filer].
func (s *Store) Create(ctx context.Context, kind codec.Kind) (driver.File, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if s.ReadOnly() {
		return nil, driver.ErrReadOnly
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if kind != codec.Text && kind != codec.Blob {
		return nil, fmt.Errorf("a value of kind %v cannot be kept in a file", kind)
	}
	if err := s.core.present(); err != nil {
		return nil, err
	}
	var id [16]byte
	rand.Read(id[:])
	name := hex.EncodeToString(id[:])
	f := &file{core: s.core, kind: kind, base: basePath(name)}
	err := s.core.sessions.InFolder(func(folder string) (err error) {
		f.temp = path.Join(folder, name+".val")
		f.f, err = s.core.files.Create(f.temp)
		if osfs.IsFull(err) && s.core.durable.makeRoom() {
			f.f, err = s.core.files.Create(f.temp)
		}
		return err
	})
	if err != nil {
		return nil, translate(err)
	}
	return f, nil
}

// basePath spreads value files over folders as DiskCache does.
func basePath(name string) string { return path.Join(name[:2], name[2:4], name[4:]+".val") }

// Write implements io.Writer.
func (f *file) Write(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.f.Write(b)
	if osfs.IsFull(err) && f.core.durable.makeRoom() {
		var more int
		more, err = f.f.Write(b[n:])
		n += more
	}
	f.size += int64(n)
	f.sum = crc32.Update(f.sum, castagnoli, b[:n])
	if err != nil {
		f.err = translate(err)
	}
	return n, f.err
}

// Size implements [driver.File].
func (f *file) Size() int64 { return f.size }

// Finish implements [driver.File].
func (f *file) Finish() error {
	if f.err != nil || f.f == nil {
		return f.err
	}
	if f.core.opts.syncing() == syncFirst {
		f.err = f.f.Sync()
	}
	f.err = translate(errors.Join(f.err, f.f.Close()))
	f.f = nil
	return f.err
}

// sum returns the checksum of a file.
func sum(f *osfs.File) (uint32, error) {
	h := crc32.New(castagnoli)
	_, err := io.Copy(h, io.NewSectionReader(f, 0, math.MaxInt64))
	return h.Sum32(), err
}

// Discard implements [driver.File].
func (f *file) Discard() {
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
	if f.kept {
		return
	}
	f.unplace()
	if f.temp != "" {
		f.core.removeTemp(f.temp)
		f.temp = ""
	}
}

func (c *core) removeTemp(temp string) {
	if err := c.files.RemoveIfThere(temp); err != nil {
		c.log.Warn("temporary file stays until the next sweep", "path", temp, "error", err)
	}
}

// place gives the file the name that a row of c refers to.
func (f *file) place(t *tx, c *collection) error {
	switch {
	case f.err != nil:
		return f.err
	case f.f != nil:
		return errors.New("file is put before Finish")
	case f.temp == "" || f.kept || f.final != "":
		return errors.New("file is put twice")
	}
	rel := f.base
	if c.id != 0 {
		rel = path.Join(valuesName, rel)
	}
	dir := f.core.files
	// Another process may be removing the folder because it was empty.
	var made, err error
	for range 10 {
		if made = dir.MkdirAll(path.Dir(rel)); made == nil {
			err = dir.Link(f.temp, rel)
		}
		if !errors.Is(errors.Join(made, err), fs.ErrNotExist) {
			break
		}
	}
	if made == nil && err != nil {
		// Some file systems have no hard links.
		err = dir.CopyTo(f.temp, dir, rel)
		f.copied = true
	}
	if err := errors.Join(made, err); err != nil {
		f.core.removeFolders(path.Dir(rel))
		return translate(err)
	}
	f.final = rel
	t.placed = append(t.placed, f)
	return nil
}

// keep is told that the row was committed.
func (f *file) keep(r *trash) {
	f.kept = true
	r.temps = append(r.temps, f.temp)
	r.bytes += f.size
	f.temp = ""
}

// unplace is told that the row was not committed.
func (f *file) unplace() {
	if f.final == "" || f.kept {
		return
	}
	if err := f.core.removeValue(f.final); err != nil {
		// The temporary name stays: by it, the next sweep finds this one.
		f.core.log.Warn("value file without a row stays until the next sweep", "path", f.final, "error", err)
		f.temp, f.err = "", translate(err)
	}
	f.final = ""
}

func (f *file) stored() stored {
	mode := int64(modeBinary)
	if f.kind == codec.Text {
		mode = modeText
	}
	return stored{size: f.size, mode: mode, file: f.final}
}

// maxName bounds the bytes of the name of a value file. DiskCache's have 38.
const maxName = 1000

// isValueName reports whether a row may refer to a file: one in the store that
// is not part of the store's own.
func isValueName(rel string) bool {
	return len(rel) <= maxName && rel != "." && path.Clean(rel) == rel && strings.IndexByte(rel, 0) < 0 &&
		filepath.IsLocal(filepath.FromSlash(rel)) && !isOwnName(strings.TrimPrefix(rel, valuesName+"/"))
}

// removeValue removes a value file, and the folders above it that it leaves
// empty.
func (c *core) removeValue(rel string) error {
	if !isValueName(rel) {
		return fmt.Errorf("%w: a row refers to a file that is no value of the store", driver.ErrCorrupt)
	}
	// Where something else is in the place of a folder there is no such file.
	if err := c.files.Remove(rel); err != nil && !isMissing(err) {
		return err
	}
	c.removeFolders(path.Dir(rel))
	return nil
}

// removeFolders removes a folder, and those above it, as far as they are empty.
func (c *core) removeFolders(rel string) {
	for ; rel != "."; rel = path.Dir(rel) {
		if err := c.files.RemoveIfThere(rel); err != nil { // not empty
			break
		}
	}
}

// trash is what transactions have left to be removed: value files that no row
// refers to any more, and the temporary names of those that got rows. The former
// are in the database too, from the transaction that took the rows away until
// the files are gone, so that a crash in between leaves nothing behind.
type trash struct {
	paths []string
	ids   []int64 // of the lines in the database
	bytes int64   // of the new files
	temps []string
}

func (r *trash) add(o trash) {
	r.paths = append(r.paths, o.paths...)
	r.ids = append(r.ids, o.ids...)
	r.bytes += o.bytes
	r.temps = append(r.temps, o.temps...)
}

func (r *trash) empty() bool { return len(r.paths) == 0 && len(r.temps) == 0 }

// discard has a value file removed after the commit.
func (t *tx) discard(rel string) error {
	s, err := t.conn.query("INSERT INTO Trash (path) VALUES (?1)")
	if err != nil {
		return err
	}
	s.BindText(1, rel)
	if err := s.Run(); err != nil {
		return err
	}
	t.trash.paths = append(t.trash.paths, rel)
	t.trash.ids = append(t.trash.ids, t.conn.LastInsertRowID())
	return nil
}

// emptyTrash removes what a transaction has left, when a power cut cannot undo
// that any more. What cannot be removed now (on Windows, a file that is being
// read) is tried again when the store is opened the next time.
//
// While a View of this process runs that began before, and may want to read
// them, the files stay; the last such View removes them.
func (c *core) emptyTrash(r trash) {
	for _, temp := range r.temps {
		c.removeTemp(temp)
	}
	if len(r.paths) == 0 {
		return
	}
	c.trash.Lock()
	if len(c.trash.views) > 0 {
		c.trash.kept = append(c.trash.kept, keptTrash{c.trash.last, r})
		r = trash{}
	}
	c.trash.Unlock()
	c.removeTrash(r)
}

func (c *core) removeTrash(r trash) {
	if len(r.paths) == 0 || c.present() != nil { // another database may have rows of these files
		return
	}
	gone := r.ids[:0]
	for i, p := range r.paths {
		if err := c.removeValue(p); err != nil {
			c.log.Warn("value file stays in the trash", "path", p, "error", err)
			continue
		}
		gone = append(gone, r.ids[i])
	}
	c.maintainer.emptied(gone)
}

// trashCan is what has to wait for running Views, which are numbered in the
// order in which they begin.
type trashCan struct {
	sync.Mutex
	last  int64
	views map[int64]struct{}
	kept  []keptTrash // in the order of until
}

// keptTrash stays until no View up to a number runs.
type keptTrash struct {
	until int64
	trash
}

// enterView keeps value files from being removed until leaveView.
func (c *core) enterView() (number int64) {
	c.trash.Lock()
	defer c.trash.Unlock()
	if c.trash.views == nil {
		c.trash.views = make(map[int64]struct{})
	}
	c.trash.last++
	c.trash.views[c.trash.last] = struct{}{}
	return c.trash.last
}

func (c *core) leaveView(number int64) {
	var free trash
	c.trash.Lock()
	delete(c.trash.views, number)
	oldest := c.trash.last + 1
	for v := range c.trash.views {
		oldest = min(oldest, v)
	}
	for len(c.trash.kept) > 0 && c.trash.kept[0].until < oldest {
		free.add(c.trash.kept[0].trash)
		c.trash.kept = c.trash.kept[1:]
	}
	c.trash.Unlock()
	c.removeTrash(free)
}

// viewed reports whether a View is running.
func (c *core) viewed() bool {
	c.trash.Lock()
	defer c.trash.Unlock()
	return len(c.trash.views) > 0
}

// OpenFile implements [driver.Filer].
func (s *Store) OpenFile(ctx context.Context, h driver.Collection, r driver.Row) (driver.Content, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := s.core.own(h); err != nil {
		return nil, err
	}
	if !isValueName(r.File) {
		return nil, fmt.Errorf("%w: row refers to no file of the store", driver.ErrCorrupt)
	}
	f, err := s.core.files.Read(r.File)
	if errors.Is(err, osfs.ErrNotRegular) {
		return nil, fmt.Errorf("%w: a value file is no file: mend the store with Check: %w", driver.ErrCorrupt, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if gone := s.core.findOut(); gone != nil { // all is, not this file alone
			return nil, gone
		}
	}
	if err != nil {
		return nil, translate(err)
	}
	info, err := f.Info()
	if err != nil {
		return nil, translate(errors.Join(err, f.Close()))
	}
	if info.Size() != r.Size {
		f.Close()
		return nil, fmt.Errorf("%w: value file has %d bytes and should have %d: delete the entry, or mend the store with Check", driver.ErrCorrupt, info.Size(), r.Size)
	}
	return &content{File: f, size: info.Size()}, nil
}

// content is an opened value file. The embedded file makes that
// http.ServeContent can hand it to the kernel.
type content struct {
	*osfs.File
	size int64
}

func (c *content) Size() int64 { return c.size }

func (c *content) Close() error { return translate(c.File.Close()) }
