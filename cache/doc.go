// Package cache keeps typed, persistent collections that many goroutines and
// many processes on one machine share through a directory. There is no
// server. The default collection of a directory is one of Python's DiskCache,
// which may use it at the same time.
//
//	pages, err := cache.Open[string, Page](ctx, dir, nil)
//	if err != nil {
//		return err
//	}
//	defer pages.Close()
//	err = pages.Set(ctx, url, page, cache.TTL(time.Hour))
//	page, ok, err := pages.Get(ctx, url)
//
// # Collections and stores
//
// [Open] opens the default collection of a directory. A [Store] has any
// number of named ones: [OpenStore] opens it and [New] a collection in it.
// [Store.Update] changes several in one transaction.
//
// # Eviction and expiry
//
// A collection has a size limit, of 1 GiB unless [Options] say otherwise,
// above which writes evict a few entries each; [Options].Persistent makes one
// that loses nothing by itself. An entry that has expired is missing at once,
// and removed later.
//
// # Large values
//
// Values of 32 KiB and more are kept in files beside the database.
// [Cache.SetFrom] and [Cache.OpenValue] write and read them without holding
// them in memory.
//
// # Errors
//
// A miss is no error. Errors are of type *[Error] and wrap one of this
// package's, such as [ErrTimeout], that of the context, or that of a codec.
// They contain no keys and no values.
//
// # Durability
//
// What an operation has acknowledged is seen by every process and survives
// the death of any of them. A power cut may undo the last moments but never
// corrupts, and with [SyncFull] it undoes nothing.
package cache
