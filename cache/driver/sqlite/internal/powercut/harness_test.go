//go:build unix && !race

// These tests take minutes under the race detector. What they run is tested with
// it elsewhere.

package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/powercut"
)

func TestMain(m *testing.M) {
	powercut.Install()
	os.Exit(m.Run())
}

// cuts is how often the power is cut for each workload.
// DISKCACHE_POWERCUTS has it cut as often as that.
func cuts(t *testing.T) int {
	if s := os.Getenv("DISKCACHE_POWERCUTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return 3
	}
	return 20
}

// seed is that of everything random. DISKCACHE_SEED sets it.
func seed(t *testing.T) uint64 {
	if s := os.Getenv("DISKCACHE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return rand.Uint64()
}

// world is what is in a store, as it is found when all processes have ended:
// values by place.
type world map[string]string

// past is what a program has done, and what the disk has seen of it.
type past struct {
	t    *testing.T
	r    *rand.Rand
	disk *powercut.Disk
	dir  string
	opts cache.StoreOptions

	worlds []world // after each step; the first is empty
	began  []int   // what had been recorded when the step began that led there
	ended  []int   // and when it had been acknowledged
	floors []int   // steps from which on nothing before may be found
	loose  []bool  // the step is not atomic

	backups map[int]string // directories of backups that a step has made
}

// memory returns a directory in memory, if there is such a thing.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "powercut")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newPast(t *testing.T, r *rand.Rand, opts cache.StoreOptions, noLinks bool, unsynced func(string) bool) *past {
	t.Helper()
	root := memory(t)
	disk, err := powercut.NewDisk(root)
	ok(t, err)
	disk.NoLinks, disk.Unsynced = noLinks, unsynced
	t.Cleanup(disk.Record())
	opts.Timeout = time.Minute
	p := &past{t: t, r: r, disk: disk, dir: filepath.Join(root, "store"), opts: opts}
	p.worlds = []world{{}}
	p.began, p.ended, p.loose = []int{0}, []int{0}, []bool{false}
	return p
}

// step does something that changes the world.
func (p *past) step(do func() error, change func(w world)) {
	p.t.Helper()
	p.began = append(p.began, p.disk.Mark())
	ok(p.t, do())
	p.ended = append(p.ended, p.disk.Mark())
	w := maps.Clone(p.last())
	if change != nil {
		change(w)
	}
	p.worlds = append(p.worlds, w)
	p.loose = append(p.loose, false)
}

// looseStep is step for what happens piece by piece.
func (p *past) looseStep(do func() error, change func(w world)) {
	p.t.Helper()
	p.step(do, change)
	p.loose[len(p.loose)-1] = true
}

// durable says that all steps so far survive a cut that comes now.
func (p *past) durable() { p.floors = append(p.floors, len(p.worlds)-1) }

// copied says that the last step has made a backup.
func (p *past) copied(dir string) {
	if p.backups == nil {
		p.backups = make(map[int]string)
	}
	p.backups[len(p.worlds)-1] = dir
}

func (p *past) last() world { return p.worlds[len(p.worlds)-1] }

// possible returns the first and the last step whose world may be found when
// the power was cut after n things had been recorded.
func (p *past) possible(n int) (first, last int) {
	for i := range p.worlds {
		if p.ended[i] <= n {
			first = i
		}
		if p.began[i] <= n {
			last = i
		}
	}
	if p.opts.SQLite.Synchronous != sqlite.SyncFull {
		acked := first
		first = 0
		for _, f := range p.floors {
			if f <= acked {
				first = f
			}
		}
	}
	return first, last
}

