package futex

import (
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Page is a page of memory that the processes share which have opened the
// same file. It may be used by many goroutines.
type Page struct {
	mem     []byte
	counter *atomic.Uint32
	wanted  *atomic.Uint32
	counts  *[Topics]atomic.Uint32
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
		counts:  (*[Topics]atomic.Uint32)(unsafe.Pointer(&mem[countsOffset])),
	}, nil
}

// Close unmaps the page. Nobody may use it any more.
func (p *Page) Close() error { return unix.Munmap(p.mem) }

// Signal wakes those waiters of all processes that wait for one of the topics.
func (p *Page) Signal(topics uint32) {
	for t := topics; t != 0; t &= t - 1 {
		p.counts[bits.TrailingZeros32(t)].Add(1)
	}
	if p.wanted.Load()&topics != 0 && p.wanted.And(^topics)&topics != 0 {
		p.Wake(topics)
	}
}

// Wake wakes who waits for one of the topics without a signal.
func (p *Page) Wake(topics uint32) {
	p.counter.Add(1)
	p.wake(1<<30, topics)
}

func (p *Page) wake(n uintptr, topics uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p.counter)), futexWakeBitset, n, 0, 0, uintptr(topics))
}

// Alert ends the sleep of one of those who wait for one of the topics, before
// what it waits for has happened.
func (p *Page) Alert(topics uint32) {
	if p.wanted.Load()&topics != 0 {
		p.wake(1, topics)
	}
}

// Count returns how often a topic was signalled, which wraps around.
func (p *Page) Count(topic int) uint32 { return p.counts[topic].Load() }

// Ticket begins a wait; its result is for Wait.
func (p *Page) Ticket() uint32 { return p.counter.Load() }

// Want announces a waiter, who then looks at the counts of the topics.
func (p *Page) Want(topics uint32) { p.wanted.Or(topics) }

// Wait sleeps until one of the topics is signalled, if it was wanted, or Wake
// is called. It does not sleep if any was since Ticket, and may return early.
// It reports whether it was alerted.
func (p *Page) Wait(ticket, topics uint32) (alerted bool) {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p.counter)), futexWaitBitset, uintptr(ticket),
		0, 0, uintptr(topics))
	return errno == 0 && p.Ticket() == ticket
}

// The operations of futex(2), between processes.
const (
	futexWaitBitset = 9
	futexWakeBitset = 10
)
