package shard

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// inMemory is a layout whose stores are in memory.
type inMemory struct {
	mu   sync.Mutex
	data map[string]*memory.Data
}

// with returns the layout as one that opens stores with o.
func (p *inMemory) with(o memory.Options) layout { return memoryPlace{p, o} }

type memoryPlace struct {
	*inMemory
	options memory.Options
}

func (p memoryPlace) Dir() string { return "" }

func (p memoryPlace) Open(_ context.Context, rel string) (driver.Store, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.data == nil {
		p.data = make(map[string]*memory.Data)
	}
	if p.data[rel] == nil {
		p.data[rel] = new(memory.Data)
	}
	return p.data[rel].Open(&p.options), nil
}

func (p memoryPlace) Exists(rel string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data[rel] != nil, nil
}

func (p memoryPlace) List(family string) (all []string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for rel := range p.data {
		if strings.HasPrefix(rel, family+"/") {
			all = append(all, rel)
		}
	}
	return all, nil
}

// join opens n stores and makes one of them.
func (p *inMemory) join(t testing.TB, n int, o memory.Options) (driver.Store, error) {
	var all []driver.Store
	for i := range n {
		st, err := p.with(o).Open(t.Context(), shardName(i))
		ok(t, err)
		all = append(all, st)
	}
	s, err := New(context.Background(), all...)
	if err != nil {
		for _, st := range all {
			ok(t, st.Close())
		}
		return nil, err
	}
	return s, nil
}

// onDisk opens a store of n shards with the SQLite engine.
func onDisk(ctx context.Context, dir string, n int, timeout time.Duration, readOnly bool) (*Store, error) {
	return Open(ctx, dir, n, func(ctx context.Context, dir string) (driver.Store, error) {
		s, err := sqlite.Open(ctx, dir, &sqlite.Options{Timeout: timeout, ReadOnly: readOnly, CacheSize: 1 << 20, Synchronous: sqlite.SyncOff})
		if err != nil {
			return nil, err
		}
		return s, nil
	})
}

// engine is a way to keep the members.
type engine struct {
	name string
	// new returns a function that opens one new store, as often as it is
	// called.
	new func(t testing.TB) func(n int) *Store
}

func engines() []engine {
	mem := func(o memory.Options) func(testing.TB) func(int) *Store {
		return func(t testing.TB) func(int) *Store {
			var p inMemory
			return func(n int) *Store {
				s, err := newStore(t.Context(), p.with(o), n)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		}
	}
	return []engine{
		{"memory", mem(memory.Options{})},
		{"memory-twice", mem(memory.Options{RunTwice: true})},
		{"sqlite", func(t testing.TB) func(int) *Store {
			dir := t.TempDir()
			return func(n int) *Store {
				s, err := onDisk(context.Background(), dir, n, 0, false)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		}},
	}
}
