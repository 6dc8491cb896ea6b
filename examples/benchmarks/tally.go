package main

import (
	"encoding/json"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest latency that a tally tells apart; what takes longer
// counts as this.
const longest = 10 * time.Minute

// tally counts latencies in buckets that are at most 0.1 % wide, so that those
// of several processes can be merged without loss.
type tally struct{ h *hdrhistogram.Histogram }

func newTally() *tally {
	return &tally{hdrhistogram.New(1, int64(longest), 3)}
}

// add counts one latency.
func (t *tally) add(d time.Duration) { t.addN(int64(d), 1) }

func (t *tally) addN(nanoseconds, n int64) {
	t.h.RecordValues(min(max(nanoseconds, 1), int64(longest)), n)
}

// merge adds what another tally has counted.
func (t *tally) merge(from *tally) { t.h.Merge(from.h) }

// MarshalJSON writes pairs of a latency in nanoseconds and its count.
func (t *tally) MarshalJSON() ([]byte, error) {
	pairs := [][2]int64{}
	for _, bar := range t.h.Distribution() {
		if bar.Count > 0 {
			pairs = append(pairs, [2]int64{bar.From, bar.Count})
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON reads what MarshalJSON, or the program in Python, wrote.
func (t *tally) UnmarshalJSON(data []byte) error {
	var pairs [][2]int64
	if err := json.Unmarshal(data, &pairs); err != nil {
		return err
	}
	*t = *newTally()
	for _, p := range pairs {
		t.addN(p[0], p[1])
	}
	return nil
}

// summary is what a result says about the latencies of one operation, in
// nanoseconds.
type summary struct {
	Count int64 `json:"count"`
	P50   int64 `json:"p50_ns"`
	P90   int64 `json:"p90_ns"`
	P99   int64 `json:"p99_ns"`
	Max   int64 `json:"max_ns"`
}

func (t *tally) summary() summary {
	return summary{
		Count: t.h.TotalCount(),
		P50:   t.h.ValueAtQuantile(50),
		P90:   t.h.ValueAtQuantile(90),
		P99:   t.h.ValueAtQuantile(99),
		Max:   t.h.Max(),
	}
}

// tallies has a tally for each operation, such as "get".
type tallies map[string]*tally

func (t tallies) add(op string, d time.Duration) {
	h := t[op]
	if h == nil {
		h = newTally()
		t[op] = h
	}
	h.add(d)
}

func (t tallies) merge(from tallies) {
	for op, h := range from {
		if t[op] == nil {
			t[op] = newTally()
		}
		t[op].merge(h)
	}
}

func (t tallies) summaries() map[string]summary {
	out := map[string]summary{}
	for op, h := range t {
		out[op] = h.summary()
	}
	return out
}
