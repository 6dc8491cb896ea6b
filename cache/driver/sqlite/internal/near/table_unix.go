//go:build unix

package near

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedFile is a table file, mapped.
type sharedFile struct{ mem []byte }

// Open maps the file in path, and makes it if it does not exist. A table that
// nobody has used for long is as good as a new one: only the copies in running
// processes are about it.
func Open(path string) (*Table, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := fill(f); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, tableSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	at := func(offset int) unsafe.Pointer { return unsafe.Pointer(&mem[offset]) }
	return &Table{
		epoch:   (*atomic.Uint64)(at(epochOffset)),
		noted:   (*atomic.Uint64)(at(printOffset)),
		writing: (*atomic.Uint32)(at(writingOffset)),
		slots:   (*[slots]atomic.Uint32)(at(slotsOffset)),
		file:    sharedFile{mem},
	}, nil
}

// fill makes the file complete. Of several processes one does, and nobody maps
// a file before it is: later it may not be written to but through a map.
func fill(f *os.File) error {
	if err := flock(f, unix.LOCK_EX); err != nil {
		return err
	}
	// To close f would not do it, since a map keeps the lock as well.
	defer flock(f, unix.LOCK_UN)
	info, err := f.Stat()
	if err != nil || info.Size() >= tableSize {
		return err
	}
	// Written, not just made longer: a hole that cannot be filled on a full
	// disk would be a bus error later.
	if _, err = f.WriteAt(make([]byte, tableSize), 0); err != nil {
		// The last room on the disk is for others.
		return errors.Join(err, f.Truncate(0))
	}
	return nil
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}

// Close unmaps the table. Nobody may use it any more.
func (t *Table) Close() error { return unix.Munmap(t.file.mem) }

// reserve returns n bytes of memory that are not the garbage collector's, and
// take no room before they are used.
func reserve(n int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return mem, nil
}

func release(mem []byte) error { return unix.Munmap(mem) }
