//go:build linux

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestSoak(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time with what the first has left
		ok(t, run(t.Context(), []string{"-dir", dir, "-for", "1s", "-kills", "4", "-go", "3", "-python", "0"}))
	}
}

// What is wrong is found.
func TestJudges(t *testing.T) {
	right := map[string]int64{
		"shared total": 5, "shared go0": 3, "shared py0": 2, "locked": 7, "lock go0": 4, "lock go1": 3, "token": 9,
		"push go0": 4, "done go0": 4, "sum go0": 10, "file0 go0": 8,
	}
	judge := func(stored map[string]int64) error {
		stored = maps.Clone(stored)
		err := consistent(stored, accounts*balance)
		return errors.Join(err, allDone(stored), missing(map[string]int64{"shared py0": 2, "lock go1": 3, "file0 go0": 7}, stored))
	}
	if err := judge(right); err != nil {
		t.Error(err)
	}
	for key, n := range map[string]int64{
		"shared total": 6, "shared go0": 2, "locked": 8, "lock go0": 5, "done go0": 3, "sum go0": 9, "push go0": 3, "file0 go0": 6,
	} {
		wrong := maps.Clone(right)
		wrong[key] = n
		if judge(wrong) == nil {
			t.Errorf("%d of %q is not found", n, key)
		}
	}
	if consistent(maps.Clone(right), 1) == nil {
		t.Error("a wrong sum of the accounts is not found")
	}
}

func TestNumber(t *testing.T) {
	for n := range int64(30) {
		value := text("key", n)
		got, err := number("key", value)
		if err != nil || got != n {
			t.Errorf("number %d is %d: %v", n, got, err)
		}
		for _, wrong := range []string{"", value[1:], value[:len(value)-1], value + "a", text("other", n)} {
			if _, err := number("key", wrong); err == nil {
				t.Errorf("%.20q is taken for a value", wrong)
			}
		}
	}
}

// Who has to wait finds out whether the one before was killed, or has left.
func TestEnter(t *testing.T) {
	for last, want := range map[string]error{"inside": nil, "left  ": errTwo} {
		w := &tables{dir: t.TempDir()}
		path := filepath.Join(w.dir, "x")
		before, err := os.Create(path)
		ok(t, err)
		ok(t, unix.Flock(int(before.Fd()), unix.LOCK_EX))
		second := make(chan error)
		go func() {
			leave, err := w.enter("x")
			if err == nil {
				err = leave()
			}
			second <- err
		}()
		info, err := before.Stat()
		ok(t, err)
		waits := regexp.MustCompile(fmt.Sprintf(`-> FLOCK .*:%d `, info.Sys().(*syscall.Stat_t).Ino))
		for waiting := false; !waiting; time.Sleep(time.Millisecond) {
			locks, err := os.ReadFile("/proc/locks")
			ok(t, err)
			waiting = waits.Match(locks)
		}
		_, err = before.WriteString(last)
		ok(t, err)
		ok(t, before.Close())
		if err := <-second; !errors.Is(err, want) {
			t.Errorf("the one before was %q: %v", last, err)
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGrown(t *testing.T) {
	var same, more []sample
	for i := range int64(200) {
		same = append(same, sample{at: time.Duration(i) * time.Second, descriptors: 30 + i%7, kills: int(i)})
		more = append(more, sample{at: time.Duration(i) * time.Second, descriptors: 30 + i})
	}
	if err := grown(same); err != nil {
		t.Error(err)
	}
	if grown(more) == nil {
		t.Error("descriptors that are never closed are not found")
	}
	if err := grown(more[:20]); err != nil {
		t.Error(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(plot(more))); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else {
			ok(t, err)
		}
	}
}
