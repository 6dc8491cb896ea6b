package cache

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Store is an opened directory: named collections that commit together. All
// methods may be called by many goroutines at once, and any number of
// processes may have the directory open.
//
// What an operation has acknowledged is seen by every process and survives
// the death of any of them; see [sqlite.Synchronous] for power cuts.
type Store struct {
	engine driver.Store
	files  driver.Filer // the engine; nil if it keeps all values in their rows
	now    func() time.Time
	log    *slog.Logger
	maxLen int64 // of a value in memory

	observe func(context.Context, Observation) // nil: nobody does

	closeTemp func() error // of OpenTemp: closes the engine and removes its directory, once

	closing closing

	mu       sync.Mutex
	decoders map[string]decoder // by collection, for Check
}

// decoder reports whether a row's key, or its value, can be decoded.
type decoder struct {
	key   func(codec.Value) error
	value func(*driver.Row) error
	coll  driver.Collection
}

// OpenStore opens the store in the directory dir, and creates both, with
// access for the current user only, if they do not exist. A directory that
// holds other files is ErrNotStore. A directory of Python's DiskCache 5 is a
// store. Opening one that is up to date writes nothing, and handles on one
// directory in one process share its connections.
//
// The path of dir, without symbolic links, may have 495 bytes on Unix systems,
// which is SQLite's limit; with Shards those of the directories below dir may. A
// longer one is ErrInvalid.
func OpenStore(ctx context.Context, dir string, o *StoreOptions) (*Store, error) {
	opts := o.withDefaults()
	engine, err := openEngine(ctx, dir, opts)
	if err != nil {
		return nil, WrapError(ctx, "OpenStore", "", err)
	}
	return NewStore(engine, &opts), nil
}

// OpenTemp opens a store in a new directory of its own, below that of [os.TempDir], which
// Close removes with all that is in it: for what is too large for the memory of one
// process, or is to be shared with those that it starts, which open [Store.Dir]. If the
// process dies before Close the directory stays there.
func OpenTemp(ctx context.Context, o *StoreOptions) (*Store, error) {
	dir, err := os.MkdirTemp("", "diskcache-")
	if err != nil {
		return nil, WrapError(ctx, "OpenTemp", "", err)
	}
	st, err := OpenStore(ctx, dir, o)
	if err != nil {
		return nil, errors.Join(WrapError(ctx, "OpenTemp", "", err), os.RemoveAll(dir))
	}
	// A second Close waits for the first, which may still write there.
	st.closeTemp = sync.OnceValue(func() error { return errors.Join(st.engine.Close(), os.RemoveAll(dir)) })
	return st, nil
}

// NewStore returns a store on an engine that is open already, such as package
// memory's. Of the options only Logger, Observe, Now and MaxValueSize matter. Close
// closes the engine.
func NewStore(engine driver.Store, o *StoreOptions) *Store {
	opts := o.withDefaults()
	if opts.Now == nil {
		opts.Now = time.Now
		if e, ok := engine.(driver.Clocked); ok {
			opts.Now = e.Now
		}
	}
	files, _ := engine.(driver.Filer)
	return &Store{engine: engine, files: files, now: opts.Now, log: opts.Logger, maxLen: opts.MaxValueSize, observe: opts.Observe, decoders: map[string]decoder{}}
}

// Close writes what is still to be written and releases the store. It waits
// for transactions that run. Collections of the store and transactions then
// fail with ErrClosed; Close after Close does nothing. In a function that runs
// in a transaction of the store it would wait for itself: use
// [Tx.AfterCommit] there.
func (s *Store) Close() error {
	s.closing.begin()
	close := s.engine.Close
	if s.closeTemp != nil {
		close = s.closeTemp
	}
	return WrapError(context.Background(), "Close", "", close())
}

// Dir returns the store's directory, or "" if it has none.
func (s *Store) Dir() string {
	if e, ok := s.engine.(driver.Directory); ok {
		return e.Dir()
	}
	return ""
}

// ReadOnly reports whether the store was opened for reading only.
func (s *Store) ReadOnly() bool { return s.engine.ReadOnly() }

// Collections returns the names of all collections, sorted. They are the
// names that [Cache.Name] returns: "" for the default collection, else the
// family and the name, such as "cache/pages" or "deque/jobs". Those that other
// packages make for themselves, such as "sync/throttles", are among them.
func (s *Store) Collections(ctx context.Context) ([]string, error) {
	names, err := s.engine.Names(ctx)
	return names, WrapError(ctx, "Collections", "", err)
}

// Drop removes the collection that [Cache.Name] calls name, such as
// "cache/pages", with all its entries; processes that have it open get ErrClosed.
// Dropping what does not exist does nothing. The default collection is only
// emptied. A deque or a memo consists of several collections: deque.Drop removes
// all of a deque, and Clear of a memo what it remembers.
func (s *Store) Drop(ctx context.Context, name string) error {
	if err := s.outside(ctx); err != nil {
		return WrapError(ctx, "Drop", name, err)
	}
	return WrapError(ctx, "Drop", name, s.engine.Drop(ctx, name))
}

// Volume returns what the store takes, on disk or wherever it is, in bytes: in
// all, and the parts of that. A store in a directory has the parts "database", its
// pages, "log", commits that are not in the database yet, and "files", values in
// files of their own. It fails with errors.ErrUnsupported where that is not known.
func (s *Store) Volume(ctx context.Context) (driver.Volume, error) {
	e, err := driver.As[driver.Measurer](s.engine)
	if err != nil {
		return driver.Volume{}, WrapError(ctx, "Volume", "", err)
	}
	v, err := e.Volume(ctx)
	return v, WrapError(ctx, "Volume", "", err)
}

// Backup writes a consistent copy of the store, as of some moment during the
// call, into dir. (Open the copy, and its collections, and call Check, to know that it
// is good.) Others may write meanwhile. The error is fs.ErrExist if dir
// is not empty, ErrInvalid if it is inside of the store or "", and
// errors.ErrUnsupported if the store is in no directory.
func (s *Store) Backup(ctx context.Context, dir string) error {
	if err := s.outside(ctx); err != nil {
		return WrapError(ctx, "Backup", "", err)
	}
	if dir == "" {
		return WrapError(ctx, "Backup", "", invalid("no directory given"))
	}
	e, err := driver.As[driver.Directory](s.engine)
	if err != nil {
		return WrapError(ctx, "Backup", "", err)
	}
	began := s.now()
	err = WrapError(ctx, "Backup", "", e.Backup(ctx, dir))
	s.logDone(ctx, "backup", began, err)
	return err
}

// Compact gives unused space back to the file system, where the store does not do
// that by itself. Writers may have to wait for it.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.outside(ctx); err != nil {
		return WrapError(ctx, "Compact", "", err)
	}
	if s.ReadOnly() {
		return WrapError(ctx, "Compact", "", ErrReadOnly)
	}
	e, ok := s.engine.(driver.Compacter)
	if !ok {
		return nil
	}
	began := s.now()
	err := WrapError(ctx, "Compact", "", e.Compact(ctx))
	s.logDone(ctx, "compact", began, err)
	return err
}

func (s *Store) logDone(ctx context.Context, what string, began time.Time, err error, args ...any) {
	args = append([]any{"dir", s.Dir(), "took", s.now().Sub(began)}, args...)
	if err != nil {
		s.log.WarnContext(ctx, what+" failed", append(args, "err", err)...)
		return
	}
	s.log.InfoContext(ctx, what, args...)
}

// instant returns the current moment.
func (s *Store) instant() driver.Instant { return driver.At(s.now()) }
