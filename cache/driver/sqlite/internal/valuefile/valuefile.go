// Package valuefile keeps values in files beside a database.
//
// A [File] is written under a temporary name in the folder of its session. Place
// links it to the name that its row will have, which only then is created, under
// the write lock, so that no check takes it for a left-over. The temporary name goes
// when a power cut cannot undo the commit any more. A process that dies in between
// leaves a temporary file that tells, by its name, which file may be without a row.
//
// What transactions leave to be removed is [Trash]. It waits for running views,
// which may still want to read it.
//
// The package owns the value files and their folders, from the first byte to the
// removal, and the syncing of them. It knows no SQL: which rows refer to which files,
// and when a commit is on the disk, is its user's to know. Lock order: Files.mu is
// held for no system call, and no other is taken meanwhile.
package valuefile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Options say where value files are.
type Options struct {
	Dir    *osfs.Dir
	Folder string // in it, has the values of named collections; those of others are beside it
	Log    *slog.Logger

	// SyncFirst has Finish sync a file.
	SyncFirst bool

	// Present fails if the database is no longer under its name.
	Present func() error

	// IsName reports whether a row may refer to a file.
	IsName func(rel string) bool

	// InSession calls fn with the folder of this process's session, and again if it
	// has failed because there is none.
	InSession func(fn func(folder string) error) error

	// MakeRoom removes what can be on a full disk, and reports whether there was any.
	MakeRoom func() bool

	// Emptied is told which rows of the database's list of trash are done with.
	Emptied func(ids []int64)
}

// Files are the value files of one store.
type Files struct {
	Options

	mu    sync.Mutex
	last  int64 // views are numbered in the order in which they begin
	views map[int64]struct{}
	kept  []keptTrash // in the order of until
}

// keptTrash stays until no view up to a number runs.
type keptTrash struct {
	until int64
	Trash
}

// New returns the value files of a store.
func New(o Options) *Files {
	return &Files{Options: o, views: make(map[int64]struct{})}
}

const (
	nameSize  = 16 // bytes, of which a name is the hexadecimal form
	extension = ".val"
)

// basePath spreads value files over folders as DiskCache does.
func basePath(name string) string {
	return path.Join(name[:2], name[2:4], name[4:]+extension)
}

// FinalNames returns the names that the value in a temporary file may have got in
// the store, in which the values of named collections are in folder. It returns none
// if the file is no value's.
func FinalNames(folder, temp string) []string {
	name, ok := strings.CutSuffix(temp, extension)
	if !ok {
		return nil
	}
	if b, err := hex.DecodeString(name); err != nil || len(b) != nameSize || hex.EncodeToString(b) != name {
		return nil
	}
	base := basePath(name)
	return []string{base, path.Join(folder, base)}
}

// Placed adds to names the value files that exist under the final names of the temporary
// files in a session's folder. For most temporary files there is none, since the process
// died while it wrote the file. Placed removes the empty folders that were made for it.
func (s *Files) Placed(session string, names map[string]bool) error {
	files, err := s.Dir.ReadDir(session)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process sweeps too
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		for _, rel := range FinalNames(s.Folder, f.Name()) {
			_, err := s.Dir.Lstat(rel)
			switch {
			case err == nil:
				names[rel] = true
			case !osfs.IsMissing(err):
				return err
			default:
				RemoveFolders(s.Dir, path.Dir(rel))
			}
		}
	}
	return nil
}

// Remove removes a value file, and the folders above it that it leaves empty.
func (s *Files) Remove(rel string) error {
	if !s.IsName(rel) {
		return fmt.Errorf("%w: a row refers to a file that is no value of the store", driver.ErrCorrupt)
	}
	// Where something else is in the place of a folder there is no such file.
	if err := s.Dir.Remove(rel); err != nil && !osfs.IsMissing(err) {
		return err
	}
	RemoveFolders(s.Dir, path.Dir(rel))
	return nil
}

// RemoveFolders removes a folder, and those above it, as far as they are empty.
func RemoveFolders(dir *osfs.Dir, rel string) {
	for ; rel != "."; rel = path.Dir(rel) {
		if err := dir.RemoveIfThere(rel); err != nil { // not empty
			break
		}
	}
}

func (s *Files) removeTemp(temp string) {
	if err := s.Dir.RemoveIfThere(temp); err != nil {
		s.Log.Warn("temporary file stays until the next sweep", "path", temp, "error", err)
	}
}
