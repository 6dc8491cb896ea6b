package sync

import (
	"net"

	"golang.org/x/sys/unix"
)

// maxKey is the length of the longest key that is sent; a longer one is
// noticed by the collection's Watch.
const maxKey = 512

// A bell wakes a waiter of another process when its turn has come. It is a
// datagram socket with an abstract name, that of the waiter's space: it leaves
// no file behind and goes away with the process. Rings carry no authority and
// may get lost; whoever hears one looks at the row.
type bell struct{ conn *net.UnixConn }

func address(owner string) string { return "@go-diskcache/" + owner }

// hang makes a bell that calls fn with each key rung, or nil if there can be
// none.
func hang(owner string, fn func(key string)) *bell {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address(owner)})
	if err != nil {
		return nil
	}
	go func() {
		var buf [maxKey]byte
		for {
			n, err := conn.Read(buf[:])
			if err != nil {
				return
			}
			fn(string(buf[:n]))
		}
	}()
	return &bell{conn}
}

func (b *bell) remove() {
	if b != nil {
		b.conn.Close()
	}
}

// ring rings the bell of another space. It never blocks: a process that is
// stopped leaves its bell full.
func ring(owner, key string) {
	if len(key) > maxKey {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.Sendto(fd, []byte(key), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: address(owner)})
}
