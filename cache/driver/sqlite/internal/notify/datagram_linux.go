package notify

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A Receiver is a datagram socket with an abstract name: it leaves no file behind, and
// the kernel says which user has sent a message. A process that floods it delays messages.
//
// A thread waits for messages, in the kernel: through the runtime's poller a wake-up
// takes longer.
type Receiver struct {
	fd     int
	named  bool // the kernel names the sender
	closed atomic.Bool
	ended  chan struct{} // closed when nobody listens any more
}

func socketAddress(name string) unix.Sockaddr {
	return &unix.SockaddrUnix{Name: "@go-diskcache/" + name}
}

// Listen makes a receiver and calls fn, on one goroutine, with each message. own says
// that a process of this process's user has sent it. fn must not keep the message.
func Listen(name string, fn func(message []byte, own bool)) (*Receiver, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, socketAddress(name)); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	// Without it no sender is known, and no message is of this user.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	m := &Receiver{fd: fd, named: err == nil, ended: make(chan struct{})}
	go m.listen(fn)
	return m, nil
}

func (m *Receiver) listen(fn func(message []byte, own bool)) {
	defer close(m.ended)
	var buf [MaxSize]byte
	var oob []byte // no larger: there is no room for descriptors that somebody sends along
	if m.named {
		oob = make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	}
	user := uint32(unix.Geteuid())
	for {
		n, control, flags, _, err := unix.Recvmsg(m.fd, buf[:], oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case m.closed.Load():
			return
		case err != nil && err != unix.EINTR:
			return
		case err != nil || flags&unix.MSG_TRUNC != 0:
			continue
		}
		fn(buf[:n], senderUser(oob[:control]) == user)
		// The goroutine that fn woke runs here and now: the wait would take the
		// processor from it for a while.
		runtime.Gosched()
	}
}

// senderUser returns the user that the kernel names, or an impossible one.
func senderUser(oob []byte) uint32 {
	if messages, err := unix.ParseSocketControlMessage(oob); err == nil {
		for i := range messages {
			if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
				return cred.Uid
			}
		}
	}
	return ^uint32(0)
}

// Close ends the receiver. It waits for a running fn, which must not call it.
func (m *Receiver) Close() {
	m.closed.Store(true)
	_ = unix.Shutdown(m.fd, unix.SHUT_RD)
	<-m.ended
	unix.Close(m.fd)
}

// A Sender sends messages. The zero Sender is ready to use.
type Sender struct {
	mu     sync.Mutex
	fd     int
	opened bool
	closed bool
}

// Send sends a message to a receiver. It never blocks: it fails if the receiver of a
// process that is stopped is full, and if there is none, or only in another network
// namespace.
func (s *Sender) Send(name string, message []byte) error {
	if len(message) > MaxSize {
		return ErrSize
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if !s.opened {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		s.fd, s.opened = fd, true
	}
	err := unix.Sendto(s.fd, message, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, socketAddress(name))
	return os.NewSyscallError("sendto", err)
}

// Close releases the sender.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened && !s.closed {
		unix.Close(s.fd)
	}
	s.closed = true
}
