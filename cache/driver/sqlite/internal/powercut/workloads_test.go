//go:build unix && !race

package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
	"github.com/go-diskcache/diskcache/deque"
)

// workload is something that a program does. Each ends with the store closed.
type workload struct {
	name    string
	opts    cache.StoreOptions
	journal sqlite.JournalMode
	noLinks bool
	run     func(s *store)
}

// workloads returns all of them, each with what a commit can wait for.
func workloads() (all []workload) {
	for _, w := range []workload{
		{name: "open", run: opening},
		{name: "small", run: small},
		{name: "files", run: files},
		{name: "reopen", run: reopening},
		{name: "collections", run: collections},
		{name: "clear", run: clearing},
		{name: "deque", run: lending},
		{name: "compact", run: compacting},
		{name: "pressure", run: pressing},
		{name: "backup", run: backups},
		{name: "copies", run: files, noLinks: true},
		{name: "shards", run: files, opts: cache.StoreOptions{Shards: 2}},
		{name: "delete", run: files, journal: sqlite.JournalDelete},
		{name: "truncate", run: files, journal: sqlite.JournalTruncate},
		{name: "persist", run: files, journal: sqlite.JournalPersist},
	} {
		for _, sync := range []sqlite.Synchronous{sqlite.SyncFull, sqlite.SyncNormal} {
			w := w
			w.name += "-" + string(sync)
			w.opts.SQLite = &sqlite.Options{Synchronous: sync, JournalMode: w.journal}
			all = append(all, w)
		}
	}
	return all
}

// record does what the workload says, and returns what there was to see.
func (w workload) record(t *testing.T, r *rand.Rand, unsynced func(string) bool) *past {
	t.Helper()
	s := &store{past: newPast(t, r, w.opts, w.noLinks, unsynced), ctx: t.Context()}
	w.run(s)
	return s.past
}

// store is what a workload works with.
type store struct {
	*past
	ctx   context.Context
	st    *cache.Store
	plain *cache.Cache[string, string] // the default collection
	named *cache.Cache[string, string]
}

// fileSize is the size from which a value is in a file here.
const fileSize = 400

func options() *cache.Options[string, string] {
	return &cache.Options[string, string]{Persistent: true, MinFileSize: fileSize}
}

// begin opens the store.
func (s *store) begin() {
	s.step(func() (err error) {
		if s.st, err = cache.OpenStore(s.ctx, s.dir, &s.opts); err == nil {
			s.plain, err = cache.New(s.ctx, s.st, "", options())
		}
		if err == nil {
			s.named, err = cache.New(s.ctx, s.st, "named", options())
		}
		return err
	}, nil)
}

// end closes the store, after which nothing is lost.
func (s *store) end() {
	s.step(s.st.Close, nil)
	s.durable()
}

func (s *store) key() (place, key string, c *cache.Cache[string, string]) {
	place, c = "plain/", s.plain
	if s.r.IntN(2) == 0 {
		place, c = "named/", s.named
	}
	return place, fmt.Sprint("k", s.r.IntN(8)), c
}

func (s *store) set(value string) {
	place, key, c := s.key()
	s.step(func() error { return c.Set(s.ctx, key, value) }, func(w world) { w[place+key] = value })
}

func (s *store) stream(value string) {
	place, key, c := s.key()
	s.step(func() error { return c.SetFrom(s.ctx, key, strings.NewReader(value)) }, func(w world) { w[place+key] = value })
}

func (s *store) delete() {
	place, key, c := s.key()
	s.step(func() error {
		_, err := c.Delete(s.ctx, key)
		return err
	}, func(w world) { delete(w, place+key) })
}

