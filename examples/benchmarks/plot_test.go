package main

import (
	"fmt"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

func TestLabels(t *testing.T) {
	for us, want := range map[float64]string{0.001: "1 ns", 0.1: "100 ns", 1: "1 µs", 100: "100 µs", 1000: "1 ms", 1e5: "100 ms", 1e6: "1 s", 1e9: "1000 s"} {
		if got := timeLabel(us); got != want {
			t.Errorf("%v µs are %q, want %q", us, got, want)
		}
	}
	for n, want := range map[float64]string{1: "1", 100: "100", 1000: "1k", 1e5: "100k", 1e6: "1M", 1e7: "10M"} {
		if got := countLabel(n); got != want {
			t.Errorf("%v is %q, want %q", n, got, want)
		}
	}
}

// A logarithmic axis can be read: it has a label, and all values are on it.
func TestLogAxis(t *testing.T) {
	for _, r := range [][2]float64{{1, 1}, {2, 5}, {150, 155}, {0.0013, 0.002}, {1, 1e6}, {999, 1000}} {
		a := plot.New().X
		logAxis(&a, r[0], r[1], countLabel)
		labels := 0
		for _, tick := range a.Tick.Marker.Ticks(a.Min, a.Max) {
			if tick.Label != "" && tick.Value >= a.Min && tick.Value <= a.Max {
				labels++
			}
		}
		if labels == 0 || a.Min <= 0 || a.Min >= r[0] || a.Max <= r[1] {
			t.Errorf("%v: %d labels from %v to %v", r, labels, a.Min, a.Max)
		}
	}
}

func TestStyle(t *testing.T) {
	seen := map[string]int{}
	for i := range 3 * len(palette) {
		l, s, err := plotter.NewLinePoints(plotter.XYs{{X: 1, Y: 1}})
		if err != nil {
			t.Fatal(err)
		}
		style(i, l, s)
		look := fmt.Sprint(l.Color, l.Dashes)
		if j, ok := seen[look]; ok {
			t.Errorf("lines %d and %d look the same", i, j)
		}
		seen[look] = i
		if l.Color != s.Color {
			t.Errorf("line %d and its points differ", i)
		}
	}
}
