// Package index keeps typed, persistent, ordered mappings that many goroutines
// and many processes on one machine share through a directory.
//
//	users, err := index.Open[string, User](ctx, dir, nil)
//	if err != nil {
//		return err
//	}
//	defer users.Close()
//	err = users.Set(ctx, "ann", User{Name: "Ann"})
//	u, ok, err := users.Get(ctx, "ann")
//
// An [Index] has two orders: that of insertion, in which [Index.All],
// [Index.First] and [Index.PopFirst] go, and that of the keys, in which
// [Index.Sorted], [Index.Floor] and [Index.Ceiling] go. The latter is the
// database's: numbers, then text, then bytes; the native codecs keep the order
// of Go's values, but for strings that are not valid UTF-8, which are bytes.
// Struct keys, which are JSON, have the order of their text, in which 10 comes
// before 9.
//
// An Index evicts nothing, expires nothing and has no size limit; see package
// cache for collections that do. What [Open] makes is a directory of
// DiskCache's Index, which Python may use at the same time.
//
// # Transactions
//
// Every method is atomic. [Index.Update] makes several of them one transaction,
// for an index that is bound to it with [Index.In], and together with other
// collections of the store: see [cache.Store.Update].
//
// # Errors
//
// A miss is no error. Errors are of type [*cache.Error] and wrap one of package
// cache's, that of the context, or that of a codec. An error has changed
// nothing.
//
// What an operation has acknowledged survives the death of any process; see
// sqlite.Synchronous for power cuts.
package index