// cut cuts the power once, and fails if a promise is broken.
func (p *past) cut(read func(dir string, opts cache.StoreOptions) (world, error)) error {
	n := p.when()
	root := filepath.Join(memory(p.t), "disk")
	defer os.RemoveAll(filepath.Dir(root))
	if err := p.disk.Cut(n, p.r, root); err != nil {
		p.t.Fatal(err)
	}
	first, last := p.possible(n)
	err := p.verify(filepath.Join(root, "store"), first, last, read)
	for i, dir := range p.backups {
		if rel, _ := filepath.Rel(filepath.Dir(p.dir), dir); err == nil && p.ended[i] <= n {
			if err = p.verify(filepath.Join(root, rel), i, i, read); err != nil {
				err = fmt.Errorf("%s: %w", rel, err)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("cut after %d of %d: %w", n, p.ended[len(p.ended)-1], err)
	}
	return nil
}

// when is the moment of a cut: any, but rather one when something was just
// acknowledged.
func (p *past) when() int {
	end := p.ended[len(p.ended)-1]
	if p.r.IntN(3) == 0 {
		return min(end, p.ended[p.r.IntN(len(p.ended))]+p.r.IntN(3))
	}
	return p.r.IntN(end + 1)
}

func (p *past) verify(dir string, first, last int, read func(dir string, opts cache.StoreOptions) (world, error)) error {
	var log strings.Builder
	opts := p.opts
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	found, err := read(dir, opts)
	if err == nil && !p.may(found, first, last) {
		err = fmt.Errorf("found the world of no step from %d to %d: %s", first, last, p.explain(found, first, last))
	}
	if err == nil {
		var again world
		if again, err = read(dir, opts); err == nil && !maps.Equal(again, found) {
			err = fmt.Errorf("found something else the second time: %s", p.explain(again, first, last))
		}
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, &log)
	}
	return nil
}

// may reports whether a world is that of a step.
func (p *past) may(found world, first, last int) bool {
	for i := last; i >= first; i-- {
		if maps.Equal(p.worlds[i], found) || i > first && p.loose[i] && between(found, p.worlds[i-1], p.worlds[i]) {
			return true
		}
	}
	if p.opts.Shards == 0 || p.opts.SQLite.Synchronous == sqlite.SyncFull {
		return false
	}
	// Each shard has a past of its own.
	for k := range found {
		if !slices.ContainsFunc(p.worlds[first:last+1], func(w world) bool { return w[k] == found[k] }) {
			return false
		}
	}
	return true
}

// between reports whether each value is that of one world or of the other.
func between(got, a, b world) bool {
	keys := make(map[string]bool)
	for _, w := range []world{got, a, b} {
		for k := range w {
			keys[k] = true
		}
	}
	for k := range keys {
		v, ok := got[k]
		va, oka := a[k]
		vb, okb := b[k]
		if !(ok == oka && v == va) && !(ok == okb && v == vb) {
			return false
		}
	}
	return true
}

// explain tells how what was found differs from the nearest world.
func (p *past) explain(got world, first, last int) string {
	short := func(v string, ok bool) string {
		if !ok {
			return "nothing"
		}
		return fmt.Sprintf("%.20q (%d)", v, len(v))
	}
	best, at := 1<<30, 0
	var text string
	for i := len(p.worlds) - 1; i >= 0; i-- {
		var b strings.Builder
		n := 0
		keys := maps.Clone(p.worlds[i])
		maps.Copy(keys, got)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			v, ok := got[k]
			w, ok2 := p.worlds[i][k]
			if ok != ok2 || v != w {
				n++
				fmt.Fprintf(&b, "  %s is %s and should be %s\n", k, short(v, ok), short(w, ok2))
			}
		}
		if n < best || n == best && (at < first || at > last) {
			best, at, text = n, i, b.String()
		}
	}
	return fmt.Sprintf("nearest is %d:\n%s", at, text)
}

// sound fails unless a store is what a cut may leave: it opens, the database is
// whole, and there is nothing but files that nobody refers to.
func sound(ctx context.Context, st *cache.Store) error {
	r, err := st.Check(ctx, nil)
	if err != nil {
		return err
	}
	for _, p := range r.Problems {
		if !p.Harmless() {
			err = errors.Join(err, fmt.Errorf("%v", p))
		}
	}
	return err
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// text returns a value of about n bytes that is like no other.
func text(r *rand.Rand, n int) string {
	b := make([]byte, n/2+r.IntN(n))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}
