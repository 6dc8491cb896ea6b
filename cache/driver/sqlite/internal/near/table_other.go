//go:build !unix

package near

import "github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"

// Supported says whether there are tables on this system.
const Supported = false

type sharedFile struct{}

// Open fails with ErrUnsupported.
func Open(*osfs.File) (*Table, error) { return nil, ErrUnsupported }

// Clear does nothing.
func (t *Table) Clear() {}

// Close does nothing.
func (t *Table) Close() error { return nil }

func mapAnonymous(int) ([]byte, error) { return nil, ErrUnsupported }

func unmapAnonymous([]byte) error { return nil }
