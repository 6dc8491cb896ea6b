package group

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// user is a writer whose commits take time.
type user struct {
	*Group
	log bytes.Buffer

	mu      sync.Mutex
	batches [][]string // what was committed, in groups
	names   map[*Request]string
}

const commit = time.Millisecond

func newUser(ungrouped bool) *user {
	u := &user{names: make(map[*Request]string)}
	u.Group = New(slog.New(slog.NewTextHandler(&u.log, nil)), ungrouped)
	return u
}

func (u *user) do(name string, r *Request) error {
	if r.Ctx == nil {
		r.Ctx = context.Background()
	}
	if r.Run == nil {
		r.Run = func(driver.Tx) error { return nil }
	}
	u.mu.Lock()
	u.names[r] = name
	u.mu.Unlock()
	leads, err := u.Join(r)
	if leads {
		err = u.lead(r)
	}
	r.Repanic()
	return err
}

func (u *user) lead(r *Request) error {
	defer u.HandOver()
	if r.Mode != driver.Shared {
		u.BeginAlone()
		defer u.EndAlone()
		u.note(r)
		return r.Run(nil)
	}
	batch := u.Gather(r)
	for _, q := range batch {
		q.Call(nil)
	}
	time.Sleep(commit)
	u.note(batch...)
	u.Release(r)
	return r.Err
}

func (u *user) note(batch ...*Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var names []string
	for _, q := range batch {
		names = append(names, u.names[q])
	}
	u.batches = append(u.batches, names)
}

// Requests that queue up while a leader commits share the next commit, in their
// order, up to one that is not shared.
func TestGather(t *testing.T) {
	for ungrouped, want := range map[bool]string{
		false: "[[a] [b c] [D] [E] [f g]]",
		true:  "[[a] [b] [c] [D] [E] [f] [g]]",
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newUser(ungrouped)
			var all sync.WaitGroup
			for _, name := range []string{"a", "b", "c", "D", "E", "f", "g"} {
				mode := driver.Shared
				switch name {
				case "D":
					mode = driver.Alone
				case "E":
					mode = driver.Own
				}
				all.Go(func() {
					if err := u.do(name, &Request{Mode: mode}); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
			all.Wait()
			if got := fmt.Sprint(u.batches); got != want {
				t.Errorf("ungrouped %v: %s, want %s", ungrouped, got, want)
			}
			if !u.Idle() || u.Waiting() != 0 {
				t.Error("somebody leads, or waits")
			}
		})
	}
}

// A commit has so many requests and no more.
func TestMaxSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(false)
		var all sync.WaitGroup
		for range 2*MaxSize + 1 {
			all.Go(func() { u.do("", &Request{Mode: driver.Shared}) })
			synctest.Wait()
		}
		all.Wait()
		var sizes []int
		for _, b := range u.batches {
			sizes = append(sizes, len(b))
		}
		if !slices.Equal(sizes, []int{1, MaxSize, MaxSize}) {
			t.Error("commits of", sizes)
		}
	})
}

// A request that fails or panics does so for its own caller.
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(false)
		boom := errors.New("boom")
		go u.do("first", &Request{Mode: driver.Shared})
		synctest.Wait()
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				defer func() {
					if p := recover(); (p != nil) != (i == 3) {
						t.Errorf("request %d panicked with %v", i, p)
					}
				}()
				err := u.do("", &Request{Mode: driver.Shared, Run: func(driver.Tx) error {
					switch i {
					case 2:
						return boom
					case 3:
						panic(boom)
					}
					return nil
				}})
				if errors.Is(err, boom) != (i == 2) {
					t.Errorf("request %d: %v", i, err)
				}
			})
		}
		all.Wait()
	})
}

// A wait ends with its context and at its deadline; a request that runs by then
// counts, and one that was to lead hands the lead over.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(false)
		busy := func(d time.Duration, mode driver.Mode) {
			go u.do("busy", &Request{Mode: mode, Run: func(driver.Tx) error {
				time.Sleep(d)
				return nil
			}})
			synctest.Wait()
		}
		busy(time.Minute, driver.Shared)
		began := time.Now()
		err := u.do("late", &Request{Deadline: began.Add(3 * time.Second)})
		if !errors.Is(err, driver.ErrTimeout) || time.Since(began) != 3*time.Second || strings.Contains(err.Error(), writeInsideAdvice) {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		cause := errors.New("not needed")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if err := u.do("cancelled", &Request{Ctx: ctx}); !errors.Is(err, cause) {
			t.Error(err)
		}
		if u.Waiting() != 0 {
			t.Error("what was given up waits")
		}
		time.Sleep(time.Minute)

		// It runs already.
		busy(time.Second, driver.Shared)
		ran := make(chan error)
		go func() {
			ran <- u.do("runs", &Request{Mode: driver.Shared, Deadline: time.Now().Add(2 * time.Second), Run: func(driver.Tx) error {
				time.Sleep(time.Minute)
				return nil
			}})
		}()
		synctest.Wait()
		follower := make(chan error)
		go func() {
			follower <- u.do("follower", &Request{Mode: driver.Shared, Deadline: time.Now().Add(2 * time.Second)})
		}()
		if err := errors.Join(<-ran, <-follower); err != nil {
			t.Error("a request that ran is said to have timed out:", err)
		}

		// Its context ends when it is to lead: either may be seen first.
		for range 200 {
			busy(time.Second, driver.Alone)
			ctx, end := context.WithTimeout(t.Context(), time.Second)
			if err := u.do("ended", &Request{Ctx: ctx, Mode: driver.Shared}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			end()
			synctest.Wait()
			if !u.Idle() {
				t.Fatal("nobody has handed the lead over")
			}
		}
	})
}

// The Logger is told once of a transaction that a write waits for, which may wait for
// that write, and the write's error says so.
func TestUnbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(false)
		for range 2 {
			err := u.do("outer", &Request{Mode: driver.Alone, Run: func(driver.Tx) error {
				time.Sleep(warnAfter / 2)
				var all sync.WaitGroup
				for range 3 {
					all.Go(func() {
						err := u.do("inner", &Request{Mode: driver.Shared, Deadline: time.Now().Add(3 * warnAfter)})
						if !errors.Is(err, driver.ErrTimeout) || !strings.Contains(err.Error(), writeInsideAdvice) {
							t.Error(err)
						}
					})
				}
				all.Wait()
				return nil
			}})
			if err != nil {
				t.Error(err)
			}
		}
		if n := strings.Count(u.log.String(), writeInsideAdvice); n != 2 {
			t.Errorf("told %d times of 2 transactions:\n%s", n, &u.log)
		}
	})
}
