package lite

// UseOFDLocks reports false: Windows has other locks, without the flaw of
// POSIX locks that this is about.
func UseOFDLocks() bool { return false }
