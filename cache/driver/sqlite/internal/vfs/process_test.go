//go:build unix

package vfs_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// children are what this binary does when a test starts it again.
var children = map[string]func(path string, args []string) error{
	"count": childCount,
	"ack":   childAck,
	"read":  childRead,
	"idle":  childIdle,
}

const childEnv = "VFS_TEST_CHILD"

func TestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("is run by other tests")
	}
	args := strings.Fields(os.Getenv(childEnv))
	must(t, children[args[0]](args[1], args[2:]))
}

// child starts this binary.
func child(args ...any) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.TrimSuffix(fmt.Sprintln(args...), "\n"))
	cmd.Stderr = os.Stderr
	return cmd
}

// talk starts cmd and returns its output and its input.
func talk(t *testing.T, cmd *exec.Cmd) (*bufio.Reader, io.WriteCloser) {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return bufio.NewReader(out), in
}

func wantLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if got, err := r.ReadString('\n'); got != want+"\n" || err != nil {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func openChild(path string, flags sqlite3.OpenFlags) (*conn, error) {
	c, err := open(path, sqlite3.ReadWriteCreate|flags)
	if err != nil {
		return nil, err
	}
	start := time.Time{}
	c.SetBusyHandler(func(n int) bool {
		if n == 0 {
			start = time.Now()
		}
		time.Sleep(200 * time.Microsecond)
		return time.Since(start) < time.Minute
	})
	c.SetAutoCheckpointOff()
	return c, c.Exec("PRAGMA synchronous = OFF; PRAGMA cache_size = 10")
}

// The sum of all counters but the first is always the first one.
const (
	countSchema = `CREATE TABLE counters(id INTEGER PRIMARY KEY, n);
		CREATE TABLE log(id INTEGER PRIMARY KEY, who, body);
		WITH RECURSIVE c(x) AS (VALUES (0) UNION ALL SELECT x+1 FROM c LIMIT 20) INSERT INTO counters SELECT x, 0 FROM c`
	countUpdate = `BEGIN IMMEDIATE; UPDATE counters SET n = n + 1 WHERE id = 0;
		INSERT INTO log(who, body) VALUES (%[1]d, zeroblob(%[2]d)); UPDATE counters SET n = n + 1 WHERE id = %[1]d;
		DELETE FROM log WHERE id < (SELECT max(id) FROM log) - 50; COMMIT`
	countCheck = `SELECT (SELECT n FROM counters WHERE id = 0) = (SELECT sum(n) FROM counters WHERE id > 0)`
)

// childCount counts with two connections at once.
func childCount(path string, args []string) error {
	id, _ := strconv.Atoi(args[0])
	times, _ := strconv.Atoi(args[1])
	flags, _ := strconv.Atoi(args[2])
	var wg sync.WaitGroup
	var errs [2]error
	for i := range errs {
		wg.Go(func() { errs[i] = count(path, id+i, times, sqlite3.OpenFlags(flags)) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

func count(path string, id, times int, flags sqlite3.OpenFlags) error {
	c, err := openChild(path, flags)
	if err != nil {
		return err
	}
	defer c.Close()
	for n := range times {
		if rand.IntN(8) == 0 { // fill the cache, and give it all up
			if err := c.Exec("BEGIN IMMEDIATE; UPDATE counters SET n = 0; UPDATE log SET body = zeroblob(3000); ROLLBACK"); err != nil {
				return err
			}
		}
		if err := c.Exec(fmt.Sprintf(countUpdate, id, rand.IntN(30000))); err != nil {
			return err
		}
		for range 3 {
			if got, err := text(c, countCheck); got != "1" || err != nil {
				return fmt.Errorf("the sum is wrong: %q, %w", got, err)
			}
		}
		if n%20 == id {
			if _, _, err := c.Checkpoint([]sqlite3.CheckpointMode{sqlite3.Passive, sqlite3.Truncate}[rand.IntN(2)]); err != nil && !sqlite3.IsBusy(err) {
				return err
			}
		}
	}
	return nil
}

// pythonCount is childCount with another SQLite.
const pythonCount = `
import sqlite3, sys, random
path, id, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
c = sqlite3.connect(path, timeout=20, isolation_level=None)
c.execute("PRAGMA synchronous = OFF"); c.execute("PRAGMA wal_autocheckpoint = 0")
for n in range(times):
    for s in (sys.argv[4] % (id, random.randrange(30000), id)).split(";"):
        c.execute(s)
    for _ in range(3):
        got = c.execute(sys.argv[5]).fetchone()[0]
        if got != 1: sys.exit("the sum is wrong: %r" % got)
    if n % 20 == 3:
        c.execute("PRAGMA wal_checkpoint(%s)" % random.choice(["PASSIVE", "TRUNCATE"])).fetchall()
`

// tool finds a program of the system.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("there is no " + name)
	}
	return path
}

func TestManyProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openWAL(t, path)
	must(t, c.Exec(countSchema))
	c.UnlockDeferred() // others' checkpoints would wait for it
	times := 100
	if testing.Short() {
		times = 20
	}
	cmds := []*exec.Cmd{
		child("count", path, 1, times, 0),
		child("count", path, 3, times, 0),
		child("count", path, 5, times, int(sqlite3.DefaultVFS)),
	}
	counters := 6 * times
	if python, err := exec.LookPath("python3"); err == nil {
		update := strings.NewReplacer("%[1]d", "%d", "%[2]d", "%d").Replace(countUpdate)
		cmds = append(cmds, exec.Command(python, "-c", pythonCount, path, "7", strconv.Itoa(times), update, countCheck))
		counters += times
	}
	if shell, err := exec.LookPath("sqlite3"); err == nil {
		cmd := exec.Command(shell, "-batch", "-bail", path)
		var script strings.Builder
		script.WriteString(".timeout 20000\nPRAGMA synchronous = OFF;\n")
		for range times {
			fmt.Fprintf(&script, countUpdate+"; %[3]s; PRAGMA wal_checkpoint(TRUNCATE);\n", 8, rand.IntN(30000), countCheck)
		}
		cmd.Stdin = strings.NewReader(script.String())
		cmds = append(cmds, cmd)
		counters += times
	}
	for _, cmd := range cmds {
		if cmd.Stderr == nil {
			cmd.Stderr = os.Stderr
		}
		must(t, cmd.Start())
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(cmd.Args[0], err)
		}
	}
	wantIntact(t, c)
	if n := integer(t, c, "SELECT n FROM counters WHERE id = 0"); n != int64(counters) || integer(t, c, countCheck) != 1 {
		t.Errorf("counted to %d, want %d", n, counters)
	}
	c.UnlockDeferred()
	wantIntact(t, copyDatabase(t, path))
}

// childAck inserts rows until it is killed and says so after each commit.
func childAck(path string, _ []string) error {
	c, err := openChild(path, 0)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		if err := c.Exec(fmt.Sprintf("BEGIN; INSERT INTO t(v) VALUES (zeroblob(%d)); INSERT INTO t(v) VALUES (1); COMMIT", rand.IntN(60000))); err != nil {
			return err
		}
		fmt.Println("row")
		if n%7 == 0 {
			if _, _, err := c.Checkpoint(sqlite3.Truncate); err != nil && !sqlite3.IsBusy(err) {
				return err
			}
		}
	}
}

