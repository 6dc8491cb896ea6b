package valuefile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"path"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// File is a value file on its way into the store.
type File struct {
	files  *Files
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

// Create makes a file, in the folder of the session.
func (s *Files) Create() (*File, error) {
	var id [nameSize]byte
	rand.Read(id[:])
	name := hex.EncodeToString(id[:])
	f := &File{files: s, base: basePath(name)}
	err := s.InSession(func(folder string) (err error) {
		f.temp = path.Join(folder, name+extension)
		f.f, err = s.Dir.Create(f.temp)
		if osfs.IsFull(err) && s.MakeRoom() {
			f.f, err = s.Dir.Create(f.temp)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Write implements io.Writer.
func (f *File) Write(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.f.Write(b)
	if osfs.IsFull(err) && f.files.MakeRoom() {
		var more int
		more, err = f.f.Write(b[n:])
		n += more
	}
	f.size += int64(n)
	f.sum = crc32.Update(f.sum, castagnoli, b[:n])
	f.err = err
	return n, f.err
}

// Size is the number of bytes written.
func (f *File) Size() int64 { return f.size }

// Sum is the checksum of the content, as [Checksum] has it.
func (f *File) Sum() uint32 { return f.sum }

// Path is the name that the file has in the store, or "".
func (f *File) Path() string { return f.final }

// IsCopied reports whether Path is no link to the file that Finish has synced.
func (f *File) IsCopied() bool { return f.copied }

// Session is the one that has written the file.
func (f *File) Session() string { return path.Base(path.Dir(f.temp)) }

// Finish ends writing.
func (f *File) Finish() error {
	if f.err != nil || f.f == nil {
		return f.err
	}
	if f.files.SyncFirst {
		f.err = f.f.Sync()
	}
	f.err = errors.Join(f.err, f.f.Close())
	f.f = nil
	return f.err
}

// Checksum returns the checksum of a file.
func Checksum(f *osfs.File) (uint32, error) {
	h := crc32.New(castagnoli)
	_, err := io.Copy(h, io.NewSectionReader(f, 0, math.MaxInt64))
	return h.Sum32(), err
}

// Discard gives the file up, unless it is kept.
func (f *File) Discard() {
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
	if f.kept {
		return
	}
	f.Unplace()
	if f.temp != "" {
		f.files.removeTemp(f.temp)
		f.temp = ""
	}
}

// Place gives the file the name that a row refers to, of a named collection or
// not. Keep or Unplace comes later.
func (f *File) Place(named bool) error {
	switch {
	case f.err != nil:
		return f.err
	case f.f != nil:
		return errors.New("file is put before Finish")
	case f.temp == "" || f.kept || f.final != "":
		return errors.New("file is put twice")
	}
	rel := f.base
	if named {
		rel = path.Join(f.files.Folder, rel)
	}
	dir := f.files.Dir
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
		RemoveFolders(dir, path.Dir(rel))
		return err
	}
	f.final = rel
	return nil
}

// Keep is told that the row was committed. It leaves the temporary name to r.
func (f *File) Keep(r *Trash) {
	f.kept = true
	r.temps = append(r.temps, f.temp)
	r.bytes += f.size
	f.temp = ""
}

// Unplace is told that the row was not committed.
func (f *File) Unplace() {
	if f.final == "" || f.kept {
		return
	}
	if err := f.files.Remove(f.final); err != nil {
		// The temporary name stays: by it, the next sweep finds this one.
		f.files.Log.Warn("value file without a row stays until the next sweep", "path", f.final, "error", err)
		f.temp, f.err = "", err
	}
	f.final = ""
}
