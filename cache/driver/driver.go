// Package driver is the contract between typed collections and the engine
// that keeps them. It knows no SQL and no type parameters: keys, values and
// tags are encoded [codec.Value]s.
//
// Programs use package cache. This package is for those who write an engine;
// package drivertest tests every sentence of the contract, and package
// memory is its shortest complete implementation.
package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-diskcache/diskcache/codec"
)

// Store is an opened store: a set of named collections that commit together.
// All methods may be called from many goroutines at once.
//
// Every method that takes a context returns promptly when it ends, with its
// cause, and has then changed nothing; a call that is already committing
// finishes and reports what happened. Waiting for other writers is bounded by
// the store's timeout as well and then ends in [ErrTimeout]. After Close,
// methods return [ErrClosed].
type Store interface {
	// Open returns the collection called name and creates it if it does not
	// exist, with s.Settings. "" is the default collection. For an existing
	// collection, codec names that differ from the stored ones are
	// [ErrCodecMismatch]; where none are stored they are accepted and kept.
	// s.Configure, if not nil, is applied to the stored settings. Open writes
	// only what differs, and nothing at all to a read-only store, where a
	// missing collection is [ErrReadOnly]. With s.Existing a missing one is
	// [ErrNotFound], in any store.
	Open(ctx context.Context, name string, s Spec) (Collection, error)

	// Drop removes a collection, its rows and its value files. Using the
	// collection afterwards fails with [ErrClosed]. Dropping what does not
	// exist does nothing; the default collection is only emptied.
	Drop(ctx context.Context, name string) error

	// Names returns the names of all collections, sorted. Whether the default
	// collection is listed before it was first opened is up to the engine.
	Names(ctx context.Context) ([]string, error)

	// View runs fn in a snapshot: fn sees every transaction that was
	// committed before View was called, none that commits later, and cannot
	// write ([ErrReadOnly]). tx is not to be used after fn returns, nor from
	// several goroutines at once.
	View(ctx context.Context, fn func(tx Tx) error) error

	// Update runs fn in a transaction. When fn returns nil everything that it
	// did becomes visible at once, to every process, and survives the death
	// of this one; when it returns an error or panics, nothing of it does,
	// and the error or panic is passed on.
	//
	// With Shared, several concurrent calls may be committed together, fn may
	// run on another goroutine, and it may run again after a rollback: it
	// must be quick, must not panic, must not wait for anything, and must
	// have no effects of its own but on variables that it sets anew each
	// time. A File may be put again by such a run. In any case fn is not
	// running any more when Update returns. With Own the same holds, but that
	// fn runs on the caller's goroutine, and may panic or end it. With Alone fn
	// runs exactly once, on the caller's goroutine.
	//
	// Transactions are serializable: all that commit read and write as if they ran one
	// after another, and one that begins after another was committed as if it ran
	// after it. An engine may have Shared and Own transactions run at the same time as
	// others that touch other collections or other rows, and run one again that got
	// into the way of another. An Alone transaction keeps all other writers of the
	// store waiting, from its start to its end; a View keeps nobody waiting.
	//
	// Where the engine cannot find out whether a transaction was committed, since the
	// connection to a server broke meanwhile, Update fails with [ErrUncertain].
	//
	// touches are the collections that fn is going to use, as far as the caller
	// knows. That is a hint, which Update does not keep: an engine that locks
	// collections takes those first, and in an order of its own. fn may use others.
	Update(ctx context.Context, mode Mode, fn func(tx Tx) error, touches ...Collection) error

	// Get is View with a single tx.Get, for engines that can do it faster.
	Get(ctx context.Context, c Collection, key codec.Value, l Lookup) (Row, bool, error)

	// Stats returns how many Gets found something and how many did not since
	// the counters were last reset, exactly, by all processes, for the time
	// that Settings.Statistics was on. With reset they start again from 0,
	// and no count in between is lost.
	Stats(ctx context.Context, c Collection, reset bool) (Stats, error)

	// Configure changes c's settings, for all processes, by fn, which is
	// given the stored ones, and returns the new. Other processes take notice
	// with their next write, at the latest after a second or so.
	Configure(ctx context.Context, c Collection, fn func(*Settings)) (Settings, error)

	// Watch returns a channel that receives (at least) once after any commit,
	// by any process, that may have changed c, and a function that ends the
	// watch. Signals coalesce: the channel holds one. To miss nothing, watch,
	// then look, then wait. A signal may come without a change. Close signals
	// all watches, so that whoever waits finds out.
	// The channel is closed when the store is.
	Watch(c Collection) (changed <-chan struct{}, stop func(), err error)

	// Session returns the name of this store's session, and begins one if there
	// is none. A session is one opened store in one process. It ends with Close
	// or with its process, however that dies. What must not outlive its holder is
	// stored with the name of the holder's session. Names are not used again.
	//
	// Once Session has returned a name, other stores see that session alive. An
	// engine that cannot bring this about fails, and a read-only store fails with
	// [ErrReadOnly].
	//
	// The session is lost if it ends while the store is open, for instance
	// because the connection to a server broke. Then lost is closed, what was
	// held in the session is held no longer, and the next call begins another
	// session. An engine closes lost before others see the session ended, where
	// it can. Close does not close lost. lost is nil if no session is ever lost.
	Session(ctx context.Context) (name string, lost <-chan struct{}, err error)

	// Alive reports whether a session has not ended yet, at once and without
	// a clock: a process that is stopped or slow is alive. The answer does not
	// depend on who else asks, or clears away what ended sessions left behind.
	Alive(ctx context.Context, session string) (bool, error)

	// WatchSession returns a channel that is closed when one of the sessions has
	// ended, at once if one has ended already, and a function that ends the
	// watch. Close closes the channel too: whoever waits looks then, with Alive.
	// The engine does not poll where it can avoid it, and needs no goroutine for
	// each watch or session.
	WatchSession(sessions ...string) (ended <-chan struct{}, stop func(), err error)

	// ReadOnly reports whether the store was opened for reading only.
	ReadOnly() bool

	// Close writes what is still to be written and releases everything. It
	// waits for running transactions. Close after Close does nothing.
	Close() error
}

