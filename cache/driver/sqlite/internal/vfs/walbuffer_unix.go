//go:build unix

package vfs

import (
	"encoding/binary"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// SQLite writes each frame of the WAL with two system calls, 24 bytes of
// header and the page. Here they are buffered until the frame that commits
// is complete, and go to the file in one.
//
// That is safe because no reader looks for them before: a frame counts when the
// wal-index says so, which SQLite changes after the commit frame was written,
// or when a recovery finds the whole transaction in the file. The transaction
// itself may read its own frames back; it gets them from here.
//
//   - Frames are buffered only while the connection is known to have the write lock of
//     the wal-index (not with locking_mode = EXCLUSIVE, which takes no such locks),
//     and dropped before it is released: afterwards their place in the file
//     may be another writer's.
//   - After the commit frame everything passes straight through until the
//     lock is released: the frames that pad to a sector, new checksums in
//     old headers, and syncs, which so come after the frames.
//   - If frames cannot be written SQLite gets that error for the frame that
//     it is writing, and rolls back. Should it go on all the same, every
//     further write fails until the lock is released: without the lost frames
//     there must be no commit.
type bufferState struct {
	db  uintptr // the database's file
	buf uintptr // of size bytes
	off int64   // where in the file the buffered bytes belong
	n   int32   // buffered bytes

	size   int32
	extent int64 // the file has this many bytes, unless another connection has cut it
	lost   int32 // the error of a write of buffered frames

	buffering bool // between getting the write lock and the commit
	header    bool // the last bytes are a header, its page comes next
	commit    bool // that header is one of a commit frame
}

const (
	// maxBuffer bounds the buffer. SQLite's unix VFS never writes more in one
	// call: it masks the number of bytes with this.
	maxBuffer = 0x1ffff
	minBuffer = 16 << 10
)

// overrideWAL puts in the methods for a WAL.
func overrideWAL(m *methods, t *lib.Tsqlite3_io_methods) bool {
	m.close = override(&t.FxClose, walClose)
	m.read = override(&t.FxRead, walRead)
	m.write = override(&t.FxWrite, walWrite)
	m.truncate = override(&t.FxTruncate, walTruncate)
	m.sync = override(&t.FxSync, walSync)
	m.size = override(&t.FxFileSize, walFileSize)
	return true
}

// walWrite is xWrite of a WAL: it buffers frames up to that which commits.
func walWrite(tls *libc.TLS, id, buf uintptr, n int32, off int64) int32 {
	f := fileAt(id)
	if !f.buffering {
		return shim.wal.write(tls, id, buf, n, off)
	}
	if f.lost != lib.SQLITE_OK {
		return f.lost
	}
	// Before the commit frame SQLite writes frames (with synchronous = FULL
	// too: it splits one only after that), the header of the WAL, and pages
	// without a header over those of frames that the transaction wrote before.
	switch {
	case n == FrameHeaderSize && off >= WALHeaderSize:
		f.header = true
		f.commit = binary.BigEndian.Uint32(cabi.Bytes(buf+4, 4)) != 0
		return f.add(tls, id, buf, n, off)
	case f.header && off == f.off+int64(f.n):
		f.header = false
		rc := f.add(tls, id, buf, n, off)
		if rc == lib.SQLITE_OK && f.commit {
			if rc = f.flush(tls, id); rc == lib.SQLITE_OK {
				f.buffering = false
			}
		}
		return rc
	}
	if rc := f.flush(tls, id); rc != lib.SQLITE_OK {
		return rc
	}
	if off < WALHeaderSize {
		f.extent = 0 // it begins anew, perhaps after it was cut
	}
	return shim.wal.write(tls, id, buf, n, off)
}

// add keeps a copy of the bytes.
func (f *bufferState) add(tls *libc.TLS, id, buf uintptr, n int32, off int64) int32 {
	if off != f.off+int64(f.n) || f.n+n > maxBuffer {
		if rc := f.flush(tls, id); rc != lib.SQLITE_OK {
			return rc
		}
	}
	if f.n == 0 {
		f.off = off
	}
	if !f.grow(tls, f.n+n) {
		return lib.SQLITE_NOMEM
	}
	copy(cabi.Bytes(f.buf+uintptr(f.n), int(n)), cabi.Bytes(buf, int(n)))
	f.n += n
	return lib.SQLITE_OK
}

// grow makes room for n bytes in the buffer.
func (f *bufferState) grow(tls *libc.TLS, n int32) bool {
	if n <= f.size {
		return true
	}
	size := min(max(minBuffer, 2*f.size, n), maxBuffer)
	p := lib.Xsqlite3_realloc64(tls, f.buf, lib.Tsqlite3_uint64(size))
	if p == 0 {
		return false
	}
	f.buf, f.size = p, size
	return true
}

// flush writes what is buffered.
func (f *bufferState) flush(tls *libc.TLS, id uintptr) int32 {
	if f.n == 0 {
		return lib.SQLITE_OK
	}
	n := f.pad(tls, id)
	rc := shim.wal.write(tls, id, f.buf, n, f.off)
	if rc != lib.SQLITE_OK && n > f.n { // perhaps there is room for less
		f.extent = 0
		rc = shim.wal.write(tls, id, f.buf, f.n, f.off)
	}
	f.off += int64(f.n) // a page may still follow its header
	f.n = 0
	f.lost = rc
	return rc
}

// walChunk is how much the file grows at a time. Linux keeps what is written
// at once in one piece of memory, and later writes to that, when the WAL begins
// anew, take half of the time that they do where it has grown page by page. A
// MiB at a time is no better than pages.
const walChunk = 64 << 10

// pad adds zeros to what is buffered, where the file has to grow, and returns the
// bytes to be written. Beyond the end of the file are nobody's frames, and to a
// recovery zeros are what an older WAL has left there.
func (f *bufferState) pad(tls *libc.TLS, id uintptr) int32 {
	end := f.off + int64(f.n)
	if end <= f.extent {
		return f.n
	}
	out := tls.Alloc(8)
	defer tls.Free(8)
	if shim.wal.size(tls, id, out) != lib.SQLITE_OK {
		return f.n
	}
	if f.extent = *cabi.At[int64](out); end <= f.extent {
		return f.n
	}
	f.extent = (end + walChunk - 1) &^ (walChunk - 1)
	n := f.extent - f.off
	if n > maxBuffer || !f.grow(tls, int32(n)) {
		f.extent = 0
		return f.n
	}
	clear(cabi.Bytes(f.buf+uintptr(f.n), int(n)-int(f.n))) // there may be frames that were dropped
	return int32(n)
}

// begin is called when the write lock was taken, end before it is released.
func (f *bufferState) begin() { f.end(); f.buffering = true }

func (f *bufferState) end() {
	f.buffering, f.header, f.commit = false, false, false
	f.n, f.lost = 0, lib.SQLITE_OK
}

// walRead is xRead of a WAL. Frames that are buffered are read from the buffer.
func walRead(tls *libc.TLS, id, buf uintptr, n int32, off int64) int32 {
	if f := fileAt(id); f.n != 0 && off < f.off+int64(f.n) && off+int64(n) > f.off {
		if off >= f.off && off+int64(n) <= f.off+int64(f.n) {
			copy(cabi.Bytes(buf, int(n)), cabi.Bytes(f.buf+uintptr(off-f.off), int(n)))
			return lib.SQLITE_OK
		}
		if rc := f.flush(tls, id); rc != lib.SQLITE_OK {
			return rc
		}
	}
	return shim.wal.read(tls, id, buf, n, off)
}

func walTruncate(tls *libc.TLS, id uintptr, size int64) int32 {
	f := fileAt(id)
	if rc := f.flush(tls, id); rc != lib.SQLITE_OK {
		return rc
	}
	f.extent = min(f.extent, size)
	return shim.wal.truncate(tls, id, size)
}

func walSync(tls *libc.TLS, id uintptr, flags int32) int32 {
	if rc := fileAt(id).flush(tls, id); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.wal.sync(tls, id, flags)
}

func walFileSize(tls *libc.TLS, id, out uintptr) int32 {
	if rc := fileAt(id).flush(tls, id); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.wal.size(tls, id, out)
}

func walClose(tls *libc.TLS, id uintptr) int32 {
	f := fileAt(id)
	fileAt(f.db).wal = 0
	lib.Xsqlite3_free(tls, f.buf)
	f.bufferState = bufferState{}
	return shim.wal.close(tls, id)
}
