package sync_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// full is an engine whose messages nobody has room for. Unlike with an engine in a
// directory, a watch tells of changes of its collection only.
type full struct{ driver.Store }

func (full) Listen(string, func([]byte, bool)) (func(), error) { return func() {}, nil }
func (full) Signal(string, []byte) error                       { return errors.New("no room") }

// A process that cannot send a wake-up sends a broadcast, upon which all that wait
// look at their rows. Nothing else would tell them, for some time.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		open := func() *cache.Store {
			st := cache.NewStore(full{data.Open(nil)}, nil)
			t.Cleanup(func() { ok(t, st.Close()) })
			return st
		}
		st := open()
		l, rows := newLock(t, st, "l", nil), leases(t, st)
		broadcasts, err := cache.New(t.Context(), st, "broadcasts", &cache.Options[string, string]{Family: "sync", Persistent: true})
		ok(t, err)
		changed, stop, err := broadcasts.Watch()
		ok(t, err)
		defer stop()

		// A process that is none of this test's waits for the lock.
		g := lock(t, l)
		row, _, err := rows.Get(t.Context(), "lock/l")
		ok(t, err)
		theirs := session(t, open()) + ".0"
		ok(t, rows.Set(t.Context(), "lock/l", strings.TrimRight(row, "\n")+"\n- "+theirs+" Yk3v0mJ8TzqWc1n5uRb7Xg 1 0 0 0"))
		ok(t, g.Unlock())
		synctest.Wait()
		select {
		case <-changed:
		default:
			t.Error("nobody tells the process that has been granted the lock")
		}

		// This process waits. What wakes it is a broadcast.
		got := make(chan struct{})
		go func() {
			ok(t, lock(t, l).Unlock())
			close(got)
		}()
		synctest.Wait()
		_, err = rows.Delete(t.Context(), "lock/l")
		ok(t, err)
		synctest.Wait()
		select {
		case <-got:
			t.Error("woken by something else")
		default:
		}
		began := time.Now()
		ok(t, broadcasts.Set(t.Context(), "", ""))
		<-got
		equal(t, time.Since(began), 0)
	})
}
