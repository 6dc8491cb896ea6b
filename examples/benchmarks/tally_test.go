package main

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Percentiles of tallies that came through JSON from several processes are
// those of all samples together, within the width of a bucket.
func TestTallyMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []int64
	merged := tallies{}
	for range 8 {
		part := tallies{}
		for range 5000 {
			d := int64(100 * (1 + r.ExpFloat64()*1000))
			all = append(all, d)
			part.add("get", time.Duration(d))
		}
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		var back tallies
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		merged.merge(back)
	}
	slices.Sort(all)
	s := merged.summaries()["get"]
	if s.Count != int64(len(all)) {
		t.Errorf("%d samples, want %d", s.Count, len(all))
	}
	for _, c := range []struct {
		name string
		got  int64
		at   float64
	}{{"p50", s.P50, 0.5}, {"p90", s.P90, 0.9}, {"p99", s.P99, 0.99}, {"max", s.Max, 1}} {
		want := all[min(int(float64(len(all))*c.at), len(all)-1)]
		if diff := float64(c.got-want) / float64(want); diff > 0.01 || diff < -0.01 {
			t.Errorf("%s is %d, want %d", c.name, c.got, want)
		}
	}
}

// Latencies beyond the range of a tally count as its ends.
func TestTallyRange(t *testing.T) {
	h := newTally()
	h.add(0)
	h.add(time.Hour)
	if s := h.summary(); s.Count != 2 || s.Max < int64(longest)*99/100 {
		t.Errorf("summary %+v", s)
	}
}

func TestHandOvers(t *testing.T) {
	// Process 0 has it twice, then process 1, then 0 again.
	got, err := handOvers([][][2]int64{{{0, 1000}, {2000, 3000}, {9000, 10000}}, {{5000, 6000}}})
	if err != nil {
		t.Fatal(err)
	}
	if s := got.summary(); s.Count != 2 || s.P50 != 2000 && s.P50 != 2001 {
		t.Errorf("summary %+v, want hand-overs of 2000 and 3000", s)
	}
	if _, err := handOvers([][][2]int64{{{0, 1000}}, {{900, 2000}}}); err == nil {
		t.Error("no error although two processes had the lock at once")
	}
}
