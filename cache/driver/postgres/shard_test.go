//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/cache/driver/shard"
	"github.com/go-diskcache/diskcache/codec"
)

// databases makes a second database, and returns how to connect to both.
func databases(t *testing.T) [2]string {
	t.Helper()
	counted(t)
	c, err := pgx.Connect(t.Context(), dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	name := schemaOf(t.Name())
	if _, err := c.Exec(t.Context(), `CREATE DATABASE `+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c, err := pgx.Connect(context.Background(), dsn(t))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		if _, err := c.Exec(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return [2]string{dsn(t), dsn(t) + " dbname=" + name}
}

// TestShards: a store may be spread over several databases, for several programs.
func TestShards(t *testing.T) {
	ctx := t.Context()
	dsns, schema := databases(t), schemaOf(t.Name())
	join := func(dsns ...string) (*shard.Store, error) {
		var all []driver.Store
		for _, dsn := range dsns {
			s, err := postgres.Open(ctx, dsn, &postgres.Options{Schema: schema})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		s, err := shard.New(ctx, all...)
		if err != nil {
			for _, s := range all {
				s.Close()
			}
			return nil, err
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s, nil
	}
	var stores [2]*shard.Store
	var caches, named [2]driver.Collection
	for i := range stores {
		var err error
		if stores[i], err = join(dsns[:]...); err != nil {
			t.Fatal(err)
		}
		for name, to := range map[string]*driver.Collection{"": &caches[i], "deque/jobs": &named[i]} {
			if *to, err = stores[i].Open(ctx, name, driver.Spec{Settings: driver.PersistentSettings(), Durable: name != ""}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if skew := time.Since(stores[0].Now()).Abs(); skew > time.Minute {
		t.Errorf("the clock is %v off", skew)
	}
	// A transaction over both databases, that of one program and then of the other; the
	// first time it is rolled back.
	const n = 40
	failure := errors.New("not this time")
	for i, want := range []error{failure, nil, nil} {
		s, cached, named := stores[i%2], caches[i%2], named[i%2]
		err := s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			for key := range n {
				if _, err := tx.Put(ctx, cached, driver.Put{Key: codec.IntegerValue(int64(key)), Value: codec.IntegerValue(int64(i)), Now: 1}); err != nil {
					return err
				}
			}
			_, err := tx.Put(ctx, named, driver.Put{Key: codec.IntegerValue(0), Value: codec.IntegerValue(int64(i)), Now: 1})
			return errors.Join(err, want)
		})
		if !errors.Is(err, want) {
			t.Fatal(err)
		}
	}
	for key := range n {
		r, ok, err := stores[1].Get(ctx, caches[1], codec.IntegerValue(int64(key)), driver.Lookup{Now: 1})
		if !ok || err != nil || r.Value.Integer() != 2 {
			t.Fatalf("%d: %v, %v, %v", key, r.Value, ok, err)
		}
	}
	// Where it is.
	for i, want := range []struct{ cached, named int64 }{{n / 2, 1}, {n / 2, 0}} {
		part, err := postgres.Open(ctx, dsns[i], &postgres.Options{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]int64{"": want.cached, "deque/jobs": want.named} {
			c, err := part.Open(ctx, name, driver.Spec{Existing: true})
			if errors.Is(err, driver.ErrNotFound) && want == 0 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			err = part.View(ctx, func(tx driver.Tx) error {
				got, err := tx.Count(ctx, c)
				if got != want {
					t.Errorf("%d rows of %q in database %d, want %d", got, name, i, want)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		if err := part.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := join(dsns[1], dsns[0]); !errors.Is(err, shard.ErrShards) {
		t.Errorf("the other way round: %v", err)
	}
}

// TestShardsRandom: they do what the memory engine does as shards.
func TestShardsRandom(t *testing.T) {
	sides := []drivertest.Side{
		{Name: "memory", Open: func(t testing.TB) (all []driver.Store) {
			parts := []*memory.Data{new(memory.Data), new(memory.Data)}
			for range 2 {
				s, err := shard.New(context.Background(), parts[0].Open(nil), parts[1].Open(nil))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			return all
		}},
		{Name: "postgres", Open: func(t testing.TB) (all []driver.Store) {
			schema := schemaOf(t.TempDir())
			for range 2 {
				var parts []driver.Store
				for i := range 2 {
					s, err := postgres.Open(context.Background(), dsn(t), &postgres.Options{Schema: fmt.Sprint(schema, "_", i), Timeout: time.Minute})
					if err != nil {
						t.Fatal(err)
					}
					parts = append(parts, s)
				}
				s, err := shard.New(context.Background(), parts...)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			return all
		}},
	}
	seeds, ops := uint64(2), 200
	if testing.Short() {
		seeds, ops = 1, 60
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { drivertest.Random(t, seed, ops, sides...) })
	}
}
