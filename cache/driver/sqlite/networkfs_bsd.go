//go:build darwin || freebsd

package sqlite

import "golang.org/x/sys/unix"

// networkFS returns the name of the network file system that dir is on, or ""
// if it is on a local one.
func networkFS(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	if st.Flags&unix.MNT_LOCAL != 0 {
		return "", nil
	}
	return unix.ByteSliceToString(st.Fstypename[:]), nil
}
