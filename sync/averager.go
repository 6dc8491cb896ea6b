package sync

import (
	"context"
	"fmt"
	"math"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// Averager keeps count, sum, mean, variance, minimum and maximum of numbers
// that goroutines and processes add. No number is lost or counted twice. All
// methods may be called by many goroutines at once. To be part of a transaction
// an averager is bound to it with In.
type Averager struct {
	rows *cache.Cache[string, moments]
	name string
}

// moments are what is stored of the numbers.
type moments struct {
	Count int64   `json:"count"`
	Sum   float64 `json:"sum"`
	Rest  float64 `json:"rest"` // what the additions to Sum have rounded off
	Mean  float64 `json:"mean"`
	M2    float64 `json:"m2"` // sum of the squared differences from the mean
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
}

// Summary describes the numbers of an [Averager]. All but Count are 0 if there
// are none.
type Summary struct {
	Count    int64
	Total    float64
	Mean     float64
	Variance float64 // mean of the squared differences from the mean
	Min, Max float64
}

// StdDev returns the standard deviation: the square root of Variance.
func (s Summary) StdDev() float64 { return math.Sqrt(s.Variance) }

// SampleVariance returns the variance that the numbers, as a sample, suggest:
// it divides by one less than Variance does. It is 0 for less than two.
func (s Summary) SampleVariance() float64 {
	if s.Count < 2 {
		return 0
	}
	return s.Variance * float64(s.Count) / float64(s.Count-1)
}

// NewAverager returns the averager called name of a store. Its numbers survive
// restarts, and are never evicted.
func NewAverager(ctx context.Context, st *cache.Store, name string) (*Averager, error) {
	rows, err := averagers(ctx, st)
	if err != nil {
		return nil, fail("NewAverager", averagerPrefix+name, err)
	}
	return &Averager{rows, name}, nil
}

func averagers(ctx context.Context, st *cache.Store) (*cache.Cache[string, moments], error) {
	return cache.New(ctx, st, "averagers", &cache.Options[string, moments]{Family: "sync", Persistent: true})
}

func (a *Averager) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fail(op, averagerPrefix+a.name, err)
}

// In returns the same averager bound to a transaction: see cache.Cache.In.
func (a *Averager) In(tx *cache.Tx) *Averager { return &Averager{a.rows.In(tx), a.name} }

// Add adds a number. One that is not finite is cache.ErrInvalid, and one that
// makes the sum or the variance too large for a float64 cache.ErrOverflow;
// neither changes anything.
func (a *Averager) Add(ctx context.Context, x float64) error {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return a.fail("Add", family.Invalid("the number is not finite"))
	}
	_, _, err := a.rows.Modify(ctx, a.name, func(m moments, _ bool) (moments, bool, error) {
		m.add(x)
		if math.IsInf(m.Sum+m.Rest, 0) || math.IsNaN(m.Rest) || math.IsInf(m.M2, 0) || math.IsNaN(m.M2) {
			return m, false, fmt.Errorf("%w: of the numbers' sum or variance", cache.ErrOverflow)
		}
		return m, true, nil
	})
	return a.fail("Add", err)
}

func (m *moments) add(x float64) {
	m.Count++
	if m.Count == 1 {
		m.Min, m.Max = x, x
	}
	m.Min, m.Max = min(m.Min, x), max(m.Max, x)
	// Neumaier's compensated sum.
	sum := m.Sum + x
	if math.Abs(m.Sum) >= math.Abs(x) {
		m.Rest += (m.Sum - sum) + x
	} else {
		m.Rest += (x - sum) + m.Sum
	}
	m.Sum = sum
	// Welford's recurrence: the difference of two large sums of squares would
	// lose all digits.
	d := x - m.Mean
	m.Mean += d / float64(m.Count)
	m.M2 += d * (x - m.Mean)
}

func (m *moments) summary() Summary {
	if m.Count == 0 {
		return Summary{}
	}
	n, total := float64(m.Count), m.Sum+m.Rest
	return Summary{Count: m.Count, Total: total, Mean: total / n, Variance: m.M2 / n, Min: m.Min, Max: m.Max}
}

// Summary returns what is known about the numbers.
func (a *Averager) Summary(ctx context.Context) (Summary, error) {
	m, _, err := a.rows.Get(ctx, a.name)
	return m.summary(), a.fail("Summary", err)
}

// Pop is Summary, and starts again without numbers. None is lost in between.
func (a *Averager) Pop(ctx context.Context) (Summary, error) {
	m, _, err := a.rows.Pop(ctx, a.name)
	return m.summary(), a.fail("Pop", err)
}
