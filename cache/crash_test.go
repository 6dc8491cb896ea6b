//go:build linux

package cache_test

import (
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// TestKill kills writing processes at random moments. What they have
// acknowledged is there, of each of their goroutines at most the operation
// that it was at is there too, and only as a whole, and nothing else is.
//
// DISKCACHE_TEST_KILLS is how many there are to be:
//
//	DISKCACHE_TEST_KILLS=10000 go test ./cache -run TestKill -v -timeout 2h
func TestKill(t *testing.T) {
	kills := 300
	switch {
	case testing.Short():
		kills = 12
	case raceEnabled: // what a kill leaves does not depend on it
		kills = 48
	}
	kills = amount(t, "DISKCACHE_TEST_KILLS", kills)
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		killAlone(t, random(t, 1), kills-kills/3)
	})
	t.Run("among others", func(t *testing.T) {
		t.Parallel()
		killAmongOthers(t, random(t, 2), kills/3)
	})
}

// killAlone kills the only process that uses a store, again and again.
func killAlone(t *testing.T, r *rand.Rand, rounds int) {
	dir := filepath.Join(quickDir(t), "store")
	seed := r.Uint64()
	ids := []int{0, 1, 2}
	past := history{}
	for round := range rounds {
		if round%32 == 31 {
			// A new store: one that is being made can be killed too.
			ok(t, os.RemoveAll(filepath.Dir(dir)))
			dir = filepath.Join(quickDir(t), "store")
			past = history{}
		}
		w := startWriter(t, dir, seed, ids, past)
		if r.IntN(4) == 0 {
			w.killAfter(time.Duration(r.IntN(30_000)) * time.Microsecond)
		} else {
			w.killAfterAcks(1+r.IntN(60), time.Duration(r.IntN(500))*time.Microsecond)
		}
		if _, err := os.Stat(dir); err != nil {
			continue // it did not come as far as that
		}

		// Before anything is swept there may be left-overs, and nothing else.
		st := must(cache.OpenStore(t.Context(), dir, nil))(t)
		onlyLeftOvers(t, must(st.Check(t.Context(), nil))(t))
		past = verify(t, st, seed, ids, w.acked(past), true)
		ok(t, st.Close())
		clean(t, dir)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// killAmongOthers kills one of several processes while the others go on.
func killAmongOthers(t *testing.T, r *rand.Rand, rounds int) {
	dir := quickDir(t)
	seed := r.Uint64()
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	defer func() { ok(t, st.Close()) }()
	past := history{}
	var writers [3]*writer
	groups := [3][]int{{0, 1}, {2, 3}, {4, 5}}
	for i := range writers {
		writers[i] = startWriter(t, dir, seed, groups[i], past)
	}
	for round := range rounds {
		i := r.IntN(len(writers))
		writers[i].killAfterAcks(1+r.IntN(40), time.Duration(r.IntN(2000))*time.Microsecond)
		onlyLeftOvers(t, must(st.Check(t.Context(), nil))(t))
		past = verify(t, st, seed, groups[i], writers[i].acked(past), false)
		writers[i] = startWriter(t, dir, seed, groups[i], past)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	all := []int{}
	for i, w := range writers {
		w.finish()
		past = w.acked(past)
		all = append(all, groups[i]...)
	}
	verify(t, st, seed, all, past, true)
	ok(t, st.Close())
	clean(t, dir)
}

// onlyLeftOvers demands of a store whose writer was killed that there is
// nothing but what will be swept.
func onlyLeftOvers(t *testing.T, r *cache.Report) {
	t.Helper()
	for _, p := range r.Problems {
		if !p.Harmless() {
			t.Errorf("after a kill: %+v", p)
		}
	}
}

// clean demands that a directory holds a sound store without left-overs, once
// it has been opened and closed.
func clean(t *testing.T, dir string) {
	t.Helper()
	ok(t, must(cache.OpenStore(t.Context(), dir, nil))(t).Close()) // sweeps, undisturbed by a check
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	r := must(st.Check(t.Context(), nil))(t)
	ok(t, st.Close())
	for _, p := range r.Problems {
		t.Errorf("after the sweep: %+v", p)
	}
	entries := must(os.ReadDir(dir))(t)
	for _, e := range entries {
		switch name := e.Name(); name {
		case "cache.db", "cache.db-line", "cache.db-lock", "cache.db-near2", "cache.db-reserve", "cache.db-values", "cache.db-watch":
		default:
			if len(name) != 2 { // of a value file
				t.Errorf("%s is left in the directory", name)
			}
		}
	}
}

// writer is a writing child and what it has acknowledged.
type writer struct {
	*child
	acks map[int]int // operations acknowledged, by goroutine
	n    int
}

func startWriter(t *testing.T, dir string, seed uint64, ids []int, past history) *writer {
	t.Helper()
	args := []string{dir, strconv.FormatUint(seed, 10)}
	for _, id := range ids {
		args = append(args, strconv.Itoa(id), strconv.Itoa(past[id].ops))
	}
	return &writer{child: spawn(t, "write", args...), acks: map[int]int{}}
}

// read takes in what the child acknowledges, until stop says so or it ends.
func (w *writer) read(stop func() bool) {
	w.t.Helper()
	buf := make([]byte, 512)
	for !stop() {
		n, err := w.out.Read(buf)
		for _, b := range buf[:n] {
			w.acks[int(b)]++
			w.n++
		}
		if err == io.EOF {
			return
		}
		ok(w.t, err)
	}
}

func never() bool { return false }

// killAfter kills the child at some moment, whatever it does.
func (w *writer) killAfter(d time.Duration) {
	w.t.Helper()
	time.Sleep(d)
	w.kill()
	w.read(never)
	w.killed()
}

// killAfterAcks kills the child some time after its nth acknowledgement.
func (w *writer) killAfterAcks(n int, d time.Duration) {
	w.t.Helper()
	n += w.n
	w.read(func() bool { return w.n >= n })
	w.killAfter(d)
}

// finish has the child end in peace.
func (w *writer) finish() {
	w.t.Helper()
	ok(w.t, w.in.Close())
	w.read(never)
	if err := w.wait(); err != nil {
		w.t.Fatalf("writer: %v\n%s", err, w.errs.String())
	}
}

// acked adds what this child has acknowledged to what was known before.
func (w *writer) acked(past history) history {
	next := maps.Clone(past)
	for id, n := range w.acks {
		p := next[id]
		p.acked = p.ops + n
		next[id] = p
	}
	return next
}
