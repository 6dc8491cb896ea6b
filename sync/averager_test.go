package sync_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func newAverager(t testing.TB, st *cache.Store) *dsync.Averager {
	t.Helper()
	a, err := dsync.NewAverager(t.Context(), st, "a")
	ok(t, err)
	return a
}

func TestAverager(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		a := newAverager(t, st)
		s, err := a.Summary(t.Context())
		ok(t, err)
		equal(t, s, dsync.Summary{})
		for _, x := range []float64{2, 4, 4, 4, 5, 5, 7, 9} {
			ok(t, a.Add(t.Context(), x))
		}
		want := dsync.Summary{Count: 8, Total: 40, Mean: 5, Variance: 4, Min: 2, Max: 9}
		s, err = newAverager(t, st).Summary(t.Context())
		ok(t, err)
		equal(t, s, want)
		equal(t, s.StdDev(), 2)
		equal(t, s.SampleVariance(), 32.0/7)
		for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			is(t, a.Add(t.Context(), x), cache.ErrInvalid)
		}
		is(t, a.Add(t.Context(), math.MaxFloat64), cache.ErrOverflow)
		s, err = a.Pop(t.Context())
		ok(t, err)
		equal(t, s, want)
		s, err = a.Pop(t.Context())
		ok(t, err)
		equal(t, s, dsync.Summary{})
		equal(t, s.SampleVariance(), 0)

		failed := st.Update(t.Context(), func(tx *cache.Tx) error {
			ok(t, a.In(tx).Add(t.Context(), 1))
			return cache.ErrNotFound
		})
		is(t, failed, cache.ErrNotFound)
		s, err = a.Summary(t.Context())
		ok(t, err)
		equal(t, s.Count, 0)
	})
}

// Sum and variance keep their digits where the naive formulas lose them.
func TestAveragerPrecision(t *testing.T) {
	a := newAverager(t, openDir(t, t.TempDir()))
	for _, x := range []float64{1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16} {
		ok(t, a.Add(t.Context(), x))
	}
	s, err := a.Pop(t.Context())
	ok(t, err)
	equal(t, s.Variance, 22.5)
	for _, x := range []float64{1, 1e100, 1, -1e100} {
		ok(t, a.Add(t.Context(), x))
	}
	s, err = a.Summary(t.Context())
	ok(t, err)
	equal(t, s.Total, 2)
}

func TestAveragerConcurrent(t *testing.T) {
	st := openDir(t, t.TempDir())
	a := newAverager(t, st)
	var all sync.WaitGroup
	var mu sync.Mutex
	var count int64
	var total float64
	for range 8 {
		all.Go(func() {
			for range 25 {
				ok(t, a.Add(t.Context(), float64(rand.IntN(100))))
			}
		})
		all.Go(func() {
			for range 5 {
				s, err := a.Pop(t.Context())
				ok(t, err)
				mu.Lock()
				count, total = count+s.Count, total+s.Total
				mu.Unlock()
			}
		})
	}
	all.Wait()
	s, err := a.Pop(t.Context())
	ok(t, err)
	equal(t, count+s.Count, 200)
	if total+s.Total == 0 {
		t.Error("no total")
	}
}
