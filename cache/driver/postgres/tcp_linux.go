package postgres

import (
	"net"
	"syscall"
)

// userTimeout is TCP_USER_TIMEOUT, in milliseconds.
const userTimeout = 18

// limitSilence bounds how long what was sent may stay unconfirmed, for which keep-alive
// does not look.
func limitSilence(c *net.TCPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(silence.Milliseconds()))
		})
	}
}