// Mode says how Update treats a transaction.
type Mode int

const (
	Alone  Mode = iota // once, on this goroutine, in a transaction of its own
	Shared             // together with others, wherever, perhaps again
	Own                // on this goroutine, perhaps again: short, but with code of the user's
)

// Collection is an opened collection of a Store: a handle that the engine
// made and recognizes. It is released with its store.
type Collection interface {
	// Name returns the name given to Open.
	Name() string
	// Settings returns the settings last seen. It costs nothing.
	Settings() Settings
}

// The interfaces below are optional: a Store implements those that are of use for
// it. Where it is made of other stores that may lack one, its methods fail with
// [errors.ErrUnsupported].

// As returns s as a Store with an optional interface, and fails with
// [errors.ErrUnsupported] if it has not got it.
func As[T Store](s Store) (T, error) {
	out, ok := s.(T)
	if !ok {
		return out, fmt.Errorf("%w by this kind of store", errors.ErrUnsupported)
	}
	return out, nil
}

// Filer is a Store that can keep a value outside of its row, in a file. Where a
// Store is none, all values are in their rows.
type Filer interface {
	Store

	// Create starts a value that is kept outside the rows. The file belongs to the
	// caller until a Put takes it. Create and OpenFile may be called while a
	// transaction of the same goroutine is running, OpenFile also for a file that
	// this transaction has put.
	Create(ctx context.Context, kind codec.Kind) (File, error)

	// OpenFile opens the value of a row that has one outside (Row.File is not
	// empty). What it returns stays readable after the row is overwritten or
	// deleted. If the row was changed since it was read, the file may be there for a
	// while; when it is gone the error is [fs.ErrNotExist]: read the row again. A
	// file whose row another process has changed may be missing for a View that
	// still sees the row; files that this process removes stay for its running
	// Views. Where the engine has a descriptor, the Content implements
	// [syscall.Conn].
	OpenFile(ctx context.Context, c Collection, r Row) (Content, error)
}

