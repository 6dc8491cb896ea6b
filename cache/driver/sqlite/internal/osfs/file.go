package osfs

import (
	"io"
	"os"
)

// File is an open regular file. What it does not define itself is the
// [os.File]'s.
type File struct {
	*os.File
	dir  *Dir
	name string // in dir, when it was opened
	end  int64  // where the last Write ended, if there is a hook
}

// hooked has the hook do op, if there is one. Methods that are called often ask before whether
// there is one, since op takes memory.
func (f *File) hooked(op *Op, fn func() error) error {
	op.Name = f.name
	return f.dir.run(op, fn)
}

// Write implements [io.Writer].
func (f *File) Write(b []byte) (n int, err error) {
	if f.dir.hook == nil {
		return f.File.Write(b)
	}
	op := &Op{Kind: OpWrite, Data: b, Offset: f.end}
	err = f.hooked(op, func() (err error) {
		n, err = f.File.Write(op.Data)
		f.end += int64(n)
		return err
	})
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
}

// WriteAt implements [io.WriterAt].
func (f *File) WriteAt(b []byte, offset int64) (n int, err error) {
	if f.dir.hook == nil {
		return f.File.WriteAt(b, offset)
	}
	op := &Op{Kind: OpWrite, Data: b, Offset: offset}
	err = f.hooked(op, func() (err error) {
		n, err = f.File.WriteAt(op.Data, offset)
		return err
	})
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
}

// ReadFrom implements [io.ReaderFrom]. The kernel copies where it can.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	if f.dir.hook != nil {
		return io.Copy(struct{ io.Writer }{f}, r)
	}
	if from, ok := r.(*File); ok && from.dir.hook == nil {
		r = from.File
	}
	return f.File.ReadFrom(r)
}

// Read implements [io.Reader].
func (f *File) Read(b []byte) (n int, err error) {
	if f.dir.hook == nil {
		return f.File.Read(b)
	}
	err = f.hooked(&Op{Kind: OpRead}, func() (err error) {
		n, err = f.File.Read(b)
		return err
	})
	return n, err
}

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(b []byte, offset int64) (n int, err error) {
	if f.dir.hook == nil {
		return f.File.ReadAt(b, offset)
	}
	err = f.hooked(&Op{Kind: OpRead, Offset: offset}, func() (err error) {
		n, err = f.File.ReadAt(b, offset)
		return err
	})
	return n, err
}

// WriteTo implements [io.WriterTo].
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if f.dir.hook == nil {
		return f.File.WriteTo(w)
	}
	return io.Copy(w, struct{ io.Reader }{f})
}

// Truncate changes the file's size.
func (f *File) Truncate(size int64) error {
	return f.hooked(&Op{Kind: OpTruncate, Offset: size}, func() error { return f.File.Truncate(size) })
}

// Sync has what was written survive a power cut.
func (f *File) Sync() error {
	return f.hooked(&Op{Kind: OpSync}, f.File.Sync)
}

// Close closes the file. Its locks go with it.
func (f *File) Close() error {
	if f.dir.hook == nil {
		return f.File.Close()
	}
	return f.hooked(&Op{Kind: OpClose}, f.File.Close)
}

// Info returns what is known of the file.
func (f *File) Info() (info Info, err error) {
	if f.dir.hook == nil {
		return infoOf(f.File)
	}
	err = f.hooked(&Op{Kind: OpStat}, func() (err error) {
		info, err = infoOf(f.File)
		return err
	})
	return info, err
}

// The locks belong to the open file, so that they work between two stores in
// one process as well, and are not lost when some other descriptor of the file
// is closed.

// TryLock takes the file's lock, exclusively, if no other open file has it. A lock that this
// File has shared becomes exclusive.
func (f *File) TryLock() (bool, error) { return f.tryLock(true) }

// TryLockShared takes the file's lock together with other open files that do so, if none
// has it exclusively.
func (f *File) TryLockShared() (bool, error) { return f.tryLock(false) }

func (f *File) tryLock(exclusive bool) (ok bool, err error) {
	if f.dir.hook == nil {
		return tryLock(f.File, exclusive)
	}
	err = f.hooked(&Op{Kind: OpLock}, func() (err error) {
		ok, err = tryLock(f.File, exclusive)
		return err
	})
	return ok, err
}

// Lock takes the file's lock, exclusively, and waits for it. A wait cannot be
// ended.
func (f *File) Lock() error { return f.lock(true) }

// LockShared takes the file's lock together with others, and waits for it.
func (f *File) LockShared() error { return f.lock(false) }

func (f *File) lock(exclusive bool) error {
	if f.dir.hook == nil {
		return lock(f.File, exclusive)
	}
	return f.hooked(&Op{Kind: OpLock}, func() error { return lock(f.File, exclusive) })
}

// Unlock gives the lock back. If that fails there was none.
func (f *File) Unlock() { unlock(f.File) }

// Bytes have locks too, exclusive ones, also behind the end of the file. They
// belong to the open file as well, and have nothing to do with the file's lock,
// nor with those of SQLite on other bytes. Where the system has none of the kind,
// all fail with [errors.ErrUnsupported].

// TryLockByte takes the lock of a byte if nobody has it. The file must be open for
// writing.
func (f *File) TryLockByte(at int64) (ok bool, err error) {
	err = f.locking(func() (err error) {
		ok, err = tryLockByte(f.File, at)
		return err
	})
	return ok, err
}

// UnlockByte gives the lock of a byte back.
func (f *File) UnlockByte(at int64) error {
	return f.locking(func() error { return unlockByte(f.File, at) })
}

// ByteLocked reports whether another open file has the lock of a byte. A process that asks is
// not taken for one that has the lock.
func (f *File) ByteLocked(at int64) (locked bool, err error) {
	err = f.locking(func() (err error) {
		locked, err = byteLocked(f.File, at)
		return err
	})
	return locked, err
}

func (f *File) locking(fn func() error) error {
	if f.dir.hook == nil {
		return fn()
	}
	return f.hooked(&Op{Kind: OpLock}, fn)
}
