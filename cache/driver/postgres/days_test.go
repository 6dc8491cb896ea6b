//go:build linux

package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/cache/driver/postgres/internal/pgtest"
	"github.com/go-diskcache/diskcache/codec"
)

// childDSN is where a process finds the store whose session it is to hold.
const childDSN = "DISKCACHE_TEST_SESSION_OF"

// TestHoldSession is what the process of TestClientStopped does.
func TestHoldSession(t *testing.T) {
	dsn := os.Getenv(childDSN)
	if dsn == "" {
		t.Skip("only in a process of its own")
	}
	s, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: "days"})
	if err != nil {
		t.Fatal(err)
	}
	name, lost, err := s.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("session", name)
	<-lost
	fmt.Println("lost")
}

// TestClientStopped: the session of a process that is stopped lives, for longer than its
// owner or the system wait for answers, and ends with the process.
func TestClientStopped(t *testing.T) {
	t.Parallel()
	dsn(t) // skips
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	server, err := pgtest.Start("listen_addresses=127.0.0.1", fmt.Sprint("port=", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", port)
	s, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: "days"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldSession$")
	cmd.Env = append(os.Environ(), childDSN+"="+dsn)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	name, ok := strings.CutPrefix(lines.Text(), "session ")
	if !ok {
		t.Fatal(lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ended, stop, err := s.WatchSession(name)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	select {
	case <-ended:
		t.Error("the session of a stopped process has ended")
	case <-time.After(13 * time.Second):
	}
	// Its owner takes it for lost when it runs again.
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	lines.Scan()
	if lines.Text() != "lost" {
		t.Errorf("%q", lines.Text())
	}
	<-ended
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// TestServerStopped: while the server is stopped calls end with their contexts, and the
// owner of a session takes it for lost. Afterwards all goes on.
func TestServerStopped(t *testing.T) {
	t.Parallel()
	server := started(t)
	s, c := opened(t, server.DSN(), postgres.Options{NearCache: -1})
	put(t, s, c, "k", "v")
	name, lost, err := s.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, _, err := s.Get(ctx, c, kept, driver.Lookup{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get: %v", err)
	}
	if err := s.Update(ctx, driver.Own, func(tx driver.Tx) error { return increment(ctx, tx, c) }, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Update: %v", err)
	}
	<-lost
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, c, "k"); got != "v 1 1000 0" {
		t.Error(got)
	}
	next, _, err := s.Session(t.Context())
	if err != nil || next == name {
		t.Errorf("%q after %q, %v", next, name, err)
	}
	ended, stop, err := s.WatchSession(name)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	<-ended
	if n := count(t, s, c); n != 0 {
		t.Errorf("counted to %d", n)
	}
}

// TestNoConnections: where the server has no connection left, calls say so, and go on
// when there are some again.
func TestNoConnections(t *testing.T) {
	t.Parallel()
	dsn(t)
	server, err := pgtest.Start("max_connections=12", "superuser_reserved_connections=0", "max_wal_senders=0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	s, c := opened(t, server.DSN(), postgres.Options{})
	put(t, s, c, "k", "v")
	var taken []*pgx.Conn
	defer func() {
		for _, c := range taken {
			c.Close(context.Background())
		}
	}()
	for {
		postgres.Redial(s)
		_, _, err := s.Get(t.Context(), c, kept, driver.Lookup{Now: 2})
		if err != nil {
			if !strings.Contains(err.Error(), "max_connections") {
				t.Error(err)
			}
			break
		}
		postgres.Redial(s)
		one, err := pgx.Connect(t.Context(), server.DSN())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, one)
	}
	if _, err := postgres.Open(t.Context(), server.DSN(), nil); err == nil || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("Open: %v", err)
	}
	for _, c := range taken {
		c.Close(t.Context())
	}
	for deadline := time.Now().Add(time.Minute); ; { // the server takes a moment to see that
		_, _, err := s.Get(t.Context(), c, kept, driver.Lookup{Now: 2})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestFailover: a store whose server fails follows to the standby. What was acknowledged
// is there, fences do not repeat, and sessions of before end.
func TestFailover(t *testing.T) {
	t.Parallel()
	server := started(t)
	standby, err := server.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Stop)
	dsn := fmt.Sprintf("host=%s,%s user=postgres dbname=postgres sslmode=disable", server.Dir(), standby.Dir())
	s, c := opened(t, dsn, postgres.Options{})
	a := admin(t, server.DSN())
	run(t, a, `ALTER SYSTEM SET synchronous_standby_names = '*'`) // what is acknowledged is there
	run(t, a, `SELECT pg_reload_conf()`)
	name, lost, err := s.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged, fence int64
	write := func() {
		t.Helper()
		before := fence
		if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) (err error) {
			if fence, err = tx.Fence(t.Context()); err != nil {
				return err
			}
			return increment(t.Context(), tx, c)
		}, c); err != nil {
			t.Fatal(err)
		}
		acknowledged++
		if fence <= before {
			t.Errorf("fence %d after %d", fence, before)
		}
		if n := count(t, s, c); n != acknowledged {
			t.Errorf("counted to %d, want %d", n, acknowledged)
		}
	}
	for range 20 {
		write()
	}
	if err := server.Down("immediate"); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	<-lost
	at := fence
	for range 20 {
		write()
	}
	if fence < at+1<<32 {
		t.Errorf("fence %d after %d of the other server", fence, at)
	}
	ended, stop, err := s.WatchSession(name)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	<-ended
}

// diskDir is where the process of TestServerDiskFull mounts a small disk.
const diskDir = "DISKCACHE_TEST_DISK"

// TestServerDiskFull: what the server's disk has no room for is refused, and nothing of
// it happens. It goes on when there is room. The disk is one of a process of its own.
func TestServerDiskFull(t *testing.T) {
	dir := os.Getenv(diskDir)
	if dir == "" {
		t.Parallel()
		dsn(t) // skips
		if os.Getuid() != 0 {
			t.Skip("only root can mount a disk")
		}
		dir, err := os.MkdirTemp("/tmp", "diskcache-disk-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir)
		if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
			t.Skip("there are no mount namespaces here:", err)
		}
		cmd := exec.Command("unshare", "-m", os.Args[0], "-test.run=^TestServerDiskFull$", "-test.v")
		cmd.Env = append(os.Environ(), diskDir+"="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=160m,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	server, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	s, c := opened(t, server.DSN(), postgres.Options{})
	write := func(n int) error {
		return s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
			if err := increment(t.Context(), tx, c); err != nil {
				return err
			}
			_, err := tx.Put(t.Context(), c, driver.Put{Key: codec.IntegerValue(int64(n)), Value: codec.BlobValue(make([]byte, 30<<10)), Now: 1})
			return err
		}, c)
	}
	ballast := filepath.Join(dir, "ballast")
	var acknowledged int64
	for range 2 {
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		for block := make([]byte, 4<<10); ; {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
		f.Close()
		for {
			if err = write(int(acknowledged)); err != nil {
				break
			}
			acknowledged++
		}
		if !errors.Is(err, driver.ErrFull) {
			t.Errorf("error is %v", err)
		}
		if n := count(t, s, c); n != acknowledged {
			t.Errorf("counted to %d, want %d", n, acknowledged)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := write(int(acknowledged)); err != nil {
				t.Fatal(err)
			}
			acknowledged++
		}
	}
}
