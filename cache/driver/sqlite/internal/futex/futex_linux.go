package futex

import (
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Page is a page of memory that the processes share which have opened the
// same file. It may be used by many goroutines.
type Page struct {
	mem     []byte
	counter *atomic.Uint32
	wanted  *atomic.Uint32
}

// Open maps the file in path and creates it if it does not exist.
func Open(path string) (*Page, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < pageSize {
		// Written, not just made longer: a hole that cannot be filled on a
		// full disk would be a bus error later.
		if _, err := f.WriteAt(make([]byte, pageSize-info.Size()), info.Size()); err != nil {
			return nil, err
		}
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Page{
		mem:     mem,
		counter: (*atomic.Uint32)(unsafe.Pointer(&mem[counterOffset])),
		wanted:  (*atomic.Uint32)(unsafe.Pointer(&mem[wantedOffset])),
	}, nil
}

// Close unmaps the page. Nobody may use it any more.
func (p *Page) Close() error { return unix.Munmap(p.mem) }

// Signal wakes all waiters of all processes.
func (p *Page) Signal() {
	if p.wanted.Load() != 0 && p.wanted.Swap(0) != 0 {
		p.counter.Add(1)
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p.counter)), futexWake, 1<<30, 0, 0, 0)
	}
}

// Prepare announces a waiter, who then looks whether there is something to
// wait for, and passes the result to Wait.
func (p *Page) Prepare() (ticket uint32) {
	ticket = p.counter.Load()
	p.wanted.Store(1)
	return ticket
}

// Wait sleeps until a Signal that came after Prepare, or for d. It may return
// early.
func (p *Page) Wait(ticket uint32, d time.Duration) {
	ts := unix.NsecToTimespec(d.Nanoseconds())
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p.counter)), futexWait, uintptr(ticket),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// The operations of futex(2), between processes.
const (
	futexWait = 0
	futexWake = 1
)
