package osfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
)

// Resolve returns the path that [Open] gives a directory, also of one that is not
// there yet. It fails if the system says that a name which is to be made is
// too long.
func Resolve(name string) (string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	var missing []string
	for {
		path, err := resolve(name)
		above := filepath.Dir(name)
		switch {
		case err == nil:
			return joinMissing(path, missing)
		case IsTooLong(err), !errors.Is(err, fs.ErrNotExist), above == name:
			return "", err
		}
		missing = append(missing, filepath.Base(name))
		name = above
	}
}

// joinMissing returns the path of folders that are not there, the innermost first.
func joinMissing(path string, missing []string) (string, error) {
	at := path
	for _, name := range slices.Backward(missing) {
		if _, err := os.Lstat(filepath.Join(at, name)); IsTooLong(err) {
			return "", err
		}
		path = filepath.Join(path, name)
	}
	return path, nil
}

// IsTooLong reports whether err says that a name or a path is too long.
func IsTooLong(err error) bool {
	const filenameExceedsRange = syscall.Errno(206) // of Windows
	return errors.Is(err, syscall.ENAMETOOLONG) || runtime.GOOS == "windows" && errors.Is(err, filenameExceedsRange)
}
