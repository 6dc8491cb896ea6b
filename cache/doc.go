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
// An expiry is a moment, by [StoreOptions].Now: where the clock is set back it
// comes later. But an entry that was stored more than a minute after what the
// clock says now, since it was ahead then, counts as expired if it has an expiry
// and its collection evicts. In one that evicts nothing it stays until its expiry.
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
// # Building on it
//
// Packages deque, index, sync and memo use nothing that is not exported here, and
// packages of others can be built in the same way. What only these need is in one
// file, builders.go: [WrapError], so that errors name the operation of the package
// that was called; [Cache.Step] and [Collection] for its short transactions;
// [Store.TxOf], [Store.Now] and [Store.Logger]; [Store.AtClose]; sessions, which say
// whether a process lives that holds something ([Store.Session], [Store.Alive],
// [Store.WatchSession]); messages between processes ([Store.Listen],
// [Store.Signal]); and [Tx.Fence]. Options.Family keeps the collections of a package
// apart from those of others. [NewRaw] opens the collections of any package.
//
// # Trust
//
// A user that may write to the directory can change what is in the store, and no
// more: whatever is put there, nothing outside of the directory is read,
// changed or removed. A directory is made for the current user only. One that
// others can write to is used all the same, and StoreOptions.Logger is told.
// Files that processes share and that a third user has made are
// [ErrPermission].
//
// Everything in the store has the owner and the rights of the file cache.db, which
// belongs to the user that has made the store, and which no other user may open.
// So a volume of a container is made by the user that is to use it, even if its mode
// is 0777; root may open the store later, and what root makes belongs to that
// user. To share a store with a group, make the directory with mode 2770 (chmod
// g+s, or chown and chgrp it) before it is first opened: what is made there is the
// group's.
//
// Nothing that another program has put into the database runs: a store with triggers,
// views, virtual tables, constraints or expressions in indexes that are not its
// own is [ErrCorrupt], when it is opened or with the next write, and the error
// names them. Plain tables of other programs, those of ANALYZE, and indexes on
// columns that another program has added are left alone.
//
// # Durability
//
// What an operation has acknowledged is seen by every process and survives
// the death of any of them. A power cut may undo the last commits of each store:
// it is then as it was after some commit, with all value files, and that it
// happened is told to the Logger when the store is opened. What was there when
// the last process closed the store is not undone, and with [sqlite.SyncFull] nothing is.
// With Shards each shard has commits of its own. While another program has the
// database open after a power cut, or if it has opened it first and copied the log
// into it, a value of the last moments can be lost: reading it is [ErrCorrupt]. So
// can one that a process writes at the moment in which another one empties the log.
package cache
