package notify

import (
	"crypto/rand"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// Messages of strangers do not deafen and leave no descriptor behind, those that are
// too long are not heard, and a name can be listened to again.
func TestReceiver(t *testing.T) {
	stranger, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stranger)
	for range 3 {
		type heard struct {
			message string
			own     bool
		}
		all := make(chan heard, 100)
		m, err := Listen("test.1", func(message []byte, own bool) { all <- heard{string(message), own} })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Listen("test.1", func([]byte, bool) {}); err == nil {
			t.Error("two listen to one name")
		}
		before := openFiles(t)
		for _, n := range []int{0, 1, MaxSize + 1, 64 << 10, 0} {
			message := make([]byte, n)
			rand.Read(message)
			// With descriptors, which the receiver would have to close.
			for _, oob := range [][]byte{nil, unix.UnixRights(0, 1, 2, 0, 1, 2)} {
				if err := unix.Sendmsg(stranger, message, oob, socketAddress("test.1"), 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		if os.Geteuid() == 0 { // root may say that it is somebody else
			other := unix.UnixCredentials(&unix.Ucred{Pid: int32(os.Getpid()), Uid: 1101, Gid: 1101})
			if err := unix.Sendmsg(stranger, []byte("of another user"), other, socketAddress("test.1"), 0); err != nil {
				t.Fatal(err)
			}
		}
		var s Sender
		if err := s.Send("test.1", make([]byte, MaxSize+1)); !errors.Is(err, ErrSize) {
			t.Errorf("too long: %v", err)
		}
		for deadline := time.Now().Add(time.Minute); s.Send("test.1", []byte("last")) != nil; runtime.Gosched() { // it has room for few
			if time.Now().After(deadline) {
				t.Fatal("nothing can be sent")
			}
		}
		for got := (heard{}); got.message != "last"; {
			select {
			case got = <-all:
			case <-time.After(time.Minute):
				t.Fatal("the receiver is deaf")
			}
			if n := len(got.message); n > 1 && got.message != "last" && got.message != "of another user" {
				t.Errorf("heard %d bytes of a message that is too long", n)
			}
			if want := got.message != "of another user"; got.own != want {
				t.Errorf("%q is of this user: %v", got.message, got.own)
			}
		}
		if after := openFiles(t); after > before+1 { // that of s
			t.Errorf("%d descriptors are open, %d were before", after, before)
		}
		m.Close()
		if len(all) > 0 {
			t.Errorf("heard %q as well", (<-all).message)
		}
		if s.Send("test.1", nil) == nil {
			t.Error("a message to nobody is sent")
		}
		s.Close()
		if err := s.Send("test.1", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

// A full receiver, as that of a process that is stopped, does not block a sender.
func TestFullReceiver(t *testing.T) {
	full := make(chan struct{})
	m, err := Listen("test.2", func([]byte, bool) { <-full })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	defer close(full)
	var s Sender
	defer s.Close()
	for n := 0; s.Send("test.2", []byte("x")) == nil; n++ {
		if n > 1<<20 {
			t.Fatal("a receiver has room for everything")
		}
	}
}
