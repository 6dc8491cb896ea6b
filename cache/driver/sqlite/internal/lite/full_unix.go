//go:build unix

package lite

import "syscall"

func diskFull(e syscall.Errno) bool {
	return e == syscall.ENOSPC || e == syscall.EDQUOT || e == syscall.EFBIG
}
