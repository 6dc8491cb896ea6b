package vfs

import (
	"sync/atomic"
	"unsafe"

	lib "modernc.org/sqlite/lib"
)

// WALIndexHeader is the header of a database's WAL-index, in the memory that
// all processes which have the database open share. It may change at any time. A process
// that has no transaction finds in it what has been committed: see
// https://sqlite.org/walformat.html, "WAL-Index Header". A method loads
// one field, may be called by any goroutine, and costs a load from memory;
// two calls may see two commits.
//
// SQLite writes the header while it holds the write lock, a second copy of it
// first, so a commit is seen here not before it is one. What follows the two
// is written by checkpoints.
type WALIndexHeader struct {
	_        [2]uint32
	change   uint32
	_        uint32
	frames   uint32
	pages    uint32
	frameSum [2]uint32
	salts    [2]uint32
	_        [2]uint32 // the checksum of this copy

	_      [12]uint32 // the second copy
	copied uint32
}

// The layout is SQLite's: these do not compile otherwise.
const (
	_ = -(unsafe.Offsetof(WALIndexHeader{}.change) ^ unsafe.Offsetof(lib.TWalIndexHdr{}.FiChange))
	_ = -(unsafe.Offsetof(WALIndexHeader{}.frames) ^ unsafe.Offsetof(lib.TWalIndexHdr{}.FmxFrame))
	_ = -(unsafe.Offsetof(WALIndexHeader{}.pages) ^ unsafe.Offsetof(lib.TWalIndexHdr{}.FnPage))
	_ = -(unsafe.Offsetof(WALIndexHeader{}.frameSum) ^ unsafe.Offsetof(lib.TWalIndexHdr{}.FaFrameCksum))
	_ = -(unsafe.Offsetof(WALIndexHeader{}.salts) ^ unsafe.Offsetof(lib.TWalIndexHdr{}.FaSalt))
	_ = -(unsafe.Offsetof(WALIndexHeader{}.copied) ^ (2*unsafe.Sizeof(lib.TWalIndexHdr{}) + unsafe.Offsetof(lib.TWalCkptInfo{}.FnBackfill)))
)

// Change counts commits that wrote something. It keeps its value when a
// checkpoint lets the WAL begin anew, and starts at 0 when the WAL-index is
// built anew: when the first connection of all processes is opened, and after
// a process died in the midst of writing this header.
func (h *WALIndexHeader) Change() uint32 { return atomic.LoadUint32(&h.change) }

// Frames returns the number of frames in the WAL that are committed.
func (h *WALIndexHeader) Frames() uint32 { return atomic.LoadUint32(&h.frames) }

// Copied returns the number of frames in the WAL that are in the database too.
func (h *WALIndexHeader) Copied() uint32 { return atomic.LoadUint32(&h.copied) }

// Pages returns the size of the database in pages.
func (h *WALIndexHeader) Pages() uint32 { return atomic.LoadUint32(&h.pages) }

// FrameChecksum returns the checksum of the last frame that is committed. It
// goes over all frames before as well, so that two states with equal checksums
// and equal salts are one state. It keeps its value, like Change, when the WAL
// begins anew.
func (h *WALIndexHeader) FrameChecksum() uint64 {
	return uint64(atomic.LoadUint32(&h.frameSum[0]))<<32 | uint64(atomic.LoadUint32(&h.frameSum[1]))
}
