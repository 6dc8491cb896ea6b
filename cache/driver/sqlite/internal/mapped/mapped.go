// Package mapped turns the loss of a memory map into a state that its user can
// ask for. When another program cuts a mapped file short, the kernel sends
// SIGBUS to each process that touches the lost pages, which ends a Go program.
//
// The package owns the state of a map, lost or not, and maps nothing itself. It takes no locks.
package mapped

import (
	"runtime/debug"
	"sync/atomic"
)

// Guard is about one map. Each function that touches the map begins with
//
//	defer guard.Catch(mapped.Enter())
//
// and returns early, with zero results, when the map turns out to be lost. The
// zero Guard is ready for use, by any number of goroutines.
type Guard struct {
	lost atomic.Bool
	tell func()
}

// OnLoss sets what is called, once, when the map is found lost. It is set before
// the guard is used.
func (g *Guard) OnLoss(f func()) { g.tell = f }

// Lost reports whether the map was lost. It stays so.
func (g *Guard) Lost() bool { return g.lost.Load() }

// Enter has a fault of this goroutine panic until Catch, and returns what Catch
// restores.
func Enter() (before bool) { return debug.SetPanicOnFault(true) }

// Catch ends what Enter began. It recovers from a fault, and from nothing else.
func (g *Guard) Catch(before bool) {
	debug.SetPanicOnFault(before)
	p := recover()
	if p == nil {
		return
	}
	// The runtime gives the errors of faults an address, and no others: that of
	// a nil pointer has none.
	if _, ok := p.(interface{ Addr() uintptr }); !ok {
		panic(p)
	}
	if g.lost.CompareAndSwap(false, true) && g.tell != nil {
		g.tell()
	}
}
