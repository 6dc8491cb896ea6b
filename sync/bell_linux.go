package sync

import (
	"encoding/binary"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxKey is the length of the longest key that is sent.
const maxKey = 512

// A bell wakes a waiter of another process when its turn has come. It is a
// datagram socket with an abstract name, that of the waiter's space: it leaves
// no file behind and goes away with the process.
//
// A ring says which claim has become which hold, so that the waiter need not
// read the row. The kernel tells who rings: it is believed if it is the user
// who could also write to the store. Anybody else's ring is a reason to look
// at the row.
//
// A thread waits for it, in the kernel, from the first wait until the space is
// closed: through the runtime's poller a wake-up takes longer.
type bell struct {
	fd      int
	removed atomic.Bool
	ended   chan struct{} // closed when nobody listens any more
}

func address(owner string) string { return "@go-diskcache/" + owner }

// hang makes a bell that calls fn with each key rung, and the claim that was
// granted or nil. It returns nil if there can be none.
func hang(owner string, fn func(key string, granted *claim)) *bell {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address(owner)}); err != nil {
		unix.Close(fd)
		return nil
	}
	// Without it no sender is known, and every ring is a reason to look.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	b := &bell{fd: fd, ended: make(chan struct{})}
	go b.listen(owner, fn)
	return b
}

func (b *bell) listen(owner string, fn func(key string, granted *claim)) {
	defer close(b.ended)
	var buf [ringHead + maxKey]byte
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	user := uint32(os.Geteuid())
	for {
		n, m, _, _, err := unix.Recvmsg(b.fd, buf[:], oob, 0)
		switch {
		case b.removed.Load():
			return
		case err != nil && err != unix.EINTR:
			return // what is not heard is seen within longRest
		case err != nil || n < ringHead:
			continue
		}
		var granted *claim
		if c := decodeRing(buf[:]); c.Token != 0 && sender(oob[:m]) == user {
			c.Owner, granted = owner, &c
		}
		fn(string(buf[ringHead:n]), granted)
		// Whoever was woken runs here and now: the wait would take the
		// processor from it for a while.
		runtime.Gosched()
	}
}

// sender returns the user that the kernel names, or an impossible one.
func sender(oob []byte) uint32 {
	if msgs, err := unix.ParseSocketControlMessage(oob); err == nil {
		for i := range msgs {
			if cred, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
				return cred.Uid
			}
		}
	}
	return ^uint32(0)
}

// ringHead is the length of what is in front of the key in a ring: five
// numbers of a claim. Without a token it has not become a hold.
const ringHead = 5 * 8

func encodeRing(b []byte, c *claim) []byte {
	for _, n := range [...]int64{c.Seq, c.N, c.Max, c.Token, c.Since} {
		b = binary.NativeEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func decodeRing(b []byte) (c claim) {
	for i, n := range [...]*int64{&c.Seq, &c.N, &c.Max, &c.Token, &c.Since} {
		*n = int64(binary.NativeEndian.Uint64(b[8*i:]))
	}
	return c
}

func (b *bell) remove() {
	if b != nil {
		b.removed.Store(true)
		_ = unix.Shutdown(b.fd, unix.SHUT_RD)
		<-b.ended
		unix.Close(b.fd)
	}
}

// ringer rings the bells of other spaces.
type ringer struct {
	mu     sync.Mutex
	fd     int
	opened bool
}

// ring rings the bell of a claim's owner, and reports whether that will be
// heard. It never blocks: a process that is stopped leaves its bell full, and
// one in another network namespace cannot be reached.
func (r *ringer) ring(key string, c *claim) bool {
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
	msg := append(encodeRing(make([]byte, 0, ringHead+len(key)), c), key...)
	return unix.Sendto(r.fd, msg, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: address(c.Owner)}) == nil
}

func (r *ringer) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened {
		unix.Close(r.fd)
		r.opened = false
	}
}
