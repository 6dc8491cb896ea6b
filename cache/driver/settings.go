package driver

import (
	"math"
	"time"

	"github.com/go-diskcache/diskcache/cache/clock"
)

// Policy names what Cull removes first. The names are DiskCache's.
type Policy string

const (
	LeastRecentlyStored Policy = "least-recently-stored"
	LeastRecentlyUsed   Policy = "least-recently-used"
	LeastFrequentlyUsed Policy = "least-frequently-used"
	NoEviction          Policy = "none"
)

// Valid reports whether p is one of the four policies.
func (p Policy) Valid() bool {
	switch p {
	case LeastRecentlyStored, LeastRecentlyUsed, LeastFrequentlyUsed, NoEviction:
		return true
	}
	return false
}

// CountsAccesses reports whether p orders rows by how they are read.
func (p Policy) CountsAccesses() bool { return p == LeastRecentlyUsed || p == LeastFrequentlyUsed }

// NoLimit is a size limit that nothing reaches.
const NoLimit = math.MaxInt64

// Settings belong to a collection, are stored with it and are the same for
// all processes that use it.
type Settings struct {
	Policy      Policy
	SizeLimit   int64 // bytes of volume above which Cull evicts; below 0: everything is above
	CullLimit   int   // rows that a write may remove to make room; 0: none
	MinFileSize int64 // texts and blobs of so many bytes or more are kept in files
	Statistics  bool  // count hits and misses
	TagIndex    bool  // keep an index of tags, which makes Tag filters fast
}

// MaxAhead is how far the store time of a row may lie ahead of the clock, in
// seconds: clocks are set back by moments all the time.
const MaxAhead = Instant(clock.MaxAhead / time.Second)

// Over reports whether the time of a row is over at now, so that nobody finds
// it: its expiry has come, or else its clock was wrong. That is so if the row
// expires, was stored more than MaxAhead after now, and lies where rows may be
// evicted. Then the clock was ahead when it was stored, and its expiry is as
// far ahead. Where nothing is evicted an expiry is a moment, whatever the clock
// said before.
//
// Cull and Remove go by the expiry alone. With 0 for now no time is over.
func (s *Settings) Over(stored, expire, now Instant) bool {
	return expire != 0 && now != 0 && (expire <= now || stored > now+MaxAhead && s.Policy != NoEviction)
}

// DefaultSettings returns DiskCache's defaults.
func DefaultSettings() Settings {
	return Settings{
		Policy:      LeastRecentlyStored,
		SizeLimit:   1 << 30,
		CullLimit:   10,
		MinFileSize: 32 << 10,
	}
}

// PersistentSettings are those of a collection that never loses anything by
// itself.
func PersistentSettings() Settings {
	return Settings{Policy: NoEviction, SizeLimit: NoLimit, MinFileSize: 32 << 10}
}

// Stats counts reads.
type Stats struct {
	Hits, Misses int64
}

// NearStats is about copies of rows in this process's memory, from which an
// engine may answer Gets, since the store was opened.
type NearStats struct {
	Hits   int64 // Gets that were answered from memory, those that found nothing included
	Misses int64 // Gets for which there was no copy, or not a valid one
	Bytes  int64 // of memory in use
}

// Volume is what a store takes, in bytes.
type Volume struct {
	Total int64

	// Parts are what Total is the sum of, by the engine's names for them. Those of
	// package sqlite are "database", its pages, "log", commits that are not in the
	// database yet, and "files", values in files of their own.
	Parts map[string]int64
}

// ProblemKind says what is wrong.
type ProblemKind string

// The problems that a check can find.
const (
	CorruptDatabase ProblemKind = "corrupt database"     // SQLite's integrity check complains; also broken indexes
	WrongSize       ProblemKind = "wrong size"           // a value file is not as long as its row says
	MissingFile     ProblemKind = "missing file"         // a row's value file does not exist
	UnknownFile     ProblemKind = "unknown file"         // a file that no row refers to
	EmptyDirectory  ProblemKind = "empty directory"      // a directory of value files without any
	WrongCount      ProblemKind = "wrong count"          // the stored number of rows is not the number of rows
	WrongVolume     ProblemKind = "wrong volume"         // the stored volume of files is not their sum
	Undecodable     ProblemKind = "undecodable row"      // the collection's codec cannot read it
	LeftOver        ProblemKind = "left-over file"       // temporary file of a process that is gone
	BadRow          ProblemKind = "row with bad columns" // columns that no version of the format allows
)

// Problem is one finding of a check.
type Problem struct {
	Kind       ProblemKind
	Collection string
	Path       string // of the file or directory, relative to the store, where there is one
	Row        int64  // ID of the row, where there is one
	Detail     string // more, for people; without keys and values
	Mended     bool
}

// Harmless reports whether a problem concerns no entry: a file or a directory that
// no entry refers to takes up room and does nothing else. Processes that are killed
// leave such files, and a store that is opened later removes them.
func (p Problem) Harmless() bool {
	switch p.Kind {
	case LeftOver, UnknownFile, EmptyDirectory:
		return true
	}
	return false
}
