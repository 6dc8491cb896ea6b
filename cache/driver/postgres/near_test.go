//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/codec"
)

// put stores a row that expires at 1000.
func put(t testing.TB, s driver.Store, c driver.Collection, key, value string) {
	t.Helper()
	if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
		_, err := tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue(key), Value: codec.TextValue(value), Now: 1, Expire: 1000})
		return err
	}, c); err != nil {
		t.Fatal(err)
	}
}

// get returns a row as a text.
func get(t testing.TB, s driver.Store, c driver.Collection, key string) string {
	t.Helper()
	r, ok, err := s.Get(t.Context(), c, codec.TextValue(key), driver.Lookup{Now: 2, Quiet: true})
	if errors.Is(err, driver.ErrClosed) {
		return "closed"
	}
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "none"
	}
	return fmt.Sprint(r.Value.Text(), " ", r.ID, " ", r.Expire, " ", r.Accesses)
}

// TestNear: a Get that is answered with a copy knows whatever another program has
// written before it.
func TestNear(t *testing.T) {
	dsn := dsn(t)
	ctx := t.Context()
	tx := func(fn func(tx driver.Tx, c driver.Collection) error) func(driver.Store, driver.Collection) error {
		return func(s driver.Store, c driver.Collection) error {
			return s.Update(ctx, driver.Own, func(tx driver.Tx) error { return fn(tx, c) }, c)
		}
	}
	key := codec.TextValue("k")
	for name, writes := range map[string]struct {
		fn   func(s driver.Store, c driver.Collection) error
		want string
	}{
		"put": {tx(func(tx driver.Tx, c driver.Collection) error {
			_, err := tx.Put(ctx, c, driver.Put{Key: key, Value: codec.TextValue("w"), Now: 2})
			return err
		}), "w 1 0 0"},
		"keep": {tx(func(tx driver.Tx, c driver.Collection) error {
			_, err := tx.Put(ctx, c, driver.Put{Key: key, Value: codec.TextValue("w"), Now: 2, Keep: true})
			return err
		}), "w 1 1000 0"},
		"touch": {tx(func(tx driver.Tx, c driver.Collection) error {
			_, err := tx.Touch(ctx, c, key, 2000, 2)
			return err
		}), "v 1 2000 0"},
		"delete": {tx(func(tx driver.Tx, c driver.Collection) error {
			_, err := tx.Delete(ctx, c, key, 2)
			return err
		}), "none"},
		"remove": {tx(func(tx driver.Tx, c driver.Collection) error {
			_, err := tx.Remove(ctx, c, driver.Filter{}, 10)
			return err
		}), "none"},
		"cull": {tx(func(tx driver.Tx, c driver.Collection) error {
			_, err := tx.Cull(ctx, c, 1000, 10, codec.Value{})
			return err
		}), "none"},
		"another key of its ID": {tx(func(tx driver.Tx, c driver.Collection) error {
			if _, err := tx.Delete(ctx, c, key, 2); err != nil {
				return err
			}
			_, err := tx.Put(ctx, c, driver.Put{Key: codec.TextValue("l"), Value: codec.TextValue("w"), Now: 2})
			return err
		}), "none"},
		"access": {tx(func(tx driver.Tx, c driver.Collection) error {
			_, _, err := tx.Get(ctx, c, key, driver.Lookup{Now: 2})
			return err
		}), "v 1 1000 1"},
		"mark": {func(s driver.Store, c driver.Collection) error {
			_, _, err := s.Get(ctx, c, key, driver.Lookup{Now: 2, Slide: 3000})
			return errors.Join(err, s.Close())
		}, "v 1 3000 1"},
		"many": {func(s driver.Store, c driver.Collection) error {
			return s.Update(ctx, driver.Own, func(tx driver.Tx) error {
				for range 200 {
					for _, k := range []string{"k", "l"} {
						if _, err := tx.Put(ctx, c, driver.Put{Key: codec.TextValue(k), Value: codec.TextValue("w"), Now: 2}); err != nil {
							return err
						}
					}
				}
				return nil
			}, c)
		}, "w 1 0 0"},
		"often": {func(s driver.Store, c driver.Collection) error {
			put(t, s, c, "k", "w")
			for range 100 {
				put(t, s, c, "l", "w")
			}
			return nil
		}, "w 1 1000 0"},
		"configure": {func(s driver.Store, c driver.Collection) error {
			_, err := s.Configure(ctx, c, func(s *driver.Settings) { s.CullLimit++ })
			return err
		}, "v 1 1000 0"},
		"empty": {func(s driver.Store, c driver.Collection) error { return s.Drop(ctx, "") }, "none"},
		"drop":  {func(s driver.Store, c driver.Collection) error { return s.Drop(ctx, "near") }, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := driver.PersistentSettings()
			settings.Policy = driver.LeastFrequentlyUsed
			s, _ := opened(t, dsn, postgres.Options{})
			other, _ := opened(t, dsn, postgres.Options{})
			in := "near"
			if name == "empty" {
				in = ""
			}
			c, err := s.Open(ctx, in, driver.Spec{Settings: settings})
			if err != nil {
				t.Fatal(err)
			}
			oc, err := other.Open(ctx, in, driver.Spec{})
			if err != nil {
				t.Fatal(err)
			}
			put(t, other, oc, "k", "v")
			for i := range 3 {
				if got := get(t, s, c, "k"); got != "v 1 1000 0" {
					t.Fatal(i, got)
				}
			}
			near := s.(driver.Metered)
			if n := near.Metrics().Near; n.Hits != 2 || n.Misses != 1 || n.Bytes == 0 {
				t.Errorf("%+v", n)
			}
			if err := writes.fn(other, oc); err != nil {
				t.Fatal(err)
			}
			if name == "another key of its ID" {
				if got := get(t, s, c, "l"); got != "w 1 0 0" {
					t.Error(got)
				}
			}
			for range 2 {
				if got := get(t, s, c, "k"); got != writes.want {
					t.Errorf("%q, want %q", got, writes.want)
				}
			}
			if name == "configure" && c.Settings().CullLimit != settings.CullLimit+1 {
				t.Errorf("%+v", c.Settings())
			}
		})
	}
}

