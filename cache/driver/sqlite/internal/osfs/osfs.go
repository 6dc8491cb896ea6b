// Package osfs touches the files below a store's directory for the engine,
// besides SQLite itself, which opens its own. A user who may write to the
// directory may put anything in the place of anything, at any time: what this
// package does stays below the directory all the same, and does not wait for
// what is no file.
//
// It knows paths, rights and locks of files, and not what the files are for. Lock order:
// Dir.mu is held for one operation, and no other lock is taken meanwhile. So is hooks, while
// a Dir is opened or a test sets a hook; a hook runs without either.
//
//   - Names are relative to a [Dir], with slashes. None leads out of it, and
//     no symbolic link is followed, neither the last part of a name nor the
//     folders before it. Only the path that a Dir is opened with may contain
//     some.
//   - Only regular files are opened. A pipe, a socket or a device is
//     [ErrNotRegular] at once, as a symbolic link is.
//   - Files that processes share, and map or lock, are refused if they belong
//     to a user who is not trusted: see [Dir.Shared].
//   - What is made gets the owner, the group and the rights that [Dir.Follow]
//     was told.
//
// Where the system has no way to say so in one call (Windows) the guarantee
// that a name stays in the directory is that of [os.Root].
package osfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

var (
	// ErrNotRegular says that something else is in the place of a regular file
	// or of a folder.
	ErrNotRegular = errors.New("not a regular file or folder")

	// ErrOwner says that a file belongs to a user who is not trusted. It is
	// an [fs.ErrPermission].
	ErrOwner = fmt.Errorf("belongs to another user: %w", fs.ErrPermission)
)

// Dir is an open directory. All methods may be called by any goroutine; after
// Close they fail with [fs.ErrClosed].
type Dir struct {
	path string
	hook Hook // nil but in tests

	mu     sync.RWMutex // guards handle against Close
	handle handle
	closed bool

	rights rights // of what is made
}

// Open opens an existing directory. The path may contain symbolic links.
func Open(name string) (*Dir, error) {
	resolved, err := resolve(name)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: resolved, hook: hookOf(resolved)}
	err = d.run(&Op{Kind: OpOpen, Name: "."}, func() (err error) {
		d.handle, err = openDir(resolved)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.rights = defaultRights
	return d, nil
}

// Close closes d. Files that were opened stay open.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.handle.close()
}

// Path returns the absolute path of d, without symbolic links where the system
// tells.
func (d *Dir) Path() string { return d.path }

