//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/cache/driver/postgres/internal/pgtest"
)

// server is the one of this test program, which it starts when it first needs it.
var server = sync.OnceValues(func() (*pgtest.Server, error) { return pgtest.Start() })

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := server(); err == nil {
		s.Stop()
	}
	os.Exit(code)
}

// dsn returns how to connect to the server, and skips the test where there is none.
func dsn(t testing.TB) string {
	t.Helper()
	s, err := server()
	if errors.Is(err, pgtest.ErrNone) && os.Getenv(pgtest.Required) == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.DSN()
}

// rounds counts how often tests have run: each time in a schema of its own.
var rounds struct {
	mu   sync.Mutex
	of   map[string]int
	runs map[string]bool
}

// counted has a test that runs again have another schema.
func counted(t testing.TB) {
	rounds.mu.Lock()
	defer rounds.mu.Unlock()
	if rounds.runs[t.Name()] {
		return
	}
	if rounds.of == nil {
		rounds.of, rounds.runs = make(map[string]int), make(map[string]bool)
	}
	rounds.runs[t.Name()] = true
	t.Cleanup(func() {
		rounds.mu.Lock()
		defer rounds.mu.Unlock()
		rounds.of[t.Name()]++
		delete(rounds.runs, t.Name())
	})
}

// schemaOf returns a schema for a directory, or a test.
func schemaOf(dir string) string {
	h := fnv.New64a()
	h.Write([]byte(dir))
	rounds.mu.Lock()
	defer rounds.mu.Unlock()
	fmt.Fprint(h, rounds.of[dir])
	return fmt.Sprintf("test_%x", h.Sum64())
}

// harness keeps a store in a schema for each directory.
func harness() drivertest.Harness {
	return drivertest.Harness{
		Open: func(t testing.TB, dir string, o drivertest.Options) (driver.Store, error) {
			return postgres.Open(context.Background(), dsn(t), &postgres.Options{
				Schema: schemaOf(dir), Timeout: o.Timeout, ReadOnly: o.ReadOnly,
			})
		},
		LoseSession: postgres.LoseSession,
	}
}

func TestConformance(t *testing.T) { drivertest.Run(t, harness()) }

func TestRandom(t *testing.T) {
	sides := []drivertest.Side{
		{Name: "memory", Open: func(testing.TB) []driver.Store {
			var data memory.Data
			return []driver.Store{data.Open(nil), data.Open(nil)}
		}},
		{Name: "postgres", Open: func(t testing.TB) (all []driver.Store) {
			schema := schemaOf(t.TempDir())
			for range 2 {
				s, err := postgres.Open(context.Background(), dsn(t), &postgres.Options{Schema: schema, Timeout: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			return all
		}},
	}
	seeds, ops := uint64(8), 400
	if testing.Short() {
		seeds, ops = 2, 100
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { drivertest.Random(t, seed, ops, sides...) })
	}
}
