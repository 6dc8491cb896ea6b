package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// shelf are stores that are kept while nobody has them open.
type shelf []*memory.Data

func newShelf(n int) (all shelf) {
	for range n {
		all = append(all, new(memory.Data))
	}
	return all
}

// join opens some of them as one store.
func (all shelf) join(t *testing.T, which ...int) (*Store, error) {
	var stores []driver.Store
	for _, i := range which {
		stores = append(stores, all[i].Open(nil))
	}
	s, err := New(t.Context(), stores...)
	if err != nil {
		for _, st := range stores { // New has left them open
			ok(t, st.View(t.Context(), func(driver.Tx) error { return nil }))
			ok(t, st.Close())
		}
	}
	return s, err
}

// The shards are the same ones, in the same order, each time.
func TestJoinSame(t *testing.T) {
	all := newShelf(4)
	s, err := all.join(t, 0, 1, 2)
	ok(t, err)
	c, named := open(t, s, ""), open(t, s, "cache/pages")
	for i := range 30 {
		put(t, s, c, number(i))
	}
	put(t, s, named, text("k"))
	ok(t, s.Close())
	for _, which := range [][]int{{1, 0, 2}, {0, 2, 1}, {0, 1}, {0}, {1}, {0, 1, 2, 3}, {3, 1, 2}, {0, 1, 3}, {0, 0, 1}} {
		_, err := all.join(t, which...)
		is(t, err, ErrShards)
	}
	// What was refused has left no traces.
	s, err = all.join(t, 0, 1, 2)
	ok(t, err)
	for i := range 30 {
		equal(t, has(t, s, open(t, s, ""), number(i)), true)
	}
	equal(t, has(t, s, open(t, s, "cache/pages"), text("k")), true)
	names, err := s.Names(t.Context())
	ok(t, err)
	equal(t, fmt.Sprint(names), "[ cache/pages]")
	ok(t, s.Close())
	first := all[0].Open(nil)
	equal(t, has(t, first, open(t, first, "cache/pages"), text("k")), true)
	ok(t, first.Close())
	s, err = all.join(t, 3)
	ok(t, err)
	ok(t, s.Close())
}

// A store that holds something is no new shard.
func TestJoinUsed(t *testing.T) {
	for _, name := range []string{"", "deque/jobs"} {
		all := newShelf(2)
		st := all[1].Open(nil)
		put(t, st, open(t, st, name), text("k"))
		ok(t, st.Close())
		_, err := all.join(t, 0, 1)
		is(t, err, ErrShards)
		_, err = all.join(t, 1, 0)
		is(t, err, ErrShards)
	}
	_, err := New(t.Context())
	is(t, err, ErrShards)
}

// Programs that join new stores at the same time, or after one that has ended halfway,
// make one store of them.
func TestJoinAtOnce(t *testing.T) {
	for range 20 {
		all := newShelf(3)
		errs := make(chan error, 8)
		var joining sync.WaitGroup
		for range cap(errs) {
			joining.Go(func() {
				s, err := all.join(t, 0, 1, 2)
				if err == nil {
					c, failed := s.Open(t.Context(), "", driver.Spec{Settings: driver.DefaultSettings()})
					err = failed
					for i := range 9 {
						if err == nil {
							err = s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
								_, err := tx.Put(t.Context(), c, driver.Put{Key: number(i), Now: now})
								return err
							})
						}
					}
					err = errors.Join(err, s.Close())
				}
				errs <- err
			})
		}
		joining.Wait()
		for range cap(errs) {
			ok(t, <-errs)
		}
	}
	all := newShelf(2)
	failure := errors.New("no disk")
	_, err := New(t.Context(), all[0].Open(nil), broken{all[1].Open(nil), failure})
	is(t, err, failure)
	s, err := all.join(t, 0, 1)
	ok(t, err)
	ok(t, s.Close())
}

// Another program may do it all between any two steps.
func TestJoinMeanwhile(t *testing.T) {
	for _, at := range []struct {
		shard  int
		method string
	}{{0, "Names"}, {0, "Update"}, {1, "Open"}, {1, "Names"}, {1, "Update"}} {
		all := newShelf(2)
		other := func() {
			s, err := all.join(t, 0, 1)
			ok(t, err)
			for i := range 9 {
				put(t, s, open(t, s, ""), number(i))
			}
			ok(t, s.Close())
		}
		stores := []driver.Store{all[0].Open(nil), all[1].Open(nil)}
		stores[at.shard] = &interrupted{stores[at.shard], at.method, other}
		s, err := New(t.Context(), stores...)
		if err != nil {
			t.Fatalf("before %s of shard %d: %v", at.method, at.shard, err)
		}
		for i := range 9 {
			equal(t, has(t, s, open(t, s, ""), number(i)), true)
		}
		ok(t, s.Close())
	}
	all := newShelf(2)
	_, err := New(t.Context(), &interrupted{all[0].Open(nil), "Update", func() {
		s, err := all.join(t, 1, 0)
		ok(t, err)
		ok(t, s.Close())
	}}, all[1].Open(nil))
	is(t, err, ErrShards)
}

// interrupted is a store that does something before a method is called the first time.
type interrupted struct {
	driver.Store
	at string
	do func()
}

func (s *interrupted) before(method string) {
	if s.at == method {
		s.at = ""
		s.do()
	}
}

func (s *interrupted) Open(ctx context.Context, name string, spec driver.Spec) (driver.Collection, error) {
	s.before("Open")
	return s.Store.Open(ctx, name, spec)
}

func (s *interrupted) Names(ctx context.Context) ([]string, error) {
	s.before("Names")
	return s.Store.Names(ctx)
}

func (s *interrupted) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	s.before("Update")
	return s.Store.Update(ctx, mode, fn, touches...)
}

// broken is a store whose transactions fail.
type broken struct {
	driver.Store
	err error
}

func (s broken) Update(context.Context, driver.Mode, func(driver.Tx) error, ...driver.Collection) error {
	return s.err
}

// clocked is a store with a clock of its own.
type clocked struct{ driver.Store }

func (clocked) Now() time.Time { return time.Unix(1, 0) }

// The clock is that of the first shard, and of this machine where that has none.
func TestJoinClock(t *testing.T) {
	s, err := New(t.Context(), clocked{memory.New(nil)}, memory.New(nil))
	ok(t, err)
	equal(t, s.Now(), time.Unix(1, 0))
	ok(t, s.Close())
	s, err = New(t.Context(), memory.New(nil))
	ok(t, err)
	equal(t, time.Since(s.Now()) < time.Minute, true)
	ok(t, s.Close())
}

// The size limit is divided, also where a store has a default collection from the start.
func TestJoinDivides(t *testing.T) {
	var stores []driver.Store
	for range 4 {
		st, err := sqlite.Open(t.Context(), t.TempDir(), nil)
		ok(t, err)
		stores = append(stores, st)
	}
	s, err := New(t.Context(), stores...)
	ok(t, err)
	limit := driver.DefaultSettings().SizeLimit
	equal(t, open(t, s, "").Settings().SizeLimit, limit)
	equal(t, open(t, s, "").(driver.Divided).ValueLimit(), limit/4)
	is(t, s.Backup(t.Context(), t.TempDir()), errors.ErrUnsupported) // it would be no store
	ok(t, s.Close())
}
