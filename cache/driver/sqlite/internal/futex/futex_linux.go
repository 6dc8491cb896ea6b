package futex

import (
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Page is a page of memory that the processes share which have opened the
// same file. It may be used by many goroutines.
type Page struct {
	mem     []byte
	counter *atomic.Uint32
	wanted  *atomic.Uint32
	counts  *[Topics]atomic.Uint32
	joined  *[Topics]atomic.Int32
}

// Supported says whether there are pages on this system.
const Supported = true

// Open maps a file, which it makes longer if it is too short. It may be closed
// afterwards.
func Open(f *osfs.File) (*Page, error) {
	info, err := f.Info()
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
		joined:  (*[Topics]atomic.Int32)(unsafe.Pointer(&mem[joinedOffset])),
	}, nil
}

// Close unmaps the page. The page is not used any more.
func (p *Page) Close() error { return unix.Munmap(p.mem) }

// Join counts this map of the page among those whose process waits for a topic.
func (p *Page) Join(topic int) { p.joined[topic].Add(1) }

// Leave ends a Join.
func (p *Page) Leave(topic int) { p.joined[topic].Add(-1) }

// others returns those of the topics which another map has joined. own are the topics that
// this map has joined: its own join does not count.
func (p *Page) others(topics, own uint32) (out uint32) {
	for t := topics & p.wanted.Load(); t != 0; t &= t - 1 {
		i := bits.TrailingZeros32(t)
		if p.joined[i].Load() > int32(own>>i&1) {
			out |= 1 << i
		}
	}
	return out
}

// Signal wakes the waiters of other processes for one of the topics. own are the topics
// that this map has joined.
func (p *Page) Signal(topics, own uint32) {
	for t := topics; t != 0; t &= t - 1 {
		p.counts[bits.TrailingZeros32(t)].Add(1)
	}
	if t := p.others(topics, own); t != 0 && p.wanted.And(^t)&t != 0 {
		p.Wake(t)
	}
}

// Wake wakes the waiters for the topics without a signal.
func (p *Page) Wake(topics uint32) {
	p.counter.Add(1)
	p.wake(1<<30, topics)
}

func (p *Page) wake(n uintptr, topics uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p.counter)), futexWakeBitset, n, 0, 0, uintptr(topics))
}

// Alert ends the sleep of one waiter for one of the topics in another process, before the
// event that it waits for. This map has joined own.
func (p *Page) Alert(topics, own uint32) {
	if t := p.others(topics, own); t != 0 {
		p.wake(1, t)
	}
}

// Count returns how often a topic was signalled, which wraps around.
func (p *Page) Count(topic int) uint32 { return p.counts[topic].Load() }

// Ticket begins a wait; its result is for Wait.
func (p *Page) Ticket() uint32 { return p.counter.Load() }

// Want announces a waiter, which then looks at the counts of the topics.
func (p *Page) Want(topics uint32) { p.wanted.Or(topics) }

// Wait sleeps until one of the topics is signalled that Want has announced, or Wake is
// called. It returns at once if that has happened since Ticket, and may return early. It
// reports whether an Alert has ended the sleep.
//
// It returns after [MaxWait] in any case: the kernel cannot wake a waiter whose
// page was cut off the file.
func (p *Page) Wait(ticket, topics uint32) (alerted bool) {
	var end unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &end) != nil {
		return false
	}
	end = unix.NsecToTimespec(end.Nano() + int64(MaxWait))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p.counter)), futexWaitBitset, uintptr(ticket),
		uintptr(unsafe.Pointer(&end)), 0, uintptr(topics))
	return errno == 0 && p.Ticket() == ticket
}

// The operations of futex(2), between processes.
const (
	futexWaitBitset = 9
	futexWakeBitset = 10
)