// KeyedFiler is a Filer in which the key decides where a value is kept. A File of
// Create can be put as well, but may have to be copied then.
type KeyedFiler interface {
	Filer

	// CreateFor is Create for a value that will be put under a key of c, or,
	// if key is Null, under one that is not known yet.
	CreateFor(ctx context.Context, c Collection, key codec.Value, kind codec.Kind) (File, error)
}

// Directory is a Store that is kept in a directory.
type Directory interface {
	Store

	// Dir returns its path.
	Dir() string

	// Backup writes a consistent copy of the store, as of some moment during the
	// call, into dir, which must be empty or not exist. Others may write meanwhile.
	Backup(ctx context.Context, dir string) error
}

// Checker is a Store that can be damaged by others, such as the disk.
type Checker interface {
	Store

	// Check looks for damage, calls report for each problem found and, with mend,
	// repairs it. Others may read and write meanwhile, though they may have to wait.
	Check(ctx context.Context, mend bool, report func(Problem)) error
}

// Measurer is a Store that knows how much it keeps.
type Measurer interface {
	Store

	// Volume returns what the store takes, on disk or wherever it is.
	Volume(ctx context.Context) (Volume, error)
}

// Compacter is a Store that does not give room back by itself.
type Compacter interface {
	Store

	// Compact gives unused space back to the file system.
	Compact(ctx context.Context) error
}

// Signaler is a Store through which processes send each other messages, which are
// heard sooner than Watch tells of a commit. They can be lost, and anybody on the
// machine may send one.
type Signaler interface {
	Store

	// Listen calls fn, on a goroutine of its own and for one at a time, with each
	// message that is sent to name, until stop is called, which waits for fn and has to
	// come before Close. Nobody else may listen to the name: it is one made of a
	// session's, for instance. own says that a process has sent the message that may
	// do what this one may. fn must not wait, nor keep the message.
	Listen(name string, fn func(message []byte, own bool)) (stop func(), err error)

	// Signal sends a message of up to 1024 bytes, and fails if it will not be heard.
	// It does not wait.
	Signal(name string, message []byte) error
}

// Clocked is a Store with a clock of its own, by which entries expire where several
// machines share it.
type Clocked interface {
	Store

	// Now returns the time. It does not wait.
	Now() time.Time
}

// Coded is an optional interface of a Collection that can tell the names of its
// codecs.
type Coded interface {
	Collection
	// Codecs returns the names that are stored with the collection, as Open has read
	// or written them last; "" where none is. It costs nothing.
	Codecs() (keys, values string)
}

// Divided is an optional interface of a Collection whose size limit is
// divided among parts, such as shards.
type Divided interface {
	Collection
	// ValueLimit returns the size limit of the smallest part. It costs
	// nothing.
	ValueLimit() int64
}

// Spec says what a collection is to be when it is opened.
type Spec struct {
	KeyCodec, ValueCodec string // as stored with the collection; "" accepts any
	Settings             Settings
	Configure            func(*Settings)
	Existing             bool // open, but do not create

	// Durable says that what a transaction changes in the collection must survive
	// more than the death of this process, namely whatever this kind of store
	// survives at all: a power cut, or the end of a server. Without it, as for a
	// cache, the engine may acknowledge before. A [Tx.Fence] makes a transaction
	// durable too. An engine in which all transactions are alike takes no notice.
	Durable bool
}

