package osfs

import (
	"errors"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func (h handle) network(dir string) (string, error) {
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(dir) + `\`)
	if err != nil {
		return "", err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "a network drive", nil
	}
	return "", nil
}

// space cannot tell on this system.
func (h handle) space() (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }
