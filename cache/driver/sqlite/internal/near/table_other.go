//go:build !unix

package near

type sharedFile struct{}

// Open fails with ErrUnsupported.
func Open(string) (*Table, error) { return nil, ErrUnsupported }

// Clear does nothing.
func (t *Table) Clear() {}

// Close does nothing.
func (t *Table) Close() error { return nil }

func reserve(int) ([]byte, error) { return nil, ErrUnsupported }

func release([]byte) error { return nil }
