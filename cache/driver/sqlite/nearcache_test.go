package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/codec"
)

func openNear(t *testing.T, bytes int64) (*Store, driver.Collection) {
	t.Helper()
	s := open(t, t.TempDir(), &Options{NearCache: bytes})
	if s.core.near.rows == nil {
		t.Skip("there is no near cache on this system")
	}
	c := collectionOf(t, s, "c")
	// The first Get reads the settings.
	if _, _, err := s.Get(t.Context(), c, codec.TextValue(""), driver.Lookup{Now: at()}); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func (s *Store) hits() int64 {
	hits, _, _ := s.core.near.rows.Stats()
	return hits
}

// fromMemory demands that a Get of a key returns a value, or none if it is
// Null, and that the database was not asked.
func fromMemory(t *testing.T, s *Store, c driver.Collection, key string, want codec.Value, now driver.Instant) {
	t.Helper()
	before := s.hits()
	r, ok, err := s.Get(t.Context(), c, codec.TextValue(key), driver.Lookup{Now: now})
	if err != nil || ok == want.IsNull() || !codec.Equal(r.Value, want) {
		t.Errorf("got %v, %v, %v, want %v", r.Value, ok, err, want)
	}
	if s.hits() == before {
		t.Error("it was not answered from memory")
	}
}

// audited is a store that looks after each operation whether what the near
// cache would answer is what the database holds.
type audited struct {
	*Store
	t testing.TB
}

func (a audited) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	defer a.audit()
	return a.Store.Update(ctx, mode, fn, touches...)
}

func (a audited) Stats(ctx context.Context, h driver.Collection, reset bool) (driver.Stats, error) {
	defer a.audit()
	return a.Store.Stats(ctx, h, reset)
}

func (a audited) Configure(ctx context.Context, h driver.Collection, fn func(*driver.Settings)) (driver.Settings, error) {
	defer a.audit()
	return a.Store.Configure(ctx, h, fn)
}

func (a audited) Drop(ctx context.Context, name string) error {
	defer a.audit()
	return a.Store.Drop(ctx, name)
}

func (a audited) Check(ctx context.Context, mend bool, report func(driver.Problem)) error {
	defer a.audit()
	return a.Store.Check(ctx, mend, report)
}

// auditedKeys are those of drivertest's programs.
var auditedKeys = []codec.Value{
	codec.IntegerValue(1), codec.RealValue(1), codec.IntegerValue(2), codec.RealValue(2.5), codec.IntegerValue(-3),
	codec.IntegerValue(1 << 53), codec.IntegerValue(1<<53 + 1), codec.TextValue("1"), codec.TextValue("a"), codec.TextValue("b"),
	codec.TextValue("c"), codec.TextValue("a\x00b"), codec.TextValue(""), codec.TextValue("日"),
	codec.BlobValue([]byte("a")), codec.BlobValue([]byte("1")), codec.BlobValue([]byte{}), codec.BlobValue([]byte{0}),
}

var compareValues = cmp.Comparer(func(a, b codec.Value) bool { return a.Kind() == b.Kind() && codec.Equal(a, b) })

func (a audited) audit() {
	a.auditEndKeys()
	ctx := context.Background()
	n := &a.core.near
	cn, err := a.core.readers.take(ctx, 0)
	if err != nil {
		a.t.Error(err)
		return
	}
	defer a.core.readers.put(cn)
	for _, c := range a.core.opened() {
		if c.dropped.Load() {
			continue
		}
		for _, key := range auditedKeys {
			var got driver.Row
			hash := near.Hash(c.id, key)
			answer, stamp, _ := n.get(c, hash, key, false, &got)
			if answer != near.Unknown {
				want, ok, err := cn.fetch(c, near.Hash(c.id, key), key, false)
				if now, valid := n.table.Stamp(hash); !valid || now != stamp {
					continue // the maintainer has just written
				}
				if err != nil || ok != (answer == near.Found) {
					a.t.Errorf("key %v: in memory %v, in the database %v, %v", key, answer == near.Found, ok, err)
				} else if d := cmp.Diff(want, got, compareValues); d != "" {
					a.t.Errorf("key %v (-database +memory):\n%s", key, d)
				}
			}
			// It is in memory when the next operation comes.
			if _, _, err := a.Get(ctx, c, key, driver.Lookup{Now: 1, Quiet: true}); err != nil && !errors.Is(err, errDropped) {
				a.t.Error(err)
			}
		}
	}
}

