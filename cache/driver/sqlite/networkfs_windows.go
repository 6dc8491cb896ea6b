package sqlite

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// networkFS returns a name for the network drive that dir is on, or "" if it
// is on a local one.
func networkFS(dir string) (string, error) {
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(dir) + `\`)
	if err != nil {
		return "", err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "a network drive", nil
	}
	return "", nil
}
