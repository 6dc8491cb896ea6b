// Package memo remembers the results of functions in a [cache.Store], for all
// goroutines and processes that use it.
//
//	pages, err := memo.New(ctx, st, "pages", fetch, &memo.Options[string, Page]{TTL: time.Hour})
//	if err != nil {
//		return err
//	}
//	page, err := pages.Call(ctx, url)
//
// # One computation
//
// Of all calls with one argument, in all processes, one computes at a time and
// the others wait for its result, also when nothing is stored yet. If the
// process that computes dies, another one takes over within 50 ms.
//
// A computation does not belong to the caller who started it: its context has
// that caller's values, and ends when the last caller of its process who waits
// for it has left. Nobody joins a computation that was cancelled or forgotten,
// or waits for it: a function that does not end with its context may run beside
// the next one, and what it returns is not stored.
//
// A function may call memos. One that needs its own result is [ErrRecursive];
// but two of different callers, each of which needs the other's, wait until
// their contexts end.
//
// # Stampedes
//
// When a popular result expires, everybody waits for the next one.
// [Options].Beta and [Options].RefreshAfter avoid that: one caller, of all
// processes, computes the next result in the background while the old one is
// still valid.
//
// # Arguments
//
// A function has one argument; several are the fields of a struct. What
// Options.Key leaves out of the key does not make a difference.
//
// # Removal
//
// [Memo.Forget] removes one result, [Memo.Evict] those with a tag that
// [Options].Tag gave them, and [Memo.Clear] all; [Memo.In] does so in a transaction.
// Nothing that was computed from what was known before is stored after them.
//
// # Errors
//
// Errors of the function are returned as they are, and to everybody who waits;
// a panic is a [*PanicError]. All others are of type [*cache.Error], with a name
// such as "memo/pages", and wrap one of package cache's, such as cache.ErrClosed,
// that of the context, or [ErrRecursive].
package memo
