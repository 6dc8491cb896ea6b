package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/dump"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
	dsync "github.com/go-diskcache/diskcache/sync"
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

// A store is moved into a database and back with all that is in it.
func TestCopy(t *testing.T) {
	ctx := t.Context()
	there, back, first := database(t), t.TempDir(), t.TempDir()
	st, err := open(ctx, first)
	ok(t, err)
	pages, err := cache.New(ctx, st, "pages", &cache.Options[string, []byte]{Policy: cache.LeastRecentlyUsed, SizeLimit: 64 << 20})
	ok(t, err)
	for i := range 700 {
		ok(t, pages.Set(ctx, fmt.Sprintf("/%d", i*7919%700), []byte(fmt.Sprint(i)), cache.Tag(fmt.Sprint("tag", i%3)), cache.TTL(time.Hour)))
	}
	ok(t, pages.Set(ctx, "/large", bytes.Repeat([]byte{0, 255}, 300_000)))
	words, err := index.New[string, float64](ctx, st, "words", nil)
	ok(t, err)
	for i, w := range []string{"zebra", "\x00\xff", "", "é"} {
		ok(t, words.Set(ctx, w, float64(i)))
	}
	jobs, err := deque.New[string](ctx, st, "jobs", &deque.Options[string]{MaxLen: 10})
	ok(t, err)
	ok(t, jobs.PushBackMany(ctx, slices.Values([]string{"a", "b", "c"})))
	ok(t, jobs.PushBack(ctx, "later", deque.Delay(time.Hour)))
	_, _, err = jobs.Claim(ctx, time.Hour)
	ok(t, err)
	took, err := dsync.NewAverager(ctx, st, "took")
	ok(t, err)
	ok(t, took.Add(ctx, 2.5))
	ok(t, st.Close())

	call(t, "", "copy", first, there)
	call(t, "", "copy", there, back)
	want, got := content(t, first), content(t, back)
	if len(want) < 700 || !slices.Equal(want, got) {
		t.Errorf("%d lines came back of %d", len(got), len(want))
		for i := range min(len(want), len(got)) {
			if want[i] != got[i] {
				t.Errorf("%.200s, want %.200s", got[i], want[i])
			}
		}
	}
	for _, where := range []string{there, back} {
		st, err := open(ctx, where)
		ok(t, err)
		jobs, err := deque.New[string](ctx, st, "jobs", nil)
		ok(t, err)
		s, err := jobs.Stats(ctx)
		ok(t, err)
		if s.Ready != 3 || s.Claimed != 0 || s.Delayed != 1 { // nobody has a claim in another store
			t.Errorf("%+v", s)
		}
		for _, want := range []string{"a", "b", "c"} {
			c, found, err := jobs.Claim(ctx, time.Hour)
			ok(t, err)
			if !found || c.Value != want || (c.Attempt == 2) != (want == "a") {
				t.Errorf("%+v, want %q", c, want)
			}
		}
		ok(t, st.Close())
	}
	var complaint bytes.Buffer
	if code := run(ctx, []string{"copy", first, there}, io.Discard, &complaint); code != 1 || !strings.Contains(complaint.String(), "-merge") {
		t.Errorf("exit status %d, %q", code, &complaint)
	}
}

// content returns all that is in a store, as lines.
func content(t *testing.T, where string) []string {
	st, err := open(t.Context(), where)
	ok(t, err)
	defer func() { ok(t, st.Close()) }()
	var text bytes.Buffer
	_, err = dump.Export(t.Context(), st, &text, nil)
	ok(t, err)
	return strings.Split(text.String(), "\n")
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
	if code := run(t.Context(), args, &out, &complaint); code != 0 || !strings.Contains(out.String(), want) {
		t.Fatalf("exit status %d, %q, %q", code, out.String(), complaint.String())
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
