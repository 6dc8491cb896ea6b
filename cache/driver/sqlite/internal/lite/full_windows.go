package lite

import "syscall"

func diskFull(e syscall.Errno) bool {
	const (
		handleDiskFull = syscall.Errno(39)
		diskFull       = syscall.Errno(112)
		quotaExceeded  = syscall.Errno(1295)
	)
	return e == handleDiskFull || e == diskFull || e == quotaExceeded
}
