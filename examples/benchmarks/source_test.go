package main

import "testing"

// scattered is a permutation, however many keys there are.
func TestScattered(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 100, 2000, 4096, 10_000, 100_000} {
		s := newSource(n, 16, 1)
		seen := make([]bool, n)
		for i := range n {
			k := s.scattered(i)
			if seen[k] {
				t.Fatalf("%d keys: %d comes twice", n, k)
			}
			seen[k] = true
		}
	}
}

func TestValues(t *testing.T) {
	s := newSource(100, 0, 1)
	shortest, longest := 600, 1
	for range 20_000 {
		n := len(s.value())
		shortest, longest = min(shortest, n), max(longest, n)
	}
	if shortest != 1 || longest != 600 {
		t.Errorf("values of %d to %d bytes, want 1 to 600", shortest, longest)
	}
	s = newSource(100, 1024, 1)
	if n := len(s.value()); n != 1024 {
		t.Errorf("a value of %d bytes, want 1024", n)
	}
}
