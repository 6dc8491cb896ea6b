//go:build !linux && !darwin && !freebsd && !windows

package osfs

import "errors"

// network cannot tell on this system.
func (h handle) network(string) (string, error) { return "", nil }

// space cannot tell on this system.
func (h handle) space() (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }
