//go:build !linux && !darwin && !freebsd && !windows

package sqlite

// networkFS cannot tell on this system.
func networkFS(string) (string, error) { return "", nil }
