package sqlite

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wake"
)

// A program that knows nothing of package vfs's deferred unlocks wants the log for itself
// for a moment, as DiskCache does at the end of each process. It gets it soon
// after this process stopped working, and while it only reads, whichever
// connections were at work.
func TestOthersRestartTheLog(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(ctx, "", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	_, end, err := s.Watch(c)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	get := func() {
		if _, _, err := s.Get(ctx, c, key(1), driver.Lookup{Now: at()}); err != nil {
			t.Error(err)
		}
	}
	set := func() {
		err := s.Update(ctx, driver.Shared, func(t driver.Tx) error {
			return errOf(t.Put(ctx, c, driver.Put{Key: key(1), Value: key(2), Now: at()}))
		})
		if err != nil {
			t.Error(err)
		}
	}
	view := func() {
		err := s.View(ctx, func(t driver.Tx) error {
			_, err := t.Count(ctx, c)
			get() // on another connection
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	// often runs f again and again on several goroutines.
	often := func(f func(), until func() bool) {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for !until() {
					f()
				}
			})
		}
		wg.Wait()
	}
	for100ms := func() func() bool {
		end := time.Now().Add(100 * time.Millisecond)
		return func() bool { return time.Now().After(end) }
	}

	other, err := sqlite3.Open(filepath.Join(s.Dir(), databaseName), sqlite3.ReadWrite|sqlite3.DefaultVFS)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	restart := func(when string) {
		t.Helper()
		start := time.Now()
		other.SetBusyHandler(func(int) bool {
			time.Sleep(200 * time.Microsecond)
			return time.Since(start) < time.Minute
		})
		for _, mode := range []sqlite3.CheckpointMode{sqlite3.Restart, sqlite3.Truncate} {
			if err := other.Exec("UPDATE Settings SET value = value WHERE key = 'count'"); err != nil {
				t.Fatal(err)
			}
			log, done, err := other.Checkpoint(mode)
			for sqlite3.IsBusy(err) && log < 0 { // our own is not over
				time.Sleep(time.Millisecond)
				log, done, err = other.Checkpoint(mode)
			}
			if err != nil || log != done {
				t.Fatal("no checkpoint", when, log, done, err)
			}
			t.Logf("%d frames after %v, %s", log, time.Since(start), when)
		}
	}
	for when, f := range map[string]func(){
		"after gets": get, "after sets": set, "after views": view,
		"after checkpoints": func() { set(); wake.Signal(s.core.maintainer.check) },
	} {
		set()
		often(f, for100ms())
		restart(when)
	}
	for range 5 {
		set()
		var wg sync.WaitGroup
		stop := make(chan struct{})
		until := func() bool {
			select {
			case <-stop:
				return true
			default:
				return false
			}
		}
		wg.Go(func() { often(get, until) })
		time.Sleep(5 * time.Millisecond)
		restart("while others read")
		close(stop)
		wg.Wait()
	}
}
