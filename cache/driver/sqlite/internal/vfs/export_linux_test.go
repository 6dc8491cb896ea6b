package vfs

// IndexHasOFD reports whether the locks on WAL-indexes are OFD locks.
func IndexHasOFD() bool { return indexOFD.Load() }