// TestNearAudit: nothing changes a row without saying so, and rows that are
// kept in memory when they are written are those that SQLite would return.
func TestNearAudit(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() || raceEnabled {
		seeds = 3
	}
	var hits int64
	for seed := range seeds {
		drivertest.Random(t, seed, 200, sides()[0], drivertest.Side{Name: "audited", Open: func(t testing.TB) []driver.Store {
			s, err := Open(context.Background(), t.TempDir(), &Options{NearCache: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if s.core.near.rows == nil {
				s.Close()
				t.Skip("there is no near cache on this system")
			}
			t.Cleanup(func() { hits += s.hits() })
			return []driver.Store{audited{s, t}}
		}})
	}
}

// TestNearTransactions: a transaction reads what it wrote, a View what was
// there when it began, and what is rolled back was never there.
func TestNearTransactions(t *testing.T) {
	s, c := openNear(t, 0)
	key := codec.TextValue("k")
	one, two := codec.IntegerValue(1), codec.IntegerValue(2)
	put(t, s, c, driver.Put{Key: key, Value: one})
	fromMemory(t, s, c, "k", one, at()) // own writes fill it
	reads := func(tx driver.Tx, want codec.Value) {
		t.Helper()
		r, ok, err := tx.Get(t.Context(), c, key, driver.Lookup{Now: at()})
		if err != nil || ok == want.IsNull() || !codec.Equal(r.Value, want) {
			t.Errorf("in a transaction: %v, %v, %v, want %v", r.Value, ok, err, want)
		}
	}
	failure := errors.New("rolled back")
	for name, end := range map[string]func() error{
		"error": func() error { return failure },
		"panic": func() error { panic(failure) },
	} {
		for mode := range driver.Mode(2) {
			t.Run(fmt.Sprint(name, mode), func(t *testing.T) {
				defer func() {
					recover()
					fromMemory(t, s, c, "k", one, at())
				}()
				err := s.Update(t.Context(), mode, func(tx driver.Tx) error {
					if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: key, Value: two, Now: at()})); err != nil {
						return err
					}
					reads(tx, two)
					fromMemory(t, s, c, "k", one, at())
					if _, err := tx.Delete(t.Context(), c, key, at()); err != nil {
						return err
					}
					reads(tx, codec.Value{})
					return end()
				})
				if !errors.Is(err, failure) {
					t.Error(err)
				}
				// The key's version has not changed: nothing was committed.
			})
		}
	}
	err := s.View(t.Context(), func(tx driver.Tx) error {
		reads(tx, one)
		put(t, s, c, driver.Put{Key: key, Value: two})
		fromMemory(t, s, c, "k", two, at())
		reads(tx, one)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
		_, err := tx.Delete(t.Context(), c, key, at())
		return err
	}); err != nil {
		t.Error(err)
	}
	fromMemory(t, s, c, "k", codec.Value{}, at()) // that there is none is known too
}

// TestNearGroup: of operations that share a commit, one that fails leaves
// nothing behind, and the others are kept.
func TestNearGroup(t *testing.T) {
	s, c := openNear(t, 0)
	failure := errors.New("this one")
	var all sync.WaitGroup
	for i := range 200 {
		key := fmt.Sprint("k", i)
		all.Go(func() {
			err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue(key), Value: codec.TextValue(key), Now: at()})); err != nil {
					return err
				}
				if i%5 == 0 {
					return failure
				}
				return nil
			})
			if (i%5 == 0) != errors.Is(err, failure) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 200 {
		key := fmt.Sprint("k", i)
		r, ok, err := s.Get(t.Context(), c, codec.TextValue(key), driver.Lookup{Now: at()})
		if err != nil || ok != (i%5 != 0) || ok && r.Value.Text() != key {
			t.Errorf("%s: %v, %v, %v", key, r.Value, ok, err)
		}
	}
}

// TestNearExpiry: expiry is judged at each Get, by the clock of that Get.
func TestNearExpiry(t *testing.T) {
	s, c := openNear(t, 0)
	v, gone := codec.IntegerValue(1), codec.Value{}
	put(t, s, c, driver.Put{Key: codec.TextValue("k"), Value: v, Now: 1000, Expire: 1010})
	for _, step := range []struct {
		now  driver.Instant
		want codec.Value
	}{{1009, v}, {1010, gone}, {5000, gone}, {900, v}, {1009.5, v}, {1011, gone}, {1000, v}} {
		fromMemory(t, s, c, "k", step.want, step.now)
	}
}

// TestNearCopies: neither what a caller does to the bytes that it has stored
// nor to those that it was given is seen by anybody.
func TestNearCopies(t *testing.T) {
	s, c := openNear(t, 0)
	b := []byte("value")
	put(t, s, c, driver.Put{Key: codec.TextValue("k"), Value: codec.BlobValue(b), Tag: codec.BlobValue(b)})
	b[0] = 'x'
	for range 2 {
		fromMemory(t, s, c, "k", codec.BlobValue([]byte("value")), at())
		r := get(t, s, c, "k")
		r.Value.Blob()[0], r.Tag.Blob()[0] = 'y', 'y'
	}
	if r := get(t, s, c, "k"); string(r.Tag.Blob()) != "value" {
		t.Errorf("the tag is %q", r.Tag.Blob())
	}
}

// TestNearBytes: the bound holds whatever is read and written.
func TestNearBytes(t *testing.T) {
	for _, bound := range []int64{32 << 10, 1 << 20} {
		s, c := openNear(t, bound)
		var all sync.WaitGroup
		for g := range uint64(4) {
			rng := rand.New(rand.NewPCG(g, 0))
			all.Go(func() {
				for range 500 {
					key := codec.TextValue(fmt.Sprint(rng.IntN(200), strings.Repeat("k", rng.IntN(100))))
					if rng.IntN(2) == 0 {
						put(t, s, c, driver.Put{Key: key, Value: codec.BlobValue(bytes.Repeat([]byte{1}, rng.IntN(1<<rng.IntN(17))))})
					} else if _, _, err := s.Get(t.Context(), c, key, driver.Lookup{Now: at()}); err != nil {
						t.Error(err)
					}
					if _, _, n := s.core.near.rows.Stats(); n > bound {
						t.Errorf("%d bytes, the bound is %d", n, bound)
						return
					}
				}
			})
		}
		all.Wait()
	}
}
