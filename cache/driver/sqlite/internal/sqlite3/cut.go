package sqlite3

import (
	"bytes"
	"encoding/binary"

	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// CutLog undoes the last transactions of a database: from the first on that
// wrote mark into a page, as the log tells, to the end of the log. It cuts the
// log there, which is what a power cut does to a log that was not synced, and
// syncs it.
//
// False means that nothing has changed: mark is not in the log, or pages of those
// transactions are in the database already, because somebody's checkpoint has
// copied them. The error is one that [IsBusy] knows if anybody else has the
// database open.
//
// mark must be in no page of the database but by that transaction and those
// after it, and so be a part of a value that is unique and short.
func CutLog(path string, mark []byte) (cut bool, err error) {
	c, err := Open(path, ReadWrite|DefaultVFS)
	if err != nil {
		return false, err
	}
	defer func() {
		if cerr := c.Close(); err == nil {
			err = cerr
		}
	}()
	// What is cut must not be copied when c is closed.
	if err := c.SetCheckpointOnClose(false); err != nil {
		return false, err
	}
	// In this mode a connection is the only one of all processes, and keeps
	// the index of the log in its own memory.
	if err := c.Exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	db, err := c.fileOf(lib.SQLITE_FCNTL_FILE_POINTER)
	if err != nil {
		return false, err
	}
	wal, err := c.fileOf(lib.SQLITE_FCNTL_JOURNAL_POINTER)
	if err != nil || !wal.isOpen() { // the database has no log, but a rollback journal
		return false, err
	}
	l, err := readLog(wal)
	if err != nil {
		return false, err
	}
	size, ok, err := l.before(db, mark)
	if err != nil || !ok {
		return false, err
	}
	if err := wal.truncate(size); err != nil {
		return false, err
	}
	return true, wal.sync()
}

// logReader goes through the frames of a log as a recovery does.
type logReader struct {
	f       sqliteFile
	size    int64 // of the file
	order   binary.ByteOrder
	salts   [8]byte
	sum     [2]uint32 // of what was read so far
	frame   []byte    // the last one that was read
	at      int64     // where the next one begins
	invalid bool
}

// readLog reads the header of a log.
func readLog(f sqliteFile) (*logReader, error) {
	l := &logReader{f: f, at: vfs.WALHeaderSize}
	var err error
	if l.size, err = f.size(); err != nil {
		return nil, err
	}
	header := make([]byte, vfs.WALHeaderSize)
	if l.invalid = l.size < vfs.WALHeaderSize; l.invalid {
		return l, nil
	}
	if err := f.readAt(header, 0); err != nil {
		return nil, err
	}
	const magic = 0x377f0682
	first := binary.BigEndian.Uint32(header)
	l.order = binary.LittleEndian
	if first&1 != 0 {
		l.order = binary.BigEndian
	}
	page := binary.BigEndian.Uint32(header[8:])
	l.add(header[:24])
	l.invalid = first&^1 != magic || page < 512 || page > 65536 || page&(page-1) != 0 || !l.sums(header[24:])
	copy(l.salts[:], header[16:24])
	if !l.invalid {
		l.frame = make([]byte, vfs.FrameHeaderSize+page)
	}
	return l, nil
}

// add adds bytes to the checksum, see https://sqlite.org/walformat.html.
func (l *logReader) add(b []byte) {
	for ; len(b) > 0; b = b[8:] {
		l.sum[0] += l.order.Uint32(b) + l.sum[1]
		l.sum[1] += l.order.Uint32(b[4:]) + l.sum[0]
	}
}

// sums reports whether b is the checksum.
func (l *logReader) sums(b []byte) bool {
	return binary.BigEndian.Uint32(b) == l.sum[0] && binary.BigEndian.Uint32(b[4:]) == l.sum[1]
}

// next reads a frame, and reports whether there is one.
func (l *logReader) next() (bool, error) {
	if l.invalid || l.at+int64(len(l.frame)) > l.size {
		return false, nil
	}
	if err := l.f.readAt(l.frame, l.at); err != nil {
		return false, err
	}
	l.add(l.frame[:8])
	l.add(l.page())
	if string(l.frame[8:16]) != string(l.salts[:]) || l.number() == 0 || !l.sums(l.frame[16:vfs.FrameHeaderSize]) {
		return false, nil
	}
	l.at += int64(len(l.frame))
	return true, nil
}

func (l *logReader) page() []byte   { return l.frame[vfs.FrameHeaderSize:] }
func (l *logReader) number() uint32 { return binary.BigEndian.Uint32(l.frame) }
func (l *logReader) isCommit() bool { return binary.BigEndian.Uint32(l.frame[4:]) != 0 }

// before returns what size the log has without the first transaction that wrote
// mark and those after it, and false if that must not be cut, because a checkpoint
// has copied some of them.
//
// A checkpoint copies the newest version of each page up to some commit. So if it has
// copied a transaction, the database has all pages of it that no later transaction
// has written again. Example: the log has transactions 1 (pages 3, 7), 2 (page 3 with
// mark, page 8) and 3 (page 9, page 1). If the database's page 8 is that of
// transaction 2, and page 3 too, then 2 was copied, and cutting it off would leave
// the database with pages of a transaction that is gone. If neither is, nobody has
// copied 2, and the log is cut behind 1.
//
// A page proves nothing that the log still has after the cut (a reader will take it
// from there), or that several transactions to be cut have written: a counter may
// have come back to what the database has. One equal page may also be such a
// coincidence; two equal pages and no different one are taken for a copy, and so is
// the page with mark alone, since mark is unique. In doubt the log is not cut: then
// the values are reported as lost.
func (l *logReader) before(db sqliteFile, mark []byte) (size int64, ok bool, err error) {
	t, err := l.tailFrom(mark)
	if err != nil {
		return 0, false, err
	}
	at := t.start
	for _, pages := range t.transactions {
		same, other := 0, 0 // pages that tell
		for _, page := range pages {
			if tells := !t.kept[page] && t.times[page] == 1; tells || page == t.marked {
				in, err := l.isIn(db, page, at)
				switch {
				case err != nil:
					return 0, false, err
				case in && page == t.marked:
					return 0, false, nil
				case in:
					same++
				case tells:
					other++
				}
			}
			at += int64(len(l.frame))
		}
		if same > 1 && other == 0 {
			return 0, false, nil
		}
	}
	return t.start, len(t.transactions) > 0, nil
}

// logTail is the part of a log that a cut takes away.
type logTail struct {
	start        int64           // where it begins
	kept         map[uint32]bool // pages that the log has before it
	transactions [][]uint32      // the pages of each
	times        map[uint32]int  // how many of them have a page
	marked       uint32          // the page with mark, 0 if there is none
}

// tailFrom reads the log and returns its tail from the first transaction that wrote mark.
func (l *logReader) tailFrom(mark []byte) (*logTail, error) {
	t := &logTail{start: vfs.WALHeaderSize, kept: make(map[uint32]bool), times: make(map[uint32]int)}
	var pages []uint32 // of the transaction that is being read
	for {
		more, err := l.next()
		if err != nil || !more {
			return t, err
		}
		if t.marked == 0 && bytes.Contains(l.page(), mark) {
			t.marked = l.number()
		}
		pages = append(pages, l.number())
		if !l.isCommit() {
			continue
		}
		if t.marked == 0 {
			for _, page := range pages {
				t.kept[page] = true
			}
			t.start = l.at
		} else {
			for _, page := range pages {
				t.times[page]++
			}
			t.transactions = append(t.transactions, pages)
		}
		pages = nil
	}
}

// isIn reports whether the database has the page of the frame at an offset.
func (l *logReader) isIn(db sqliteFile, page uint32, at int64) (bool, error) {
	if err := l.f.readAt(l.frame, at); err != nil {
		return false, err
	}
	inDB := make([]byte, len(l.page()))
	err := db.readAt(inDB, int64(page-1)*int64(len(inDB)))
	return bytes.Equal(l.page(), inDB), err
}

// sqliteFile is a file that a connection has open.
type sqliteFile struct {
	c  *Conn
	id uintptr
}

// fileOf returns the database's file, or that of its log.
func (c *Conn) fileOf(which int32) (sqliteFile, error) {
	out := c.scratch + scratchOut
	if rc := lib.Xsqlite3_file_control(c.tls, c.db, c.scratch+scratchMain, which, out); rc != lib.SQLITE_OK {
		return sqliteFile{}, c.fail("file", rc)
	}
	return sqliteFile{c, *cabi.At[uintptr](out)}, nil
}

func (f sqliteFile) isOpen() bool { return f.id != 0 && *cabi.At[uintptr](f.id) != 0 }

func (f sqliteFile) methods() *lib.Tsqlite3_io_methods {
	return cabi.At[lib.Tsqlite3_io_methods](*cabi.At[uintptr](f.id))
}

// readAt reads b. What is beyond the end of the file is zeros.
func (f sqliteFile) readAt(b []byte, off int64) error {
	p := lib.Xsqlite3_malloc64(f.c.tls, lib.Tsqlite3_uint64(len(b)))
	if p == 0 {
		return errNoMemory
	}
	defer lib.Xsqlite3_free(f.c.tls, p)
	rc := cabi.GoFunc[cabi.IOFunc](f.methods().FxRead)(f.c.tls, f.id, p, int32(len(b)), off)
	if rc != lib.SQLITE_OK && rc != lib.SQLITE_IOERR_SHORT_READ {
		return f.c.fail("read", rc)
	}
	copy(b, cabi.Bytes(p, len(b)))
	return nil
}

func (f sqliteFile) size() (int64, error) {
	out := f.c.scratch + scratchOut
	if rc := cabi.GoFunc[cabi.SizeFunc](f.methods().FxFileSize)(f.c.tls, f.id, out); rc != lib.SQLITE_OK {
		return 0, f.c.fail("size", rc)
	}
	return *cabi.At[int64](out), nil
}

func (f sqliteFile) truncate(size int64) error {
	if rc := cabi.GoFunc[cabi.TruncateFunc](f.methods().FxTruncate)(f.c.tls, f.id, size); rc != lib.SQLITE_OK {
		return f.c.fail("truncate", rc)
	}
	return nil
}

func (f sqliteFile) sync() error {
	if rc := cabi.GoFunc[cabi.FlagFunc](f.methods().FxSync)(f.c.tls, f.id, lib.SQLITE_SYNC_FULL); rc != lib.SQLITE_OK {
		return f.c.fail("sync", rc)
	}
	return nil
}
