package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a number of bytes, as a flag.
type byteSize int64

var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// Set takes "10GiB", "1.5 GB".
func (s *byteSize) Set(text string) error {
	for _, u := range units {
		if len(text) <= len(u.name) || !strings.EqualFold(text[len(text)-len(u.name):], u.name) {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(text[:len(text)-len(u.name)]), 64)
		if err != nil || !(n*u.bytes >= 1) || n*u.bytes >= math.MaxInt64 {
			break
		}
		*s = byteSize(n * u.bytes)
		return nil
	}
	return errors.New("a size is a number and a unit, such as 10GiB or 500MB")
}

// String returns the size for people: "10 GiB", "1.5 MiB".
func (s byteSize) String() string {
	v, unit := float64(s), "B"
	for _, u := range units[:4] {
		if float64(s) >= u.bytes {
			v, unit = float64(s)/u.bytes, u.name
		}
	}
	if v >= 100 {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + unit
}

// number returns n with commas between the thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
