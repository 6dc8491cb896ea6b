package osfs

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
)

// Make makes a directory and those above it that are not there, and reports
// whether there was anything to be made. A new directory is this user's alone,
// with the exceptions of [Dir.CreateFirst]: it follows the one that it is in.
func Make(path string) (made bool, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	info, err := Stat(path)
	if err == nil && !info.IsDir() {
		return false, &fs.PathError{Op: string(OpMkdir), Path: path, Err: ErrNotRegular}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	parent := filepath.Dir(path)
	if parent == path { // a drive that is not there
		return false, err
	}
	if _, err := Make(parent); err != nil {
		return false, err
	}
	in, err := Open(parent)
	if err != nil {
		return false, err
	}
	defer in.Close()
	if err := in.followItself(); err != nil {
		return false, err
	}
	err = in.Mkdir(filepath.Base(path))
	if errors.Is(err, fs.ErrExist) { // another process was faster
		err = nil
	}
	return true, err
}

// SyncAbove makes the names of a directory, and of those above it, survive a
// power cut, as far as this user may and the system can.
func SyncAbove(path string) error {
	if runtime.GOOS == "windows" { // folders cannot be synced there, nor need to be
		return nil
	}
	path, err := resolve(path)
	for err == nil && filepath.Dir(path) != path {
		path = filepath.Dir(path)
		err = syncPath(path)
	}
	return err
}

func syncPath(path string) error {
	d := Dir{path: path, hook: hookOf(path)}
	err := d.run(&Op{Kind: OpSyncFolder, Name: "."}, func() error {
		h, err := openDir(path)
		if err != nil {
			return err
		}
		return errors.Join(h.syncFolder("."), h.close())
	})
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