// TestNearAfterCrash: copies of what a crash of the server has taken back are not
// valid, though changes have their numbers again.
func TestNearAfterCrash(t *testing.T) {
	server := started(t)
	s, _ := opened(t, server.DSN(), postgres.Options{})
	c, err := s.Open(t.Context(), "lossy", driver.Spec{Settings: driver.DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, c, "k", "first")
	put(t, s, c, "l", "first")
	a := admin(t, server.DSN())
	run(t, a, `CHECKPOINT`)
	for lost := false; !lost; { // the server may write its log at any time
		run(t, a, `CHECKPOINT`)
		want := get(t, s, c, "k")
		put(t, s, c, "k", "later")
		if got := get(t, s, c, "k"); got == want {
			want = ""
		}
		get(t, s, c, "k")
		if err := server.Down("immediate"); err != nil {
			t.Fatal(err)
		}
		if err := server.Up(); err != nil {
			t.Fatal(err)
		}
		a = admin(t, server.DSN())
		put(t, s, c, "l", "second")
		var v []byte
		if err := a.QueryRow(t.Context(), `SELECT v FROM `+schemaOf(t.Name())+`.entry WHERE id = 1 AND c = (SELECT c FROM `+schemaOf(t.Name())+`.collection WHERE name = 'lossy')`).Scan(&v); err != nil {
			t.Fatal(err)
		}
		lost = string(v) == "first"
		if got := get(t, s, c, "k"); got != string(v)+" 1 1000 0" {
			t.Fatalf("%q, and the server has %q", got, v)
		}
		if !lost {
			put(t, s, c, "k", "first")
		}
	}
}

// TestNearGoesOn: after a crash of the server that has forgotten changes, or a restore,
// copies are kept again at once, whether or not there were some, and those of before are
// not valid.
func TestNearGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		sql  string
		copy bool
	}{
		"crash, with copies":    {`UPDATE incarnation SET id = id + 1`, true},
		"crash, without copies": {`UPDATE incarnation SET id = id + 1`, false},
		"restore":               {`SELECT 1`, true},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := dsn(t)
			s, c := opened(t, dsn, postgres.Options{})
			for range 10 {
				put(t, s, c, "k", "v")
			}
			get(t, s, c, "k") // keeps a copy
			if !test.copy {
				put(t, s, c, "k", "v")
				if _, ok, err := s.Get(t.Context(), c, kept, driver.Lookup{Now: 2, Quiet: true, Bare: true}); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
			// As if the later changes had never reached the disk.
			a := admin(t, dsn)
			run(t, a, `SET search_path = `+schemaOf(t.Name()))
			run(t, a, test.sql)
			run(t, a, `DELETE FROM change WHERE n > 2`)
			run(t, a, `UPDATE entry SET v = 'old'`)
			for _, want := range []string{"old", "new"} {
				before := s.(driver.Metered).Metrics().Near.Hits
				for range 3 {
					if got := get(t, s, c, "k"); got != want+" 1 1000 0" {
						t.Errorf("%q, want %s", got, want)
					}
				}
				if n := s.(driver.Metered).Metrics().Near.Hits - before; n != 2 {
					t.Errorf("%s: %d hits, want 2", want, n)
				}
				put(t, s, c, "k", "new")
			}
		})
	}
}

