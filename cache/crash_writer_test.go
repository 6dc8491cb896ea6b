//go:build linux

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"golang.org/x/sync/errgroup"
)

// collections are those of a store that is killed.
type collections struct {
	st    *cache.Store
	lru   *cache.Cache[string, string] // the default one, where reads are counted
	named *cache.Cache[string, string]
	jobs  *cache.Cache[string, string]
	n     *cache.Cache[string, int64]
}

func openCollections(ctx context.Context, st *cache.Store) (c collections, err error) {
	c.st = st
	lasting := &cache.Options[string, string]{Persistent: true}
	var errs [4]error
	c.lru, errs[0] = cache.New(ctx, st, "", &cache.Options[string, string]{Policy: cache.LeastRecentlyUsed, Statistics: true})
	c.named, errs[1] = cache.New(ctx, st, "named", lasting)
	c.jobs, errs[2] = cache.New(ctx, st, "jobs", lasting)
	c.n, errs[3] = cache.New(ctx, st, "n", &cache.Options[string, int64]{Persistent: true})
	return c, errors.Join(errs[:]...)
}

// own begins the keys of a goroutine.
func own(id int) string { return "g" + strconv.Itoa(id) + "-" }

// step is an operation of a goroutine of a writing child. Its number alone
// tells what it does, so that the test knows what a child that is dead did.
type step struct {
	id    int
	kind  int
	keys  []string // of its own
	value string
	named bool
}

const (
	stepSet = iota
	stepStream
	stepMany
	stepDelete
	stepIncr
	stepPush
	stepPull
	stepMove
	stepAbort
	stepGet
	stepCompact
	stepBackup
)

func stepOf(seed uint64, id, i int) step {
	r := rand.New(rand.NewPCG(seed, uint64(id)<<32|uint64(i)))
	s := step{id: id, named: r.IntN(2) == 0}
	for range 3 {
		s.keys = append(s.keys, own(id)+strconv.Itoa(r.IntN(6)))
	}
	s.value = fmt.Sprintf("%d in %d ", i, id)
	if r.IntN(4) == 0 {
		s.value += strings.Repeat("x", 32<<10+r.IntN(8<<10))
	}
	kinds := []int{
		stepSet, stepSet, stepSet, stepStream, stepMany, stepDelete, stepDelete, stepIncr, stepIncr,
		stepPush, stepPush, stepPull, stepMove, stepMove, stepMove, stepAbort, stepGet, stepGet,
	}
	s.kind = kinds[r.IntN(len(kinds))]
	switch r.IntN(150) {
	case 0:
		s.kind = stepCompact
	case 1:
		s.kind = stepBackup
	}
	return s
}

var errAborted = errors.New("aborted")

// run does the step in a store.
func (s step) run(ctx context.Context, c collections) (err error) {
	target := c.lru
	if s.named {
		target = c.named
	}
	queue := c.jobs.Queue(strconv.Itoa(s.id))
	switch s.kind {
	case stepSet:
		return target.Set(ctx, s.keys[0], s.value)
	case stepStream:
		return target.SetFrom(ctx, s.keys[0], strings.NewReader(s.value))
	case stepMany:
		return target.SetMany(ctx, func(yield func(string, string) bool) {
			for _, k := range s.keys {
				if !yield(k, s.value) {
					return
				}
			}
		})
	case stepDelete:
		_, err = target.Delete(ctx, s.keys[0])
	case stepIncr:
		_, err = cache.Incr(ctx, c.n, own(s.id), 1)
	case stepPush:
		_, err = queue.PushBack(ctx, s.value)
	case stepPull:
		_, _, err = queue.PopFront(ctx)
	case stepMove, stepAbort:
		err = c.st.Update(ctx, func(tx *cache.Tx) error { return s.move(ctx, c, tx) })
		if err == errAborted {
			err = nil
		}
	case stepGet:
		_, _, err = target.Get(ctx, s.keys[0])
	case stepCompact:
		err = c.st.Compact(ctx)
	case stepBackup:
		dir, terr := os.MkdirTemp(filepath.Dir(c.st.Dir()), "backup")
		if terr != nil {
			return terr
		}
		err = errors.Join(c.st.Backup(ctx, dir), os.RemoveAll(dir))
	}
	return err
}

// move is a transaction over all collections.
func (s step) move(ctx context.Context, c collections, tx *cache.Tx) error {
	e, found, err := c.jobs.Queue(strconv.Itoa(s.id)).In(tx).PopFront(ctx)
	if err != nil {
		return err
	}
	if found {
		err = c.named.In(tx).Set(ctx, s.keys[0], e.Value)
	}
	if err == nil {
		err = c.lru.In(tx).Set(ctx, s.keys[1], s.value)
	}
	if err == nil {
		_, err = c.lru.In(tx).Delete(ctx, s.keys[2])
	}
	for _, k := range []string{own(s.id), "total"} {
		if err == nil {
			_, err = cache.Incr(ctx, c.n.In(tx), k, 1)
		}
	}
	if err == nil && s.kind == stepAbort {
		return errAborted
	}
	return err
}

// model is what a goroutine's steps make of the collections.
type model struct {
	lru, named map[string]string
	jobs       []string
	n, total   int64
}

func (m model) clone() model {
	return model{maps.Clone(m.lru), maps.Clone(m.named), slices.Clone(m.jobs), m.n, m.total}
}

