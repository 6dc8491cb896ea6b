//go:build unix && !linux

package osfs

import "golang.org/x/sys/unix"

// searchOnly opens a folder for what is in it.
const searchOnly = unix.O_RDONLY

// openBeneath opens a name below a directory, and follows no symbolic link.
func openBeneath(dir int, name string, flags int, mode uint32) (int, error) {
	return openThroughFolders(dir, name, flags, mode)
}