// both writes to both collections in one transaction.
func (s *store) both(value string) {
	key := fmt.Sprint("k", s.r.IntN(8))
	s.step(func() error {
		return s.st.Update(s.ctx, func(tx *cache.Tx) error {
			if err := s.plain.In(tx).Set(s.ctx, key, value); err != nil {
				return err
			}
			if err := s.named.In(tx).Set(s.ctx, key, value+"2"); err != nil {
				return err
			}
			_, err := s.plain.In(tx).Delete(s.ctx, "k0")
			return err
		})
	}, func(w world) {
		w["plain/"+key], w["named/"+key] = value, value+"2"
		delete(w, "plain/k0")
	})
}

// some does n things, half of them with files.
func (s *store) some(n int) {
	for range n {
		switch s.r.IntN(8) {
		case 0, 1:
			s.delete()
		case 2:
			s.set(text(s.r, 50))
		case 3:
			s.stream(text(s.r, 3000))
		case 4:
			if s.opts.Shards == 0 {
				s.both(text(s.r, 1000))
			}
		default:
			s.set(text(s.r, 3000))
		}
	}
}

func opening(s *store) {
	s.begin()
	s.set(text(s.r, 50))
	s.end()
}

func small(s *store) {
	s.begin()
	for range 30 {
		if s.r.IntN(4) == 0 {
			s.delete()
		} else {
			s.set(text(s.r, 50))
		}
	}
	s.end()
}

func files(s *store) {
	s.begin()
	s.some(30)
	s.end()
}

func reopening(s *store) {
	for range 4 {
		s.begin()
		s.some(6)
		s.end()
	}
}

// collections makes and drops collections.
func collections(s *store) {
	s.begin()
	for i := range 5 {
		name := fmt.Sprint("c", i)
		var c *cache.Cache[string, string]
		s.step(func() (err error) {
			c, err = cache.New(s.ctx, s.st, name, options())
			return err
		}, nil)
		for _, k := range []string{"a", "b"} {
			v := text(s.r, 1000)
			s.step(func() error { return c.Set(s.ctx, k, v) }, func(w world) { w[name+"/"+k] = v })
		}
		s.some(2)
		if i%2 == 0 {
			s.step(func() error { return s.st.Drop(s.ctx, "cache/"+name) }, func(w world) {
				delete(w, name+"/a")
				delete(w, name+"/b")
			})
		}
	}
	s.end()
}

func clearing(s *store) {
	s.begin()
	for range 3 {
		s.some(8)
		s.looseStep(func() error {
			_, err := s.plain.Clear(s.ctx)
			return err
		}, func(w world) {
			for k := range w {
				if strings.HasPrefix(k, "plain/") {
					delete(w, k)
				}
			}
		})
		s.set(text(s.r, 1000))
	}
	s.end()
}

func compacting(s *store) {
	s.begin()
	for range 3 {
		s.some(8)
		s.step(func() error { return s.st.Compact(s.ctx) }, nil)
	}
	s.some(3)
	s.end()
}

// pressing writes so much that the log is copied meanwhile.
func pressing(s *store) {
	s.begin()
	bulk, err := cache.New(s.ctx, s.st, "bulk", &cache.Options[string, string]{Persistent: true})
	ok(s.t, err)
	for i := range 520 {
		if i%4 == 0 {
			s.some(1)
		}
		key := fmt.Sprint("row", i%50)
		s.step(func() error { return bulk.Set(s.ctx, key, fmt.Sprint(i)+strings.Repeat(" ", 28_000)) },
			func(w world) { w["bulk/"+key] = fmt.Sprint(i) })
	}
	s.end()
}

// backups makes backups, which survive a cut once they are made.
func backups(s *store) {
	s.begin()
	for i := range 2 {
		s.some(8)
		dir := filepath.Join(filepath.Dir(s.dir), fmt.Sprint("backup", i), "store")
		s.step(func() error { return s.st.Backup(s.ctx, dir) }, nil)
		s.copied(dir)
	}
	s.some(3)
	s.end()
}