func (m model) equal(o model) bool {
	return maps.Equal(m.lru, o.lru) && maps.Equal(m.named, o.named) && slices.Equal(m.jobs, o.jobs) && m.n == o.n
}

// String tells what is stored, shortened.
func (m model) String() string {
	short := func(v string) string { return fmt.Sprintf("%.12s(%d)", v, len(v)) }
	var b strings.Builder
	for _, part := range []map[string]string{m.lru, m.named} {
		for _, k := range slices.Sorted(maps.Keys(part)) {
			fmt.Fprintf(&b, "%s: %s, ", k, short(part[k]))
		}
		b.WriteString("| ")
	}
	for _, v := range m.jobs {
		b.WriteString(short(v) + ", ")
	}
	fmt.Fprintf(&b, "| %d, %d", m.n, m.total)
	return b.String()
}

// apply does the step in the model.
func (s step) apply(m *model) {
	target := m.lru
	if s.named {
		target = m.named
	}
	switch s.kind {
	case stepSet, stepStream:
		target[s.keys[0]] = s.value
	case stepMany:
		for _, k := range s.keys {
			target[k] = s.value
		}
	case stepDelete:
		delete(target, s.keys[0])
	case stepIncr:
		m.n++
	case stepPush:
		m.jobs = append(m.jobs, s.value)
	case stepPull, stepMove:
		var job string
		if len(m.jobs) > 0 {
			job, m.jobs = m.jobs[0], m.jobs[1:]
		}
		if s.kind == stepPull {
			return
		}
		if job != "" {
			m.named[s.keys[0]] = job
		}
		m.lru[s.keys[1]] = s.value
		delete(m.lru, s.keys[2])
		m.n++
		m.total++
	}
}

// progress is how far a goroutine has come: what is known of its first ops
// steps, and how many were acknowledged.
type progress struct {
	ops, acked int
	model      model
}

// history is the progress of all goroutines.
type history map[int]progress

// verify demands that a store holds what the goroutines of ids, which are
// dead, were acknowledged, or one step more, and, if there are no others, that
// the counter they share is right. It returns how far each has come.
func verify(t *testing.T, st *cache.Store, seed uint64, ids []int, past history, alone bool) history {
	t.Helper()
	c := must(openCollections(t.Context(), st))(t)
	next := maps.Clone(past)
	total := int64(0)
	for _, id := range ids {
		got := stored(t, c, id)
		p := past[id]
		if p.model.lru == nil {
			p.model = model{lru: map[string]string{}, named: map[string]string{}}
		}
		m := p.model.clone()
		for p.ops < p.acked {
			stepOf(seed, id, p.ops).apply(&m)
			p.ops++
		}
		if !m.equal(got) {
			before := m.clone()
			s := stepOf(seed, id, p.ops)
			s.apply(&m)
			p.ops++
			if !m.equal(got) {
				t.Errorf("seed %d: goroutine %d acknowledged %d steps, the next is of kind %d\nstored: %v\nacknowledged: %v\nand the next: %v",
					seed, id, p.acked, s.kind, got, before, m)
			}
		}
		p.model, p.acked = m, p.ops
		next[id] = p
		total += m.total
	}
	if !alone {
		return next
	}
	got, _, err := c.n.Get(t.Context(), "total")
	ok(t, err)
	if got != total {
		t.Errorf("seed %d: %d transactions were committed, the counter in them is %d", seed, total, got)
	}
	return next
}

// stored reads what belongs to a goroutine.
func stored(t *testing.T, c collections, id int) model {
	t.Helper()
	m := model{lru: map[string]string{}, named: map[string]string{}}
	for from, to := range map[*cache.Cache[string, string]]map[string]string{c.lru: m.lru, c.named: m.named} {
		for e, err := range from.Sorted().Prefix(own(id)).All(t.Context()) {
			ok(t, err)
			to[e.Key] = e.Value
		}
	}
	for e, err := range c.jobs.Sorted().Prefix(strconv.Itoa(id) + "-").All(t.Context()) {
		ok(t, err)
		m.jobs = append(m.jobs, e.Value)
	}
	var err error
	m.n, _, err = c.n.Get(t.Context(), own(id))
	ok(t, err)
	return m
}

// writingChild does the steps of some goroutines, and acknowledges each with
// a byte. Its arguments are a directory, a seed, and for each goroutine its
// number and that of its first step.
func writingChild(ch *inChild) error {
	st, err := cache.OpenStore(ch.ctx, ch.arg(0), nil)
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(ch.arg(1), 10, 64)
	if err != nil {
		return err
	}
	c, err := openCollections(ch.ctx, st)
	if err != nil {
		return err
	}
	var g errgroup.Group
	for a := 2; a < len(ch.args); a += 2 {
		id, err1 := strconv.Atoi(ch.arg(a))
		first, err2 := strconv.Atoi(ch.arg(a + 1))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		g.Go(func() error {
			for i := first; ch.ctx.Err() == nil; i++ {
				// The step is not to be cut short when the test has seen enough.
				if err := stepOf(seed, id, i).run(context.Background(), c); err != nil {
					return fmt.Errorf("step %d of goroutine %d: %w", i, id, err)
				}
				if _, err := os.Stdout.Write([]byte{byte(id)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errors.Join(g.Wait(), st.Close())
}
