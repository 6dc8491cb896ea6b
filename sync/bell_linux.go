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
// Any process of the network namespace may send to it, also one that may not
// read the store. A ring says which claim has become which hold, so that the
// waiter need not read the row, and it is believed for two reasons together: it
// has the claim's id, which is in the row and cannot be guessed, and the kernel
// says that the user of this process has sent it. With the id alone, from
// another user who may read the row, it is a reason to look at the row. Without
// the id it changes nothing. To flood a bell delays rings, which are then
// replaced by a shout or seen within longRest.
//
// A thread waits for it, in the kernel, from the first wait until the space is
// closed: through the runtime's poller a wake-up takes longer.
type bell struct {
	fd      int
	named   bool // the kernel names who rings
	removed atomic.Bool
	ended   chan struct{} // closed when nobody listens any more
}

func address(owner string) string { return "@go-diskcache/" + owner }

// hang makes a bell that calls fn with the key and the claim of each ring, which
// has a token if the claim is said to be a hold. It returns nil if there can be
// none.
func hang(owner string, fn func(key string, c *claim)) *bell {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address(owner)}); err != nil {
		unix.Close(fd)
		return nil
	}
	// Without it no sender is known, and every ring is a reason to look.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	b := &bell{fd: fd, named: err == nil, ended: make(chan struct{})}
	go b.listen(owner, fn)
	return b
}

func (b *bell) listen(owner string, fn func(key string, c *claim)) {
	defer close(b.ended)
	var buf [ringHead + maxKey]byte
	var oob []byte // no larger: there is no room for descriptors that somebody sends along
	if b.named {
		oob = make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	}
	user := uint32(os.Geteuid())
	for {
		n, m, flags, _, err := unix.Recvmsg(b.fd, buf[:], oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case b.removed.Load():
			return
		case err != nil && err != unix.EINTR:
			return // what is not heard is seen within longRest
		case err != nil || n < ringHead || flags&unix.MSG_TRUNC != 0:
			continue
		}
		c := decodeRing(buf[:])
		c.Owner = owner
		if sender(oob[:m]) != user {
			c.Token = 0
		}
		fn(string(buf[ringHead:n]), &c)
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

// ringHead is the length of what is in front of the key in a ring: the id of a
// claim, its token, which is 0 if it has not become a hold, and since when it is
// one.
const ringHead = len(id{}) + 2*8

func encodeRing(b []byte, c *claim) []byte {
	b = append(b, c.ID[:]...)
	b = binary.NativeEndian.AppendUint64(b, uint64(c.Token))
	return binary.NativeEndian.AppendUint64(b, uint64(c.Since))
}

func decodeRing(b []byte) (c claim) {
	b = b[copy(c.ID[:], b):]
	c.Token = int64(binary.NativeEndian.Uint64(b))
	c.Since = int64(binary.NativeEndian.Uint64(b[8:]))
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