// full returns the path of a name, for messages.
func (d *Dir) full(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// cleanName returns the name in its shortest form, or fails if it leads out of the
// directory.
func cleanName(op, name string) (string, error) {
	clean := path.Clean(name)
	if !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return clean, nil
}

// do does op with the handle. A call that a signal has interrupted is made
// again.
func (d *Dir) do(op Op, fn func(h handle, name string) error) error {
	name, err := cleanName(string(op.Kind), op.Name)
	if err != nil {
		return err
	}
	op.Name = name
	return d.run(&op, func() error {
		d.mu.RLock()
		defer d.mu.RUnlock()
		if d.closed {
			return &fs.PathError{Op: string(op.Kind), Path: d.full(name), Err: fs.ErrClosed}
		}
		if err := fn(d.handle, name); err != nil {
			return &fs.PathError{Op: string(op.Kind), Path: d.full(name), Err: err}
		}
		return nil
	})
}

// run has the hook do op, if there is one.
func (d *Dir) run(op *Op, fn func() error) error {
	op.Dir = d.path
	for {
		var err error
		if d.hook == nil {
			err = fn()
		} else {
			err = d.hook(op, fn)
		}
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Read opens an existing file for reading.
func (d *Dir) Read(name string) (*File, error) { return d.open(name, readOnly, nil) }

// Modify opens an existing file for reading and writing.
func (d *Dir) Modify(name string) (*File, error) { return d.open(name, readWrite, nil) }

// Create makes a new file, for writing. It fails with [fs.ErrExist] if there is
// anything of the name.
func (d *Dir) Create(name string) (*File, error) { return d.create(name) }

// Shared opens a file that processes share, for reading and writing, and makes
// it if there is none. It fails with [ErrOwner] if it belongs neither to this
// user nor to the one whose file was given to [Dir.Follow], unless that is
// shared with a group: then anybody of the group may have made it, provided
// that nobody else can write to the directory. A file that has other names as
// well is [ErrNotRegular].
func (d *Dir) Shared(name string) (*File, error) {
	for {
		f, err := d.open(name, readWrite, d.vouch)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		// Exclusively, since to open a file of somebody else's is refused in
		// a sticky directory if it might be made (fs.protected_regular).
		f, err = d.create(name)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// ReadShared opens an existing file as Shared does, for reading only.
func (d *Dir) ReadShared(name string) (*File, error) { return d.open(name, readOnly, d.vouch) }

// Vouch fails as Shared does if there is a file of the name that Shared would
// refuse, for one that SQLite is about to open.
func (d *Dir) Vouch(name string) error {
	return d.inspect(name, func(info Info) error {
		if err := info.regular(); err != nil {
			return err
		}
		return d.vouch(info)
	})
}

// VouchFolder fails with [ErrOwner] if there is a folder of the name that belongs
// to a user who is not trusted, as a file that Shared refuses.
func (d *Dir) VouchFolder(name string) error {
	return d.inspect(name, func(info Info) error {
		if !info.IsDir() { // the code that needs the folder tells
			return nil
		}
		return d.trusts(info)
	})
}

// inspect calls check with what is known of a name, if there is anything of that name.
func (d *Dir) inspect(name string, check func(Info) error) error {
	info, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = check(info)
	}
	if err != nil {
		return &fs.PathError{Op: string(OpOpen), Path: d.full(name), Err: err}
	}
	return nil
}

// open opens an existing file, if check, which may be nil, has nothing against it.
func (d *Dir) open(name string, mode access, check func(Info) error) (f *File, err error) {
	err = d.do(Op{Kind: OpOpen, Name: name}, func(h handle, name string) error {
		of, info, err := h.open(name, d.full(name), mode)
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(info); err != nil {
				of.Close()
				return err
			}
		}
		f = &File{File: of, dir: d, name: name}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *Dir) create(name string) (f *File, err error) {
	err = d.do(Op{Kind: OpCreate, Name: name}, func(h handle, name string) error {
		of, err := h.create(name, d.full(name), d.rights)
		if err != nil {
			return err
		}
		f = &File{File: of, dir: d, name: name}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// CreateFirst is Create for the file that others are to Follow: it gets the
// rights of the directory. They are this user's alone, unless the directory
// has the set-group-ID bit and its group may write to it: then they are the
// group's too. It belongs to this user, or, if that is root, to the directory's.
func (d *Dir) CreateFirst(name string) (*File, error) {
	if err := d.followItself(); err != nil {
		return nil, err
	}
	return d.Create(name)
}

// followItself has what is made get the rights that go with those of d.
func (d *Dir) followItself() error {
	return d.do(Op{Kind: OpStat, Name: "."}, func(h handle, name string) error {
		info, err := h.lstat(name)
		if err == nil {
			d.rights = rightsIn(info)
		}
		return err
	})
}

// Follow has everything that is made from now on get owner, group and rights of
// a file, where this process may give them, and folders those that go with
// them. It must be called before d is used by several goroutines.
func (d *Dir) Follow(info Info) { d.rights = rightsOf(info) }

// Lstat returns what is known of a name. A symbolic link is not followed.
func (d *Dir) Lstat(name string) (info Info, err error) {
	err = d.do(Op{Kind: OpStat, Name: name}, func(h handle, name string) (err error) {
		info, err = h.lstat(name)
		return err
	})
	return info, err
}

// Outsiders says who may write to d besides this user, root, and the group that
// the file which was given to [Dir.Follow] is shared with; "" is nobody.
func (d *Dir) Outsiders() (who string, err error) {
	info, err := d.Lstat(".")
	if err != nil {
		return "", err
	}
	return d.rights.outsiders(info), nil
}

// LstatByPath is Lstat by the path of d: what a process would find that opens the
// path now.
func (d *Dir) LstatByPath(name string) (info Info, err error) {
	err = d.run(&Op{Kind: OpStat, Name: name}, func() (err error) {
		info, err = Lstat(d.full(name))
		return err
	})
	return info, err
}

// Has reports whether a file is what the name leads to.
func (d *Dir) Has(f *File, name string) bool {
	a, err := f.Info()
	if err != nil {
		return false
	}
	b, err := d.Lstat(name)
	return err == nil && a.Same(b)
}

// ReadDir returns what is in a folder, sorted by name.
func (d *Dir) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = d.do(Op{Kind: OpReadDir, Name: name}, func(h handle, name string) (err error) {
		entries, err = h.readDir(name, d.full(name))
		return err
	})
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Mkdir makes a folder.
func (d *Dir) Mkdir(name string) error {
	return d.do(Op{Kind: OpMkdir, Name: name}, func(h handle, name string) error { return h.mkdir(name, d.rights) })
}

// MkdirAll makes a folder and those above it that are not there.
func (d *Dir) MkdirAll(name string) error {
	err := d.do(Op{Kind: OpStat, Name: name}, func(h handle, name string) error { return h.isFolder(name) })
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if up := path.Dir(path.Clean(name)); up != "." {
		if err := d.MkdirAll(up); err != nil {
			return err
		}
	}
	if err := d.Mkdir(name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.do(Op{Kind: OpStat, Name: name}, func(h handle, name string) error { return h.isFolder(name) })
}

// Remove removes a file, whatever it is, or an empty folder.
func (d *Dir) Remove(name string) error {
	return d.do(Op{Kind: OpRemove, Name: name}, func(h handle, name string) error {
		if name == "." {
			return fs.ErrInvalid
		}
		return h.remove(name)
	})
}

// RemoveIfThere is Remove, and no error if there is nothing of the name.
func (d *Dir) RemoveIfThere(name string) error {
	if err := d.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Link gives a file a further name. It fails with [fs.ErrExist] if there is
// anything of that name.
func (d *Dir) Link(from, to string) error {
	to, err := cleanName(string(OpLink), to)
	if err != nil {
		return err
	}
	return d.do(Op{Kind: OpLink, Name: from, To: to}, func(h handle, from string) error { return h.link(from, to) })
}

// CopyTo copies a file to a new one in another directory, or in the same.
func (d *Dir) CopyTo(name string, dst *Dir, to string) (err error) {
	src, err := d.Read(name)
	if err != nil {
		return err
	}
	defer src.Close()
	f, err := dst.Create(to)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, dst.RemoveIfThere(to))
		}
	}()
	_, err = f.ReadFrom(src)
	return err
}

// SyncFolder makes the names in a folder survive a power cut. Where the system
// cannot do that, it does nothing.
func (d *Dir) SyncFolder(name string) error {
	return d.do(Op{Kind: OpSyncFolder, Name: name}, func(h handle, name string) error { return h.syncFolder(name) })
}

// Space returns the bytes that this user may still write to the file system, and
// how many the file system has in all.
func (d *Dir) Space() (free, total int64, err error) {
	err = d.do(Op{Kind: OpStatFS, Name: "."}, func(h handle, _ string) (err error) {
		free, total, err = h.space()
		return err
	})
	return free, total, err
}

// Network returns what to call the file system that d is on if other machines may
// have it too: a network's, a folder that a virtual machine shares with its host,
// and on Linux one in user space that is not known to be local. It is "" for others.
func (d *Dir) Network() (kind string, err error) {
	err = d.do(Op{Kind: OpStatFS, Name: "."}, func(h handle, _ string) (err error) {
		kind, err = h.network(d.path)
		return err
	})
	return kind, err
}

// splitName cuts a name into its folder, "" if that is the directory, and its last
// part.
func splitName(name string) (folder, base string) {
	folder, base = path.Split(name)
	return strings.TrimSuffix(folder, "/"), base
}

// kindOf says what is in the place of a file or folder.
func kindOf(mode fs.FileMode) error {
	what := "something else"
	switch {
	case mode&fs.ModeSymlink != 0:
		what = "a symbolic link"
	case mode.IsDir():
		what = "a folder"
	case mode.IsRegular():
		what = "a file"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	}
	return fmt.Errorf("it is %s: %w", what, ErrNotRegular)
}

// IsMissing reports whether err says that there is no file of a name, or
// something else in its place or on the way to it.
func IsMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotRegular)
}
