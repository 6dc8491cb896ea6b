package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

const helperVar = "DISKCACHE_WORKER_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVar) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Killing workers loses no job, and none is done twice.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	ok(t, err)
	start := func(args ...string) *exec.Cmd {
		cmd := exec.Command(exe, append([]string{"-dir", dir}, args...)...)
		cmd.Env = append(os.Environ(), helperVar+"=1")
		cmd.Stderr = os.Stderr
		ok(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd
	}
	const jobs = 80
	ok(t, start("-add", fmt.Sprint(jobs)).Wait())
	st, err := cache.OpenStore(t.Context(), dir, nil)
	ok(t, err)
	defer func() { ok(t, st.Close()) }()
	r, err := newRunner(t.Context(), st)
	ok(t, err)
	changed, stop, err := r.results.Watch()
	ok(t, err)
	defer stop()
	done := func(n int64) {
		t.Helper()
		late := time.After(time.Minute)
		for {
			got, err := r.results.Len(t.Context())
			ok(t, err)
			if got >= n {
				return
			}
			select {
			case <-changed:
			case <-late:
				t.Fatalf("%d of %d jobs are done", got, jobs)
			}
		}
	}

	workers := []*exec.Cmd{start("-every", "1h"), start("-every", "1h")}
	for i := range 4 {
		done(int64(i+1) * 10)
		victim := workers[i%2]
		ok(t, victim.Process.Kill())
		_ = victim.Wait()
		workers[i%2] = start("-every", "1h")
	}
	done(jobs)
	for _, w := range workers {
		if runtime.GOOS == "windows" { // a process cannot interrupt another one
			ok(t, w.Process.Kill())
			_ = w.Wait()
			continue
		}
		ok(t, w.Process.Signal(os.Interrupt))
		ok(t, w.Wait())
	}
	for id := range int64(jobs) {
		if _, found, err := r.results.Get(t.Context(), id+1); err != nil || !found {
			t.Errorf("job %d: %v, %v", id+1, found, err)
		}
	}
	s, err := r.took.Summary(t.Context())
	ok(t, err)
	if s.Count != jobs {
		t.Errorf("%d jobs were counted", s.Count)
	}
	ok(t, start("-drain").Wait())
}

// A job that fails is tried again, then given up, and holds nobody up.
func TestFailing(t *testing.T) {
	st, err := cache.OpenStore(t.Context(), t.TempDir(), nil)
	ok(t, err)
	defer func() { ok(t, st.Close()) }()
	r, err := newRunner(t.Context(), st)
	ok(t, err)
	ok(t, r.jobs.PushBack(t.Context(), job{ID: 7, Currency: "XXX"}))
	for n := range int64(attempts) {
		c, err := r.jobs.ClaimWait(t.Context(), asLongAsWeLive)
		ok(t, err)
		if c.Attempt != n+1 {
			t.Errorf("attempt %d, want %d", c.Attempt, n+1)
		}
		ok(t, r.do(t.Context(), c))
	}
	why, found, err := r.failed.Get(t.Context(), 7)
	ok(t, err)
	if !found || why == "" {
		t.Error("the job was not given up")
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
