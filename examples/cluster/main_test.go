package main

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test program is also the program, so that processes can be tested.
func TestMain(m *testing.M) {
	if os.Getenv("CLUSTER_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// stores calls fn with a directory and, if there is one for tests, with a database:
// go run ../../cache/driver/postgres/internal/withserver go test.
func stores(t *testing.T, fn func(t *testing.T, where string)) {
	t.Run("directory", func(t *testing.T) { t.Parallel(); fn(t, t.TempDir()) })
	t.Run("database", func(t *testing.T) { t.Parallel(); fn(t, database(t)) })
}

// database returns a database that has no store.
func database(t *testing.T) string {
	dsn := os.Getenv("DISKCACHE_POSTGRES_DSN")
	if dsn == "" {
		t.Skip("DISKCACHE_POSTGRES_DSN names no server")
	}
	q := url.Values{}
	for field := range strings.FieldsSeq(dsn) {
		name, value, _ := strings.Cut(field, "=")
		q.Set(name, value)
	}
	where := "postgres:///?" + q.Encode()
	st, err := open(t.Context(), where)
	ok(t, err)
	names, err := st.Collections(t.Context())
	ok(t, err)
	for _, name := range names { // of the test before
		ok(t, st.Drop(t.Context(), name))
	}
	ok(t, st.Close())
	return where
}

// A process that is killed loses no order, and none is done twice.
func TestKill(t *testing.T) {
	stores(t, func(t *testing.T, where string) {
		start := func(name string) (*exec.Cmd, *bytes.Buffer) {
			exe, err := os.Executable()
			ok(t, err)
			var out bytes.Buffer
			cmd := exec.Command(exe, "-store", where, "-host", name, "-v", "work")
			cmd.Env = append(os.Environ(), "CLUSTER_MAIN=1")
			cmd.Stdout = &out
			cmd.Stderr = os.Stderr
			ok(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			return cmd, &out
		}
		call(t, "60 orders added", "-store", where, "add", "60")
		st, err := open(t.Context(), where)
		ok(t, err)
		defer func() { ok(t, st.Close()) }()
		var h host
		ok(t, h.open(t.Context(), st))
		changed, stop, err := h.amounts.Watch()
		ok(t, err)
		defer stop()
		done := func(n int64) {
			t.Helper()
			late := time.After(time.Minute)
			for {
				got, err := h.amounts.Len(t.Context())
				ok(t, err)
				if got >= n {
					return
				}
				select {
				case <-changed:
				case <-late:
					t.Fatalf("%d of 60 orders are done", got)
				}
			}
		}
		victim, _ := start("a")
		done(4)
		other, out := start("b")
		done(20)
		ok(t, victim.Process.Kill())
		_ = victim.Wait()
		done(60)
		ok(t, other.Process.Signal(os.Interrupt))
		ok(t, other.Wait())
		if !strings.Contains(out.String(), "orders done, 0 lost to others; rates: 0 asked for") || strings.Contains(out.String(), "tries again") {
			t.Error(out)
		}
		call(t, "orders: 0 wait, 0 are begun, 60 done", "-store", where, "status")
	})
}

// One of all hosts writes the report of a night.
func TestNight(t *testing.T) {
	stores(t, func(t *testing.T, where string) {
		call(t, "6 orders added", "-store", where, "add", "6")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		outs := make(chan string, 2)
		for _, name := range []string{"a", "b"} {
			go func() {
				var out bytes.Buffer
				run(ctx, []string{"-store", where, "-host", name, "-night", "5s", "-v", "work"}, &out, &out)
				outs <- out.String()
			}()
		}
		st, err := open(t.Context(), where)
		ok(t, err)
		defer func() { ok(t, st.Close()) }()
		var h host
		ok(t, h.open(t.Context(), st))
		changed, stop, err := h.reports.Watch()
		ok(t, err)
		defer stop()
		for n := int64(0); n < 1; {
			<-changed
			n, err = h.reports.Len(t.Context())
			ok(t, err)
		}
		cancel()
		text := <-outs + <-outs
		night, _, err := h.reports.First(t.Context())
		ok(t, err)
		if n := strings.Count(text, "has written the report of "+night.Key); n > 1 {
			t.Errorf("written %d times:\n%s", n, text)
		}
		call(t, "last report: of ", "-store", where, "status")
	})
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"work"}, {"-store", "x"}, {"-store", "x", "add"}, {"-store", "x", "add", "0"}, {"-store", "x", "work", "more"}, {"-store", "x", "-at-once", "0", "work"}, {"-store", "x", "-night", "1ms", "work"}, {"-what"}} {
		t.Setenv("CLUSTER_STORE", "")
		var out, complaint bytes.Buffer
		if code := run(t.Context(), args, &out, &complaint); code != 2 || !strings.Contains(complaint.String(), "usage: cluster") {
			t.Errorf("%q: exit status %d, %q", args, code, complaint.String())
		}
	}
}

// call runs the program, which is to print something.
func call(t *testing.T, want string, args ...string) {
	t.Helper()
	var out, complaint bytes.Buffer
	if code := run(t.Context(), args, &out, &complaint); code != 0 || complaint.Len() > 0 || !strings.Contains(out.String(), want) {
		t.Fatalf("exit status %d, %q, %q", code, out.String(), complaint.String())
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
