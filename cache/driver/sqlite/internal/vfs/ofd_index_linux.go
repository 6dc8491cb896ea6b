package vfs

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// indexOFD says that the locks on WAL-indexes are OFD locks.
var indexOFD atomic.Bool

// baseFcntl is fcntl as SQLite calls it.
var baseFcntl func(tls *libc.TLS, fd, cmd int32, va uintptr) int32

// useOFDLocksOnIndex has SQLite's unix VFS call shimFcntl, through which the locks
// on a WAL-index go that UseOFDLocks would leave POSIX locks.
func useOFDLocksOnIndex(tls *libc.TLS) {
	if shim.base == 0 || indexOFD.Load() || !kernelHasOFD() {
		return
	}
	name, err := libc.CString("fcntl")
	if err != nil {
		return
	}
	defer libc.Xfree(tls, name)
	v := *cabi.At[lib.Tsqlite3_vfs](shim.base)
	was := cabi.GoFunc[func(tls *libc.TLS, vfs, name uintptr) uintptr](v.FxGetSystemCall)(tls, shim.base, name)
	if was == 0 {
		return
	}
	baseFcntl = cabi.GoFunc[func(tls *libc.TLS, fd, cmd int32, va uintptr) int32](was)
	set := cabi.GoFunc[func(tls *libc.TLS, vfs, name, fn uintptr) int32](v.FxSetSystemCall)
	if set(tls, shim.base, name, cabi.Function(shimFcntl)) == lib.SQLITE_OK {
		indexOFD.Store(true)
	}
}

// kernelHasOFD reports whether the kernel knows OFD locks, as all since 3.15 do.
func kernelHasOFD() bool {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &unix.Flock_t{Type: unix.F_RDLCK, Len: 1}) == nil
}

// shimFcntl is fcntl, with OFD locks for POSIX locks.
func shimFcntl(tls *libc.TLS, fd, cmd int32, va uintptr) int32 {
	if ofd := ofdCommand(int(cmd)); ofd != 0 {
		args := va
		cabi.At[lib.Tflock](libc.VaUintptr(&args)).Fl_pid = 0 // as the kernel wants it
		return baseFcntl(tls, fd, int32(ofd), va)
	}
	return baseFcntl(tls, fd, cmd, va)
}

// ofdCommand returns the command that does with OFD locks what cmd does, or 0.
func ofdCommand(cmd int) int {
	switch cmd {
	case lib.F_SETLK:
		return lib.F_OFD_SETLK
	case lib.F_GETLK:
		return lib.F_OFD_GETLK
	}
	return 0
}

// getlk is fcntl's command that tells whether another process holds a lock on a WAL-index.
func getlk() int {
	if indexOFD.Load() {
		return unix.F_OFD_GETLK
	}
	return unix.F_GETLK
}