// TestMaxStale: with it, Gets do not ask the server, but know what their store has
// written.
func TestMaxStale(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{MaxStale: time.Hour})
	other, oc := opened(t, dsn, postgres.Options{NearCache: -1})
	put(t, s, c, "k", "v")
	get(t, s, c, "k")
	get(t, s, c, "k") // asks
	trips := postgres.Trips(s)
	put(t, other, oc, "k", "w")
	if got := get(t, s, c, "k"); got != "v 1 1000 0" || postgres.Trips(s) != trips {
		t.Errorf("%q, after %d questions", got, postgres.Trips(s)-trips)
	}
	put(t, s, c, "k", "x")
	if got := get(t, s, c, "k"); got != "x 1 1000 0" {
		t.Error(got)
	}
	get(t, other, oc, "k")
	get(t, other, oc, "k")
	if n := other.(driver.Metered).Metrics().Near; n != (driver.NearStats{}) {
		t.Errorf("without copies: %+v", n)
	}
}

// TestNearBound: the memory is bounded, and what was used last stays.
func TestNearBound(t *testing.T) {
	const limit = 16 << 10
	s, c := opened(t, dsn(t), postgres.Options{NearCache: limit})
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
		put(t, s, c, keys[i], "v")
	}
	for _, key := range keys {
		get(t, s, c, key)
		get(t, s, c, "k0")
		if n := s.(driver.Metered).Metrics().Near; n.Bytes > limit || n.Bytes == 0 {
			t.Fatalf("%+v", n)
		}
	}
	if n := s.(driver.Metered).Metrics().Near; n.Hits != 100 || n.Bytes < limit/2 {
		t.Errorf("%+v", n)
	}
}

// TestAskTogether: Gets that wait for the server ask together, for rows and whether
// copies are valid, and each has its answer.
func TestAskTogether(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{Conns: 1})
	d, err := s.Open(t.Context(), "other", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		t.Fatal(err)
	}
	other, oc := opened(t, dsn, postgres.Options{})
	for i := range 8 {
		put(t, s, c, fmt.Sprint("k", i), fmt.Sprint("v", i))
		put(t, s, d, fmt.Sprint("k", i), fmt.Sprint("w", i))
		if i%2 == 0 {
			get(t, s, c, fmt.Sprint("k", i))
		}
	}
	put(t, other, oc, "k0", "new")
	a := admin(t, dsn)
	hold := func() {
		run(t, a, `BEGIN`)
		run(t, a, `LOCK TABLE `+schemaOf(t.Name())+`.entry, `+schemaOf(t.Name())+`.change IN ACCESS EXCLUSIVE MODE`)
	}
	hold()
	before := postgres.Trips(s)
	var wg sync.WaitGroup
	first, cancel := context.WithCancel(t.Context())
	defer cancel()
	wg.Go(func() {
		if _, _, err := s.Get(first, c, codec.TextValue("k1"), driver.Lookup{Now: 2}); !errors.Is(err, context.Canceled) {
			t.Errorf("who asks: %v", err)
		}
	})
	postgres.Asking(s, 0)
	second, cancelSecond := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, _, err := s.Get(second, c, codec.TextValue("k1"), driver.Lookup{Now: 2}); !errors.Is(err, context.Canceled) {
			t.Errorf("who waits: %v", err)
		}
	})
	postgres.Asking(s, 1)
	cancelSecond()
	postgres.Asking(s, 0)
	third, cancelThird := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, _, err := s.Get(third, c, codec.TextValue("k5"), driver.Lookup{Now: 2}); !errors.Is(err, context.Canceled) {
			t.Errorf("who asks for all: %v", err)
		}
	})
	postgres.Asking(s, 1)
	for i := range 8 {
		for _, col := range []driver.Collection{c, d} {
			wg.Go(func() {
				want := fmt.Sprintf("v%d %d 1000 0", i, i+1)
				if col == d {
					want = fmt.Sprintf("w%d %d 1000 0", i, i+1)
				} else if i == 0 {
					want = "new 1 1000 0"
				}
				if got := get(t, s, col, fmt.Sprint("k", i)); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			})
		}
	}
	wg.Go(func() {
		r, ok, err := s.Get(t.Context(), c, codec.TextValue("k3"), driver.Lookup{Now: 2, Bare: true})
		if !ok || err != nil || !r.Value.IsNull() || r.Size != 2 {
			t.Error(r, ok, err)
		}
	})
	wg.Go(func() {
		if got := get(t, s, c, "nothing"); got != "none" {
			t.Error(got)
		}
	})
	postgres.Asking(s, 19)
	cancel() // who asks gives up, and the next one asks for all
	for postgres.Trips(s) < before+2 {
		time.Sleep(time.Millisecond)
	}
	cancelThird() // and gives up
	run(t, a, `ROLLBACK`)
	wg.Wait()
	if n := postgres.Trips(s) - before; n > 5 {
		t.Errorf("%d round trips", n)
	}
}
