package sync

import (
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache"
)

// stranger returns a function that sends to owner as a process does that knows
// nothing but the name, with control messages or without.
func stranger(t *testing.T, owner string) (send func(msg, oob []byte)) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(msg, oob []byte) {
		t.Helper()
		if err := unix.Sendmsg(fd, msg, oob, &unix.SockaddrUnix{Name: "@go-diskcache/" + owner}, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// Who does not know the id of the claim that waits cannot grant it the lock,
// and nobody who is another user.
func TestForgedWake(t *testing.T) {
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
	s, err := managerOf(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	key := old.h.key
	var row lease
	for hung := false; len(row.Queue) == 0 || !hung; {
		s.mu.Lock()
		hung = s.stopWakes != nil
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
		send(append(encodeWake(nil, &c), key...), oob)
	}
	forge(key, id{}, nil)     // guessed
	forge(key, newID(), nil)  // guessed
	forge(key, held.ID, nil)  // of another claim: an old wake-up that is sent again
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
		t.Fatalf("a forged wake-up granted the lock, with token %d", g.Token())
	default:
	}
	// Wake-ups come in their order, and the first that is believed counts: this
	// is one that the holder could have sent.
	forge(key, claim.ID, nil)
	g := <-granted
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	if got := g.Token(); got != token {
		t.Errorf("the lock has token %d: a forged wake-up was believed", got)
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
