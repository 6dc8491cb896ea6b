package sync

import (
	"crypto/rand"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache"
)

// stranger returns a function that sends to the bell of owner, with control
// messages or without.
func stranger(t *testing.T, owner string) (send func(msg, oob []byte)) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(msg, oob []byte) {
		t.Helper()
		if err := unix.Sendmsg(fd, msg, oob, &unix.SockaddrUnix{Name: address(owner)}, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// What is no ring is not heard and does not deafen, leaves no descriptor behind,
// and a bell that was removed can be hung again.
func TestBell(t *testing.T) {
	for range 3 {
		type ring struct {
			key string
			c   claim
		}
		rings := make(chan ring, 10)
		b := hang("test.1", func(key string, c *claim) { rings <- ring{key, *c} })
		if b == nil {
			t.Fatal("there can be no bell")
		}
		send := stranger(t, "test.1")
		before := openFiles(t)
		sizes := []int{0, 1, ringHead - 1, ringHead + maxKey + 1, 64 << 10, 0}
		for _, n := range sizes {
			msg := make([]byte, n)
			rand.Read(msg)
			send(msg, nil)
			// With descriptors, which the receiver would have to close.
			send(msg, unix.UnixRights(0, 1, 2, 0, 1, 2))
		}
		var r ringer
		c := claim{Owner: "test.1", ID: newID(), Token: 4, Since: 5}
		for deadline := time.Now().Add(time.Minute); !r.ring("k", &c); runtime.Gosched() { // it has room for few
			if time.Now().After(deadline) {
				t.Fatal("the bell cannot be rung")
			}
		}
		select {
		case got := <-rings:
			if got.key != "k" || got.c != c {
				t.Errorf("heard %q %+v, want %+v", got.key, got.c, c)
			}
		case <-time.After(time.Minute):
			t.Fatal("the bell is deaf")
		}
		if after := openFiles(t); after > before+1 { // that of r
			t.Errorf("%d descriptors are open, %d were before", after, before)
		}
		b.remove()
		if len(rings) > 0 {
			t.Errorf("heard %q as well", (<-rings).key)
		}
		if r.ring("k", &c) {
			t.Error("a bell that was removed can be rung")
		}
		r.close()
	}
}

// Who does not know the id of the claim that waits cannot grant it the lock,
// and nobody who is another user.
func TestForgedRing(t *testing.T) {
	st, err := cache.OpenStore(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l, err := NewLock(t.Context(), st, "l", nil)
	if err != nil {
		t.Fatal(err)
	}
	old, err := l.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	granted := make(chan *Guard, 1)
	waiting := make(chan error, 1)
	go func() {
		g, err := l.Lock(t.Context())
		granted <- g
		waiting <- err
	}()
	s, err := spaceOf(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	key := old.h.key
	var row lease
	for hung := false; len(row.Queue) == 0 || !hung; {
		s.mu.Lock()
		hung = s.bell != nil
		s.mu.Unlock()
		if row, _, err = s.rows.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	claim, held := row.Queue[0], row.Holds[0]

	send := stranger(t, s.current.Load().owner)
	token := int64(1000)
	forge := func(key string, id id, oob []byte) {
		t.Helper()
		c := claim
		token++
		c.ID, c.Token, c.Since = id, token, time.Now().UnixNano()
		send(append(encodeRing(nil, &c), key...), oob)
	}
	forge(key, id{}, nil)     // guessed
	forge(key, newID(), nil)  // guessed
	forge(key, held.ID, nil)  // of another claim: an old ring that is sent again
	forge("", claim.ID, nil)  // for another lock
	forge("x", claim.ID, nil) // for another lock
	almost := claim.ID
	almost[15] ^= 1
	forge(key, almost, nil)
	if os.Geteuid() == 0 { // root may say that it is somebody else
		forge(key, claim.ID, unix.UnixCredentials(&unix.Ucred{Pid: int32(os.Getpid()), Uid: 1101, Gid: 1101}))
	}
	select {
	case g := <-granted:
		t.Fatalf("a forged ring granted the lock, with token %d", g.Token())
	default:
	}
	// Rings are heard in their order, and the first that is believed counts: this
	// is one that the holder could have sent.
	forge(key, claim.ID, nil)
	g := <-granted
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	if got := g.Token(); got != token {
		t.Errorf("the lock has token %d: a forged ring was believed", got)
	}
	if err := g.Unlock(); err == nil {
		t.Error("what was not granted in the row can be unlocked")
	}
	if err := old.Unlock(); err != nil {
		t.Error(err)
	}
}

// The row of an earlier version, which numbered claims, can be read.
func TestLeaseOfNumbers(t *testing.T) {
	l := lease{Size: 1, Token: 7, Holds: []claim{{Owner: "a.1", N: 1, Token: 7, Since: 5}}, Queue: []claim{{Owner: "b.2", ID: newID(), N: 1, Max: 9}}}
	enc, err := leaseCodec{}.Encode(l)
	if err != nil {
		t.Fatal(err)
	}
	got, err := leaseCodec{}.Decode(enc)
	if err != nil || !slices.Equal(got.Holds, l.Holds) || !slices.Equal(got.Queue, l.Queue) {
		t.Errorf("decoded %+v, %v; want %+v", got, err, l)
	}
	var n, m id
	if n.parse("17") != nil || m.parse("18") != nil || n == m {
		t.Errorf("17 is %v, 18 is %v", n, m)
	}
	for _, s := range []string{"", "-1", "x", "Yk3v0mJ8TzqWc1n5uRb7X", "Yk3v0mJ8TzqWc1n5uRb7X*"} {
		if n.parse(s) == nil {
			t.Errorf("%q is an id", s)
		}
	}
}
