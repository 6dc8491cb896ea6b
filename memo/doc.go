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
// The callers of one process share a computation. The function is given a context
// with the values of the first caller's. That context is cancelled when the last of
// these callers has left, since its own context has ended. A later caller does not
// wait for a computation that was cancelled, or whose result was forgotten: it starts
// another one. So a function that goes on after its context was cancelled may run
// beside the next call of it. Its result is not stored.
//
// A function may call memos. If it needs the result that it is computing, that is
// [ErrRecursive]. If two computations of different callers need each other's results,
// both wait until their contexts end.
//
// [Memo.CallMany] asks for several results at once: one request, [Options].Batch, gets
// those that are neither remembered nor being computed.
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
// A function has one argument. For several, make them the fields of a struct. Two
// arguments share a result if they have the same key: by default, if Options.Keys
// encodes them alike; with Options.Key, if it returns the same string for both. What
// the key leaves out, such as a token for asking, does not tell two arguments apart.
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
//
// A Memo finds out by itself what became of a commit that ended with
// cache.ErrUncertain, and returns that only if the store goes on failing so. Only Evict
// and Clear return it at once while they remove results: some may be removed that they
// do not count. To call them again is harmless.
package memo
