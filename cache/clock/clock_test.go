package clock

import (
	"math"
	"math/big"
	"testing"
	"time"
)

func TestNanos(t *testing.T) {
	first, last := time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)
	for _, test := range []struct {
		t    time.Time
		want int64
	}{
		{time.Unix(0, 0), 0},
		{time.Unix(1_700_000_000, 5), 1_700_000_000_000_000_005},
		{time.Unix(-1, 1), -999_999_999},
		{first, math.MinInt64},
		{first.Add(-1), math.MinInt64},
		{last, math.MaxInt64},
		{last.Add(1), math.MaxInt64},
		{last.Add(math.MaxInt64).Add(math.MaxInt64), math.MaxInt64}, // wraps to about 2262 again
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		{time.Unix(math.MaxInt64, 0), math.MaxInt64},
		{time.Time{}, math.MinInt64},
		{time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), math.MinInt64},
	} {
		if got := Nanos(test.t); got != test.want {
			t.Errorf("Nanos(%v) is %d, want %d", test.t, got, test.want)
		}
	}
}

func TestSums(t *testing.T) {
	numbers := []int64{math.MinInt64, math.MinInt64 + 1, -2, -1, 0, 1, 2, math.MaxInt64 - 1, math.MaxInt64}
	clamped := func(n *big.Int) int64 {
		switch {
		case n.IsInt64():
			return n.Int64()
		case n.Sign() > 0:
			return math.MaxInt64
		}
		return math.MinInt64
	}
	for _, a := range numbers {
		for _, b := range numbers {
			x, y := big.NewInt(a), big.NewInt(b)
			if got, want := Add(a, b), clamped(new(big.Int).Add(x, y)); got != want {
				t.Errorf("%d + %d is %d, want %d", a, b, got, want)
			}
			if got, want := Sub(a, b), clamped(new(big.Int).Sub(x, y)); got != want {
				t.Errorf("%d - %d is %d, want %d", a, b, got, want)
			}
		}
	}
}
