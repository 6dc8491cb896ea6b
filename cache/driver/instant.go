package driver

import (
	"math"
	"time"
)

// Instant is a moment in seconds since 1970, UTC, as DiskCache stores it. The
// zero Instant means "never". In this century it is exact to less than a
// microsecond.
type Instant float64

// At converts a time. Moments before 1970 become the first after it, so that
// none is mistaken for "never".
func At(t time.Time) Instant {
	s := Instant(float64(t.Unix()) + float64(t.Nanosecond())/1e9)
	if s <= 0 {
		return Instant(math.SmallestNonzeroFloat64)
	}
	return s
}

// Add returns i moved by d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Seconds()) }

// Time converts back. The zero Instant becomes the zero time.Time, and what
// lies beyond the reach of time.Time the last moment of the year 9999.
func (i Instant) Time() time.Time {
	const last = 253402300799
	switch {
	case i == 0:
		return time.Time{}
	case !(i < last): // also NaN
		return time.Unix(last, 0)
	case i < 0:
		return time.Unix(0, 0)
	}
	sec, frac := math.Modf(float64(i))
	return time.Unix(int64(sec), int64(math.Round(frac*1e9)))
}
