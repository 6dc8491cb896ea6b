// Package futex wakes waiters of other processes through a page of shared
// memory, which takes a fifth of the time that a file-system notification
// takes and costs a process that signals a few memory accesses while nobody
// waits. It exists on Linux only; elsewhere Open fails with
// errors.ErrUnsupported.
//
// The package owns the layout of the page. It does not know what topics stand for, has no
// goroutines, and takes no locks: what it does with the page is atomic.
package futex

import "time"

// MaxWait bounds a [Page.Wait].
const MaxWait = time.Second

// Topics is the number of things that can be signalled, each of which is a bit
// of a set. A waiter for some is not woken for others.
const Topics = 32

// The page has a counter, a set of wanted topics, and of each topic a count of
// its signals and the number of maps of the page that it is waited for with
// ([Page.Join]). A waiter
//
//  1. reads the counter,
//  2. adds what it waits for to wanted,
//  3. looks whether a topic's count has changed,
//  4. sleeps as long as the counter has not changed.
//
// A process that signals, after the event, increments the count of the topic. If others wait
// for the topic, it takes it out of wanted; if the topic was there, it increments the counter
// and wakes all waiters for the topic. An event after step 3 finds the topic wanted, or another
// process has taken it out and increments the counter after step 1: either way the sleep does
// not begin, or ends.
//
// To wake up takes a waiter longer than a commit takes a writer.
// So a process that is about to commit alerts a waiter, which then stays awake for a
// while: the event finds it looking at the counter. An alert changes nothing on
// the page, and no waiter may rely on one.
//
// A process that dies while it signals leaves nothing behind but, at worst,
// waiters that sleep on: they need another reason to look from time to time. A process
// that dies while it waits is counted for ever, which costs each signal a system call.
const (
	counterOffset = 0
	wantedOffset  = 64 // another cache line
	countsOffset  = 128
	joinedOffset  = 256
	pageSize      = 4096
)