// Tx is a running transaction. Its methods fail only when the store does
// (disk, corruption), when their context ends, or when the arguments break the
// contract; after such an error the transaction is to be given up.
//
// The context of a method is that of View or Update, or one made from it. Once it
// has ended, methods fail with its cause.
type Tx interface {
	// Get returns the row of key. A row whose time is over ([Settings.Over]) is
	// not found. The row's Key is the one asked for. Unless it is quiet it counts: in Stats,
	// if the settings say so, and, under a policy that goes by accesses
	// (Policy.CountsAccesses), as an access of the row, which sets its access
	// time and adds to its access count. Both may be written later, but are
	// never missing from what this Store returns.
	Get(ctx context.Context, c Collection, key codec.Value, l Lookup) (Row, bool, error)

	// GetMany is Get of each of keys. It returns the rows of those that have one,
	// in the order of keys.
	GetMany(ctx context.Context, c Collection, keys []codec.Value, l Lookup) ([]Row, error)

	// Put stores a row. An existing row of an equal key is replaced and keeps
	// its ID, and so its place in insertion order, and its Key as first
	// written; its access count starts again at 0 and both its times become
	// p.Now; its old value file is removed after the commit. With p.Keep an
	// existing row whose time is not over at p.Now keeps expiry, tag, access
	// count and access time, and only value and store time change.
	//
	// Put then makes room, as Cull(ctx, c, p.Now, p.Cull, p.Key) does. It returns,
	// without values, with p.Expired the row that it replaced, if the time of that
	// was over at p.Now, under p.Key, and then those that were removed to make room.
	Put(ctx context.Context, c Collection, p Put) ([]Row, error)

	// PutMany is Put of each of ps, one after the other.
	PutMany(ctx context.Context, c Collection, ps []Put) ([]Row, error)

	// Touch sets the expiry (0: never) of a row whose time is not over at now,
	// and nothing else.
	Touch(ctx context.Context, c Collection, key codec.Value, expire, now Instant) (bool, error)

	// Delete removes the row of key and reports whether there was one whose
	// time was not over at now.
	Delete(ctx context.Context, c Collection, key codec.Value, now Instant) (bool, error)

	// Scan returns one page of rows: those that s selects, in s's order, at
	// most s.Limit. It counts nothing.
	Scan(ctx context.Context, c Collection, s Scan) ([]Row, error)

	// Remove deletes up to limit rows that f selects and returns them,
	// without their values, in no particular order.
	Remove(ctx context.Context, c Collection, f Filter, limit int) ([]Row, error)

	// Cull makes room. It removes up to limit rows and returns them without
	// their values: first those that have expired at now, longest ago first;
	// then, as long as the collection's volume is over its size limit, by
	// its eviction policy:
	//
	//	LeastRecentlyStored  smallest (Stored, ID) first
	//	LeastRecentlyUsed    smallest (Accessed, ID) first
	//	LeastFrequentlyUsed  smallest (Accesses, ID) first
	//	NoEviction           none
	//
	// with every access up to now counted. The row of key keep stays (Null:
	// none is spared).
	Cull(ctx context.Context, c Collection, now Instant, limit int, keep codec.Value) ([]Row, error)

	// Count returns the number of rows, expired ones included.
	Count(ctx context.Context, c Collection) (int64, error)

	// Fence returns a number that is higher than those of all transactions that
	// were committed before this one, and than those that this one was given before,
	// in all collections and processes, also across restarts and backups. Numbers are
	// positive and less than 1<<43; some may be left out.
	Fence(ctx context.Context) (int64, error)

	// Alive is [Store.Alive], asked by a transaction that, for instance, grants a
	// lock.
	Alive(ctx context.Context, session string) (bool, error)
}

