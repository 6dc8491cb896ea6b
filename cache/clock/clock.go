// Package clock is what all packages agree on about times.
//
// Arithmetic does not wrap: what is too large for 64 bits becomes the largest
// number, and what is too small the smallest. Nanoseconds reach from the year
// 1678 to 2262.
package clock

import (
	"math"
	"time"
)

// MaxAhead is how far a stored time that lies in the past when it is written may
// be ahead of the clock. If it is farther the clock has been set back since, by
// more than the moments of a correction.
const MaxAhead = time.Minute

// Nanos returns the nanoseconds from 1970 until t.
func Nanos(t time.Time) int64 {
	switch n := t.UnixNano(); {
	case time.Unix(0, n).Equal(t):
		return n
	case t.Unix() > 0:
		return math.MaxInt64
	default:
		return math.MinInt64
	}
}

// Add returns a + b.
func Add[T ~int64](a, b T) T {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}

// Sub returns a - b.
func Sub[T ~int64](a, b T) T {
	switch diff := a - b; {
	case b < 0 && diff < a:
		return math.MaxInt64
	case b > 0 && diff > a:
		return math.MinInt64
	default:
		return diff
	}
}
