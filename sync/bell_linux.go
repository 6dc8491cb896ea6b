package sync

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// maxKey is the length of the longest key that is sent.
const maxKey = 512

// A bell wakes a waiter of another process when its turn has come. It is a
// datagram socket with an abstract name, that of the waiter's space: it leaves
// no file behind and goes away with the process. Rings carry no authority;
// whoever hears one looks at the row.
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

// ringer rings the bells of other spaces.
type ringer struct {
	mu     sync.Mutex
	fd     int
	opened bool
}

// ring rings the bell of another space, and reports whether that will be
// heard. It never blocks: a process that is stopped leaves its bell full, and
// one in another network namespace cannot be reached.
func (r *ringer) ring(owner, key string) bool {
	if len(key) > maxKey {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.opened {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return false
		}
		r.fd, r.opened = fd, true
	}
	return unix.Sendto(r.fd, []byte(key), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: address(owner)}) == nil
}

func (r *ringer) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened {
		unix.Close(r.fd)
		r.opened = false
	}
}
