// Package deque keeps typed, persistent double-ended queues that many
// goroutines and many processes on one machine share through a directory.
//
//	jobs, err := deque.Open[Job](ctx, dir, nil)
//	if err != nil {
//		return err
//	}
//	defer jobs.Close()
//	err = jobs.PushBack(ctx, Job{URL: "https://example.com/"})
//	job, ok, err := jobs.PopFront(ctx)
//
// A [Deque] evicts nothing and has no size limit but the one given to
// [Deque.SetMaxLen]. What [Open] makes is a directory of DiskCache's Deque,
// which Python may use at the same time.
//
// # Waiting
//
// [Deque.PopFrontWait], [Deque.PopBackWait] and [Deque.ClaimWait] block until
// there is an item, whichever process pushes it. Each item goes to one taker.
// The waiters of one handle are served in the order in which they came.
//
// # Claims
//
// What is popped is gone: if the process dies before it has done the work, the work
// is never done. [Deque.Claim] gives an item for a time instead, which is called a
// lease. [Claim.Ack] then removes the item for good. If the lease ends without it, or
// the process that holds the claim dies, the item comes back to the front, and the
// next claim of it is an attempt more.
//
//	c, err := jobs.ClaimWait(ctx, time.Minute)
//	if err != nil {
//		return err
//	}
//	if err := work(c.Value); err != nil {
//		return c.Nack(ctx, 10*time.Second) // again, but not at once
//	}
//	return c.Ack(ctx)
//
// With [Options].Retry, [Claim.Fail] does that, later after each attempt, and after the
// last one puts the item into a deque of dead items, from which [Deque.Requeue] brings it
// back. What kills its workers goes there too.
//
// # Which queue
//
//	PopFront, PopBack       the item is gone when it is taken: for what may be lost with
//	                        the process, and the fastest
//	Claim, Ack              the item comes back unless the work is done: for jobs
//	cache.Cache.Queue       a queue below a prefix of the keys of a cache, as Python's
//	                        push and pull have it: for a few items beside other entries,
//	                        with tags, and with an expiry
//
// # Ready, claimed and delayed items
//
// An item that is claimed, or that was pushed with [Delay] and is not due, is
// not in the deque: Len does not count it, positions and iteration leave it
// out, MaxLen does not concern it, and Python does not see it. [Deque.Stats] counts
// such items. When an item has become due, or the process that had claimed it is
// gone, the next operation of any process that uses this package puts it back, before
// it does anything else. If the deque is at its maximum length then, the item waits
// until there is room.
//
// Leases and delays go by the clock of the store. If that turns out to have been
// ahead by more than a minute when one began, it begins anew. An expiry is a
// moment; of a claimed or delayed item, one later than the year 2262 becomes that.
//
// # Transactions
//
// All that belongs to a deque is in its store and commits together. [Deque.In]
// and [Claim.In] make an operation a part of a transaction, together with the
// user's own data: see [cache.Store.Update].
//
// # Errors
//
// An empty deque is no error. Errors are of type [*cache.Error] and wrap one
// of this package's or of package cache's. An error has changed nothing, but for
// cache.ErrUncertain, which some kinds of stores have: it is not known then whether a
// commit took place. Claims find that out by themselves, and return it only if the
// store goes on failing so, or if the lease has ended meanwhile. A push returns it,
// and the item may be there; a pop returns it, and the item may be gone.
//
// What an operation has acknowledged survives the death of any process; see
// sqlite.Synchronous for power cuts.
package deque
