package codec_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/codec"
)

func TestTime(t *testing.T) {
	first := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	last := time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	zones := []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -9*3600)}
	laws[time.Time]{
		codec: codec.Time(), name: "time",
		fixed: []time.Time{first, last, {}, time.Unix(0, 0), time.Now()},
		next: func(r *rand.Rand) time.Time {
			return first.Add(24 * time.Hour).Add(time.Duration(r.Uint64() >> r.IntN(64)).Abs()).In(zones[r.IntN(3)])
		},
		order: time.Time.Compare,
		equal: func(a, b time.Time) bool { return a.Equal(b) && a.Location() == time.UTC },
		again: func(r *rand.Rand, v time.Time) time.Time {
			if y := v.UTC().Year(); y == 0 || y == 9999 {
				return v
			}
			return v.In(zones[r.IntN(3)])
		},
	}.check(t)

	enc, err := codec.Time().Encode(time.Date(2024, 2, 29, 12, 30, 0, 5000, zones[1]))
	if want := "2024-02-29T07:00:00.000005000Z"; enc.Text() != want || err != nil {
		t.Errorf("got %q, error %v, want %q", enc.Text(), err, want)
	}
	if got, err := codec.Time().Decode(codec.BlobValue([]byte(enc.Text()))); err != nil || got.Nanosecond() != 5000 {
		t.Errorf("from a blob: %v, error %v", got, err)
	}
	refusesToEncode(t, codec.Time(), first.Add(-1), last.Add(1), first.In(zones[1]).Add(-time.Nanosecond))
	refuses(t, codec.Time(), null, one, half, text, blob)
	for _, s := range []string{
		"2024-02-30T07:00:00.000005000Z", "2024-02-29T24:00:00.000005000Z", "2024-02-29T07:00:00,000005000Z",
		"2024-02-29T07:00:00.00000500Z", "2024-02-29T07:00:00Z", "2024-02-29T07:00:00.000005000z",
		"2024-02-29 07:00:00.000005000Z", "-024-02-29T07:00:00.000005000Z", "2024-02-29T7:00:00.0000050000Z",
	} {
		refuses(t, codec.Time(), codec.TextValue(s))
	}
}
