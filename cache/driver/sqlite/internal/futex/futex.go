// Package futex wakes waiters of other processes through a page of shared
// memory, which takes a fifth of the time that a file-system notification
// takes and costs the one who signals a single memory access while nobody
// waits. It exists on Linux only; elsewhere Open fails with
// errors.ErrUnsupported.
package futex

// The page has two words. A waiter
//
//  1. reads the counter,
//  2. sets wanted,
//  3. looks whether what it waits for has happened,
//  4. sleeps as long as the counter has not changed.
//
// Whoever signals, after the event, swaps wanted for 0 and, if it was set,
// increments the counter and wakes everybody. An event after step 3 finds
// wanted set, or it was swapped by another one that has incremented the
// counter since step 1: either way the sleep does not begin or ends. A
// process that dies at any point leaves nothing behind but perhaps a wanted
// that costs somebody one needless wake-up.
const (
	counterOffset = 0
	wantedOffset  = 64 // another cache line
	pageSize      = 4096
)