// GetEach is [Tx.GetMany] for an engine in which it is no faster than its Get.
func GetEach(ctx context.Context, tx Tx, c Collection, keys []codec.Value, l Lookup) ([]Row, error) {
	out := make([]Row, 0, len(keys))
	for _, key := range keys {
		r, ok, err := tx.Get(ctx, c, key, l)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
}

// PutEach is [Tx.PutMany] for an engine in which it is no faster than its Put.
func PutEach(ctx context.Context, tx Tx, c Collection, ps []Put) (gone []Row, err error) {
	for _, p := range ps {
		rows, err := tx.Put(ctx, c, p)
		if err != nil {
			return nil, err
		}
		gone = append(gone, rows...)
	}
	return gone, nil
}

// Lookup says how Get reads. What a Get leaves behind, accesses, counts and
// a slid expiry, is seen by every Update of the same store that begins after
// it. Inside of an Update it is part of the transaction: what is rolled back
// has not been read.
type Lookup struct {
	Now   Instant          // the instant at which it is judged whether the row's time is over, unless there is a Clock; 0: it is not
	Clock func() time.Time // not nil: tells that instant, and is asked only if it matters
	Quiet bool             // neither counted in Stats nor as an access of the row
	Bare  bool             // leave Row.Value out
	Slide Instant          // if not 0: the row's expiry, if it has one, becomes this (batched, like an access)
}

// Instant returns the instant at which expiry is judged.
func (l *Lookup) Instant() Instant {
	if l.Clock != nil {
		return At(l.Clock())
	}
	return l.Now
}

// Put is a row to be stored.
type Put struct {
	Key    codec.Value // not Null
	Value  codec.Value // ignored if File is set
	File   File        // the value, finished, if it is kept outside the row
	Expire Instant     // 0: never
	Tag    codec.Value // Null: none
	Keep   bool
	Now    Instant

	Cull    int  // the most rows to be removed to make room: 0 for none, or CullLimit
	Expired bool // whether a replaced row whose time was over is asked for
}

// CullLimit, as a Put's Cull, is the CullLimit of the collection's settings.
const CullLimit = -1

// Room returns the most rows that p removes to make room, in a collection with
// settings s.
func (p *Put) Room(s *Settings) int {
	if p.Cull == CullLimit {
		return s.CullLimit
	}
	return p.Cull
}

// Row is a stored row. It belongs to whoever asked for it.
type Row struct {
	ID       int64 // insertion order: larger than all in the collection when it was new; never changes while the row lives
	Key      codec.Value
	Value    codec.Value // Null if left out or outside
	File     string      // name of the value file, relative to the store; "" if the value is in the row
	FileKind codec.Kind  // Text or Blob, for a value outside
	Size     int64       // bytes of the encoded value: 8 for a number
	Stored   Instant
	Expire   Instant     // 0: never
	Accessed Instant     // latest instant of a Put or, if the policy counts accesses, a Get
	Accesses int64       // by Get, while the policy counts them
	Tag      codec.Value // Null: none

	// Another program's way of encoding that cannot be decoded here, such as
	// Python's pickle, in the key or the value.
	ForeignKey, ForeignValue bool
}

// Expired reports whether the row's expiry has come at now.
func (r *Row) Expired(now Instant) bool { return r.Expire != 0 && r.Expire <= now }

// Order is the order of a Scan.
type Order int

const (
	ByID     Order = iota // insertion order
	ByKey                 // database order of keys: codec.Compare; a foreign key before an equal own one
	ByExpire              // soonest expiry first, then ID; only rows that expire
)

// Scan selects a page of rows. Zero fields select everything.
type Scan struct {
	Order Order
	Desc  bool

	// After is the last row of the page before: the next row in order, by ID
	// or by Key and ForeignKey or by Expire and ID, is the first of this page,
	// whether or not that row still exists.
	After *Row

	Lower, Upper *Bound      // bounds on keys, for every order
	Tag          codec.Value // if not Null: only rows with an equal tag
	Live         Instant     // if not 0: only rows whose time is not over at this instant
	Skip         int64       // leave out the first rows
	Limit        int         // at most so many rows; with 0 or less there are no rows
	Bare         bool        // leave Row.Value out
	Keys         bool        // only Key and ForeignKey are wanted: all else may be left out, and only ByKey can such a row be After
}

// Bound is one end of a range of keys.
type Bound struct {
	Key  codec.Value
	Open bool // Key itself is outside
}

// Filter selects rows for Remove. With a zero Filter every row goes.
type Filter struct {
	Expired Instant     // if not 0: only rows that have expired at this instant
	Tag     codec.Value // if not Null: only rows with an equal tag
	IDs     []int64     // if not nil: only these rows
}

// File is a value on its way into the store. It is written by one goroutine.
type File interface {
	io.Writer
	// Finish makes the content complete. After it, the File can be put.
	Finish() error
	// Size returns the bytes written so far.
	Size() int64
	// Discard removes the file unless a Put of it was committed. It must be
	// called in any case, after the transaction has ended.
	Discard()
}

// Content is an opened value.
type Content interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
	Name() string // full path, "" if the value is not in a file
}