// lending pushes, claims and pops.
func lending(s *store) {
	s.begin()
	var d *deque.Deque[string]
	open := func() {
		s.step(func() (err error) {
			d, err = deque.New(s.ctx, s.st, "jobs", &deque.Options[string]{MinFileSize: fileSize})
			return err
		}, nil)
	}
	open()
	var ready, lent []string
	var claims []*deque.Claim[string]
	// Those who restart find all that is claimed before what is not.
	now := func(w world) {
		for k := range w {
			if strings.HasPrefix(k, "jobs/") {
				delete(w, k)
			}
		}
		for i, v := range slices.Concat(lent, ready) {
			w[fmt.Sprintf("jobs/%03d", i)] = v
		}
	}
	for i := range 50 {
		switch n := s.r.IntN(10); {
		case n < 4 || len(ready) == 0:
			v := text(s.r, 50)
			if s.r.IntN(3) > 0 {
				v = text(s.r, 2000)
			}
			ready = append(ready, v)
			s.step(func() error { return d.PushBack(s.ctx, v) }, now)
		case n < 7:
			lent, ready = append(lent, ready[0]), ready[1:]
			s.step(func() error {
				c, _, err := d.Claim(s.ctx, -1)
				claims = append(claims, c)
				return err
			}, now)
		case n < 8 && len(claims) > 0:
			i := s.r.IntN(len(claims))
			c := claims[i]
			claims, lent = slices.Delete(claims, i, i+1), slices.Delete(slices.Clone(lent), i, i+1)
			s.step(func() error { return c.Ack(s.ctx) }, now)
		case n < 9 && len(claims) > 0:
			i := s.r.IntN(len(claims))
			c := claims[i]
			ready = slices.Concat(lent[i:i+1], ready)
			claims, lent = slices.Delete(claims, i, i+1), slices.Delete(slices.Clone(lent), i, i+1)
			s.step(func() error { return c.Nack(s.ctx, 0) }, now)
		default:
			ready = ready[1:]
			s.step(func() error {
				_, _, err := d.PopFront(s.ctx)
				return err
			}, now)
		}
		if i%20 == 19 {
			s.end()
			ready, lent, claims = slices.Concat(lent, ready), nil, nil
			s.begin()
			open()
		}
	}
	s.end()
}

// read opens a store and returns what is in it.
func read(dir string, opts cache.StoreOptions) (w world, err error) {
	ctx := context.Background()
	st, err := cache.OpenStore(ctx, dir, &opts)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := sound(ctx, st); err != nil {
		return nil, err
	}
	w = world{}
	names, err := st.Collections(ctx)
	if err != nil {
		return nil, err
	}
	for _, full := range names {
		family, name, _ := strings.Cut(full, "/")
		place := name + "/"
		switch family {
		case "":
			place = "plain/"
		case "deque":
			if err := readDeque(ctx, st, name, w); err != nil {
				return nil, fmt.Errorf("%s: %w", full, err)
			}
			continue
		case "cache":
		default: // what is beside a deque
			continue
		}
		c, err := cache.New(ctx, st, name, options())
		if err != nil {
			return nil, err
		}
		for e, err := range c.All(ctx) {
			if err != nil {
				return nil, fmt.Errorf("%s: %w", full, err)
			}
			w[place+e.Key] = strings.TrimRight(e.Value, " ")
		}
	}
	return w, nil
}

// readDeque reads a deque when all that was claimed has come back: nobody lives
// who had claims.
func readDeque(ctx context.Context, st *cache.Store, name string, w world) error {
	d, err := deque.New(ctx, st, name, &deque.Options[string]{MinFileSize: fileSize})
	if err != nil {
		return err
	}
	lent, err := cache.New(ctx, st, name, &cache.Options[int64, string]{Family: "deque-inflight", Persistent: true})
	if err != nil {
		return err
	}
	for n := int64(1); n > 0; {
		if _, err = d.Len(ctx); err == nil {
			n, err = lent.Len(ctx)
		}
		if err != nil {
			return err
		}
	}
	i := 0
	for v, err := range d.All(ctx) {
		if err != nil {
			return err
		}
		w[fmt.Sprintf("%s/%03d", name, i)] = v
		i++
	}
	return d.Close()
}