// TestKilledWriter kills a process at any time. What it committed is there,
// and nothing by halves.
func TestKilledWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openWAL(t, path)
	must(t, c.Exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"))
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	for i := range rounds {
		if i%2 == 0 { // else c goes on with the wal-index it has
			must(t, c.Close())
		}
		c.UnlockDeferred()
		cmd := child("ack", path)
		out, _ := talk(t, cmd)
		acked := int64(0)
		for range rand.IntN(20) {
			wantLine(t, out, "row")
			acked += 2
		}
		must(t, cmd.Process.Kill())
		cmd.Wait()
		if i%2 == 0 {
			var err error
			c, err = open(path, sqlite3.ReadWrite|sqlite3.DefaultVFS*sqlite3.OpenFlags(i/2%2))
			must(t, err)
		}
		wantIntact(t, c)
		if n := integer(t, c, "SELECT count(*) FROM t"); n < acked || n%2 != 0 {
			t.Fatalf("%d rows, %d acknowledged", n, acked)
		}
		must(t, c.Exec("DELETE FROM t"))
	}
	must(t, c.Close())
}

// childRead reads without a break until its standard input ends.
func childRead(path string, _ []string) error {
	c, err := openChild(path, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	s, err := c.Prepare(countCheck)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if row, err := s.Step(); err != nil || !row || s.ColumnInt(0) != 1 {
			return fmt.Errorf("row %v, %w", row, err)
		}
		s.Reset()
		if n == 0 {
			fmt.Println("reading")
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

const pythonCheckpoints = `
import sqlite3, sys, os
c = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
c.execute("PRAGMA synchronous = OFF"); c.execute("PRAGMA wal_autocheckpoint = 0")
size = done = 0
for n in range(50):
    for _ in range(20):
        for s in (sys.argv[2] % (1, 20000, 1)).split(";"):
            c.execute(s)
    size = max(size, os.path.getsize(sys.argv[1] + "-wal"))
    done += c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
print(done, size)
`

// While a process of ours reads without a break another one writes and
// checkpoints, and the WAL does not grow without bounds.
func TestReaderAndCheckpoints(t *testing.T) {
	python := tool(t, "python3")
	path := filepath.Join(t.TempDir(), "test.db")
	c := openWAL(t, path)
	must(t, c.Exec(countSchema))
	c.UnlockDeferred()
	reader := child("read", path)
	out, in := talk(t, reader)
	wantLine(t, out, "reading")
	update := strings.NewReplacer("%[1]d", "%d", "%[2]d", "%d").Replace(countUpdate)
	cmd := exec.Command(python, "-c", pythonCheckpoints, path, update)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	must(t, err)
	must(t, in.Close())
	io.Copy(io.Discard, out)
	must(t, reader.Wait())
	var done, size int
	fmt.Sscan(string(b), &done, &size)
	t.Logf("%d of 50 checkpoints, WAL of %d KiB", done, size>>10)
	if done < 25 || size > 8<<20 {
		t.Error("checkpoints do not get through")
	}
}

// childIdle reads until it has a deferred lock, and once more for each line of
// input.
func childIdle(path string, _ []string) error {
	c, err := openChild(path, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	for !c.IsDeferred() {
		if _, err := text(c, countCheck); err != nil {
			return err
		}
	}
	fmt.Println("deferred")
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadString('\n'); err != nil {
			return nil
		}
		if _, err := text(c, countCheck); err != nil {
			return err
		}
		fmt.Println("deferred:", c.IsDeferred())
	}
}

func TestIdleProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openWAL(t, path)
	must(t, c.Exec(countSchema))
	idle := child("idle", path)
	out, in := talk(t, idle)
	wantLine(t, out, "deferred")
	start := time.Now()
	c.SetBusyHandler(func(int) bool {
		time.Sleep(time.Millisecond)
		return time.Since(start) < time.Minute
	})
	_, _, err := c.Checkpoint(sqlite3.Truncate)
	t.Logf("the other process was in the way for %v", time.Since(start))
	must(t, err)
	// What it reads now and then defers no unlock.
	c.SetBusyHandler(nil)
	for range 3 {
		time.Sleep(30 * time.Millisecond)
		_, err = io.WriteString(in, "\n")
		must(t, err)
		wantLine(t, out, "deferred: false")
		must(t, c.Exec("UPDATE counters SET n = n"))
		_, _, err = c.Checkpoint(sqlite3.Truncate)
		must(t, err)
	}
	must(t, in.Close())
	io.Copy(io.Discard, out)
	must(t, idle.Wait())
}
