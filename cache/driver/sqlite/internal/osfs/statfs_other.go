//go:build !linux && !darwin && !freebsd && !windows

package osfs

import "errors"

// network cannot tell on this system.
func (h handle) network(string) (string, error) { return "", nil }

// free cannot tell on this system.
func (h handle) free() (int64, error) { return 0, errors.ErrUnsupported }
