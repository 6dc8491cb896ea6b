// Package wal says when the write-ahead log is copied to the database and begun anew,
// and keeps room for it on the disk.
//
// [Log] decides by the number of frames: what the maintainer does in the background,
// and what a writer has to do itself. [Reserve] is a file that is given up when the
// disk is full.
//
// The package owns the thresholds and the file of the reserve. It makes no checkpoint,
// knows no connection and reads no clock: its callers tell it how many frames there are
// and what time it is, and do what it says. It takes no lock but Reserve.mu, which is
// taken last.
package wal

import (
	"sync/atomic"
	"time"
)

const (
	// frameHeader is the number of bytes that a frame has beside its page.
	frameHeader = 24
	// retryAfter is the number of frames until the log is to begin anew again if
	// another process was at work: less than a quantum writes, since in one it can be
	// done.
	retryAfter = 64
	// spaceEvery is the number of frames after which the room on the disk is looked at.
	spaceEvery = 64
	// RestartPatience is how long writers are kept out because of readers that
	// still use the log.
	RestartPatience = 10 * time.Millisecond
	// urgentShare and urgentPatience bound it once that is urgent: writers are
	// kept out for one part in urgentShare of the time that they have had since
	// the last try.
	urgentShare    = 4
	urgentPatience = time.Second
)

// Log is what this process knows about the write-ahead log.
type Log struct {
	pageSize int64

	// checkpoint is how many frames that are not copied yet have the log copied to
	// the database, in the background. Each time costs two syncs of the disk.
	checkpoint int64
	// restart is from when writers are kept out for a moment, so that the log
	// can begin anew: a log that is written to all the time would never end
	// otherwise. Its file keeps its size, up to the maximum, since to write
	// over what is there is faster than to make a file grow.
	restart int64
	// urgent is from when the writer does that itself, and others and readers
	// are waited for. Only a transaction that is larger than that, a View that
	// stays open for long, or readers that hardly get the processor let the log
	// get larger.
	urgent int64

	frames atomic.Int64 // after the last commit
	due    atomic.Int64 // frames from which the next checkpoint is

	// Guarded by the lead of the writer.
	next  int64     // frames from which the writer tries again to begin the log anew
	tried time.Time // when it last did
	seen  int64     // frames when the room on the disk was last looked at
}

// New returns what is known of a log that is empty, and is to have size bytes at most.
func New(size, pageSize int64) *Log {
	n := max(size/(pageSize+frameHeader), 8)
	l := &Log{pageSize: pageSize, checkpoint: n / 8, restart: n / 2, urgent: n}
	l.due.Store(l.checkpoint)
	return l
}

// Frames returns how many frames the log had after the last commit of this process.
func (l *Log) Frames() int64 { return l.frames.Load() }

// Bytes returns what those frames take.
func (l *Log) Bytes() int64 { return l.Frames() * (l.pageSize + frameHeader) }

// Grew is told the number of frames after each commit, and reports whether the
// maintainer is to look at the log.
func (l *Log) Grew(frames int64) (due bool) {
	if frames < l.frames.Swap(frames) { // the log began anew
		l.due.Store(l.checkpoint)
	}
	return frames >= l.due.Load()
}

// Begin reports whether the maintainer is to copy the log, of whose frames some are
// copied already. It returns false if another process has copied enough.
func (l *Log) Begin(frames, copied int64) bool {
	if frames < copied+l.checkpoint && frames < l.restart {
		l.due.Store(min(copied+l.checkpoint, l.restart))
		return false
	}
	l.due.Store(l.Frames() + l.checkpoint)
	return true
}

// Copied is told how many frames there are after a copy, and reports whether the log is
// to begin anew.
func (l *Log) Copied(frames int64) (restart bool) {
	if !l.IsLong(frames) {
		l.due.Store(min(frames+l.checkpoint, l.restart))
		return false
	}
	l.due.Store(frames + l.checkpoint)
	return true
}

// IsLong reports whether a log with so many frames is to begin anew.
func (l *Log) IsLong(frames int64) bool { return frames >= l.restart }

// Busy is told that the log with so many frames could not begin anew, since another
// process was at work.
func (l *Log) Busy(frames int64) { l.due.Store(frames + min(retryAfter, l.checkpoint)) }

// Urgent reports whether the writer is to have the log begin anew before anybody writes
// again, and how long readers are waited for. If that is in vain, it is tried again when
// the log is an eighth larger: with readers that come one after the other there is
// always one in the way of a copy, and hardly ever one that stays. Tried comes after.
func (l *Log) Urgent(now time.Time) (patience time.Duration, urgent bool) {
	frames := l.Frames()
	if frames < l.urgent {
		l.next = 0
	}
	if frames < l.urgent || frames < l.next {
		return 0, false
	}
	l.next = frames + frames/8
	return min(max(RestartPatience, now.Sub(l.tried)/urgentShare), urgentPatience), true
}

// Tried is told when the writer has done what was urgent.
func (l *Log) Tried(now time.Time) { l.tried = now }

// Look reports whether the writer is to look at the room on the disk.
func (l *Log) Look() bool {
	frames := l.Frames()
	if frames < l.seen {
		l.seen = 0
	}
	if frames-l.seen < spaceEvery {
		return false
	}
	l.seen = frames
	return true
}

// IsTight reports whether the log takes the last room on the disk, of which so many
// bytes are free: it could not be copied into the database then, and nothing could be
// deleted any more.
func (l *Log) IsTight(free int64) bool { return free < 2*l.Frames()*l.pageSize }
