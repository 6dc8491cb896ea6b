package shard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

const now = driver.Instant(1_750_000_000)

var quiet = driver.Lookup{Now: now, Quiet: true}

func text(s string) codec.Value { return codec.TextValue(s) }
func number(i int) codec.Value  { return codec.IntegerValue(int64(i)) }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// onEngines runs fn with a new store of n shards of each engine.
func onEngines(t *testing.T, n int, fn func(t *testing.T, s *Store, again func() *Store)) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			open := e.new(t)
			again := func() *Store {
				s := open(n)
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
				return s
			}
			s := again()
			fn(t, s, again)
			if t.Failed() {
				return
			}
			ok(t, s.Check(t.Context(), false, func(p driver.Problem) { t.Errorf("Check found %+v", p) }))
		})
	}
}

func open(t testing.TB, s driver.Store, name string) driver.Collection {
	t.Helper()
	c, err := s.Open(t.Context(), name, driver.Spec{Settings: driver.PersistentSettings()})
	ok(t, err)
	return c
}

// put puts rows with their key as value, each in a transaction of its own.
func put(t testing.TB, s driver.Store, c driver.Collection, keys ...codec.Value) {
	t.Helper()
	for _, k := range keys {
		ok(t, s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
			return errOf(tx.Put(t.Context(), c, driver.Put{Key: k, Value: k, Now: now}))
		}))
	}
}

func has(t testing.TB, s driver.Store, c driver.Collection, key codec.Value) bool {
	t.Helper()
	_, found, err := s.Get(t.Context(), c, key, quiet)
	ok(t, err)
	return found
}

// keyIn returns the i-th text key that belongs to a shard.
func keyIn(shard, n, i int) codec.Value {
	for j := 0; ; j++ {
		k := text(fmt.Sprintf("key-%d", j))
		if Of(k, n) == shard {
			if i == 0 {
				return k
			}
			i--
		}
	}
}

func scan(t testing.TB, s driver.Store, c driver.Collection, o driver.Scan) []driver.Row {
	t.Helper()
	if o.Limit == 0 {
		o.Limit = 10_000
	}
	var rows []driver.Row
	ok(t, s.View(t.Context(), func(tx driver.Tx) (err error) {
		rows, err = tx.Scan(t.Context(), c, o)
		return err
	}))
	return rows
}

// show writes keys so that their kinds can be told.
func show(rows []driver.Row) string {
	var all []string
	for _, r := range rows {
		switch k := r.Key; k.Kind() {
		case codec.Integer:
			all = append(all, fmt.Sprint(k.Integer()))
		case codec.Real:
			all = append(all, fmt.Sprintf("%gr", k.Real()))
		case codec.Text:
			all = append(all, fmt.Sprintf("%q", k.Text()))
		default:
			all = append(all, fmt.Sprintf("x%x", k.Blob()))
		}
	}
	return strings.Join(all, " ")
}

func names(t testing.TB, s driver.Store) []string {
	t.Helper()
	all, err := s.Names(t.Context())
	ok(t, err)
	return all
}

func contains(t testing.TB, all []string, name string, want bool) {
	t.Helper()
	if slices.Contains(all, name) != want {
		t.Fatalf("%q in %q: want %v", name, all, want)
	}
}

func show1(k codec.Value) string { return show([]driver.Row{{Key: k}}) }

// errOf returns the error of a call that also returns something else.
func errOf[T any](_ T, err error) error { return err }
