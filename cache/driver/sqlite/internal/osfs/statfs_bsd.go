//go:build darwin || freebsd

package osfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

func (h handle) network(string) (string, error) {
	var st unix.Statfs_t
	if err := retryInterrupted(func() error { return unix.Fstatfs(int(h), &st) }); err != nil {
		return "", err
	}
	if st.Flags&unix.MNT_LOCAL != 0 {
		return "", nil
	}
	return unix.ByteSliceToString(st.Fstypename[:]), nil
}

// space cannot tell on this system.
func (h handle) space() (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }
