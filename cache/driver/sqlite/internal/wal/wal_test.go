package wal

import (
	"math/rand/v2"
	"testing"
	"time"
)

const pageSize = 4096

// newLog returns what is known of a log that may have n frames.
func newLog(n int64) *Log { return New(n*(pageSize+frameHeader), pageSize) }

// The maintainer copies an eighth of the log at a time, and has it begin anew from half
// of it on.
func TestMaintainer(t *testing.T) {
	l := newLog(800)
	grew := func(frames int64, want bool) {
		t.Helper()
		if due := l.Grew(frames); due != want || l.Frames() != frames {
			t.Errorf("with %d of %d frames: due %v, want %v", l.Frames(), frames, due, want)
		}
	}
	grew(99, false)
	grew(100, true)
	if l.Begin(150, 51) {
		t.Error("copied though another process has done so")
	}
	grew(150, false)
	grew(151, true)
	if !l.Begin(151, 51) {
		t.Error("not copied")
	}
	grew(152, false)
	if l.Copied(152) {
		t.Error("begins anew too early")
	}
	grew(251, false)
	grew(252, true)
	if !l.Begin(399, 299) || l.Copied(399) {
		t.Error("not copied, or begins anew too early")
	}
	grew(399, false)
	grew(400, true) // not an eighth later
	if !l.Begin(400, 399) || !l.IsLong(400) || !l.Copied(400) {
		t.Error("does not begin anew")
	}
	grew(499, false)
	grew(500, true)
	if !l.Begin(500, 400) || !l.Copied(500) {
		t.Error("does not begin anew")
	}
	grew(550, false) // while it is copied
	if !l.Copied(550) {
		t.Error("does not begin anew")
	}
	grew(649, false)
	grew(650, true)
	l.Busy(650)
	grew(650+retryAfter-1, false)
	grew(650+retryAfter, true)
	grew(1, false) // it began anew
	grew(99, false)
	grew(100, true)
}

// The writer has the log begin anew when it is as large as it may be, and again when it
// is an eighth larger. Readers are waited for in proportion to the time that writers
// have had.
func TestWriter(t *testing.T) {
	l := newLog(800)
	now := time.Now()
	for _, step := range []struct {
		frames int64
		later  time.Duration
		want   time.Duration // 0: not urgent
	}{
		{799, 0, 0},
		{800, 0, urgentPatience}, // for the first time
		{899, 0, 0},
		{900, 0, RestartPatience},
		{1011, time.Hour, 0},
		{1012, 0, urgentPatience},
		{1200, 200 * time.Millisecond, 50 * time.Millisecond},
		{799, 0, 0},
		{800, 100 * time.Millisecond, 25 * time.Millisecond}, // not only from 1350 on
	} {
		l.Grew(step.frames)
		now = now.Add(step.later)
		patience, urgent := l.Urgent(now)
		if urgent != (step.want != 0) || patience != step.want {
			t.Errorf("%d frames: %v, %v, want %v", step.frames, urgent, patience, step.want)
		}
		if urgent {
			l.Tried(now)
		}
	}
	for size := range int64(3) { // it has to be possible to write at all
		if l := New(size*pageSize, pageSize); l.checkpoint < 1 || l.restart <= l.checkpoint || l.urgent <= l.restart {
			t.Errorf("a log of %d pages: %+v", size, l)
		}
	}
}

// The room on the disk is looked at now and then, and from when the log begins anew.
func TestSpace(t *testing.T) {
	l := newLog(8000)
	looks := 0
	for frames := range int64(10 * spaceEvery) {
		if l.Grew(frames + 1); l.Look() {
			looks++
		}
	}
	if looks != 10 || l.Look() {
		t.Errorf("%d looks", looks)
	}
	l.Grew(spaceEvery - 1)
	if l.Look() {
		t.Error("looks at once after the log began anew")
	}
	if l.Grew(spaceEvery); !l.Look() {
		t.Error("does not look after the log began anew")
	}
	if need := int64(2 * spaceEvery * pageSize); l.IsTight(need) || !l.IsTight(need-1) {
		t.Error("the last room is other than twice what is in the log")
	}
}

// With transactions of any size, and readers that are in the way for some time, the log
// is not larger than it may be by more than readers and one transaction make it.
func TestLogStaysSmall(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const size, transaction = 800, 50
	for _, busy := range []float64{0, 0.5} { // how often somebody is in the way
		l := newLog(size)
		now := time.Now()
		var frames, copied, highest, anew int64
		for range 10_000 {
			now = now.Add(time.Millisecond)
			frames += 1 + rng.Int64N(transaction)
			due := l.Grew(frames)
			if due && l.Begin(frames, copied) {
				copied = frames
				if l.Copied(frames) {
					if rng.Float64() >= busy {
						frames, copied, anew = 0, 0, anew+1
					} else {
						l.Busy(frames)
					}
				}
			}
			if _, urgent := l.Urgent(now); urgent {
				if l.Tried(now); rng.Float64() >= busy {
					frames, copied, anew = 0, 0, anew+1
				}
			}
			highest = max(highest, frames)
		}
		bound := int64(size/2 + transaction)
		if busy > 0 {
			bound = 2 * size // beyond size each try is in vain with one half
		}
		if highest > bound || anew < 100 {
			t.Errorf("with somebody in the way %v of the time the log had %d frames, and began anew %d times", busy, highest, anew)
		}
	}
}
