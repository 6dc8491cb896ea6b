// Package sync has locks, semaphores, averagers, throttles and barriers that
// goroutines and processes share through a [cache.Store]. It is imported under
// the name dsync, so that the standard library's sync keeps its own.
//
//	lock, err := dsync.NewLock(ctx, st, "report", nil)
//	if err != nil {
//		return err
//	}
//	return lock.Do(ctx, func(ctx context.Context) error {
//		return writeReport(ctx)
//	})
//
// # Crashes
//
// What a process holds belongs to the session of its store ([cache.Store.Session]),
// which the kernel ends when the process is dead, however it died. Then its
// locks and permits are free; whoever waits for them notices within 50 ms. A
// process that is stopped or slow keeps what it holds, unless a maximum was
// asked for. Averagers and throttles are ordinary data and survive.
//
// Where no session can be begun, as in a read-only store, nothing can be held, and
// that is an error. If the session is lost while the store is open, because its
// directory was replaced, so is all that is held, within a second.
//
// # Waiting
//
// Waiting does not poll the database. Whoever releases something decides, in
// the same transaction, who is next and wakes it, in its own process or in
// another one. Processes that wait take turns; within a process it is first
// come, first served.
//
// # Errors
//
// All errors are of type [*cache.Error], with a name such as "sync/lock/nightly".
// With an error, what was to be taken is not held.
// What was to be released still is, as far as is known, and is released as soon as
// the store can be written to: see [Guard.Unlock].
//
// Locks and permits find out by themselves whether a commit took place that ended with
// cache.ErrUncertain, and return it only if the store goes on failing so. Averagers and
// throttles return it: the number, or the event, may be counted or not, and to repeat
// the call may count it twice.
package sync
