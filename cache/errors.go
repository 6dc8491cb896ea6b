package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Errors that operations return inside an [*Error]; compare with [errors.Is].
// When a context ends, the error is also its context.Canceled or
// context.DeadlineExceeded.
var (
	// ErrClosed means that the store or the collection was closed, or the
	// collection was dropped.
	ErrClosed = driver.ErrClosed

	// ErrTimeout means that other writers kept a write waiting for longer
	// than StoreOptions.Timeout. Nothing was changed.
	ErrTimeout = driver.ErrTimeout

	// ErrReadOnly means a write to a store that was opened with
	// StoreOptions.ReadOnly, or inside View.
	ErrReadOnly = driver.ErrReadOnly

	// ErrFull means that the disk or a quota is full. Nothing was changed. Reading
	// goes on, and so do Delete, Clear, Evict, Expire, Cull and Compact, for which
	// the store keeps some room: the file cache.db-reserve, of up to 1 MiB. What
	// makes the store larger works again when there is room.
	ErrFull = driver.ErrFull

	// ErrTooLarge means that a value is larger than a limit: a write than the
	// collection's size limit, a write or a read than
	// StoreOptions.MaxValueSize or what a codec allows. It is also
	// codec.ErrTooLarge. Nothing was changed and nothing was evicted for it.
	ErrTooLarge = driver.ErrTooLarge

	// ErrCorrupt means that stored data is damaged; Store.Check tells more.
	ErrCorrupt = driver.ErrCorrupt

	// ErrCodecMismatch means that data was stored with another codec than the
	// one it is read with, be it all of a collection or one entry of it.
	ErrCodecMismatch = driver.ErrCodecMismatch

	// ErrNotStore means that a directory holds something else than a store, or
	// that the store which was opened has been removed from it or replaced.
	ErrNotStore = driver.ErrNotStore

	// ErrNewerFormat means that a later version of this module made the store.
	ErrNewerFormat = driver.ErrNewerFormat

	// ErrNetwork means that the directory is on a network file system or in a
	// folder shared with another machine, where locks cannot be relied upon: see
	// sqlite.Options.AllowNetwork.
	ErrNetwork = driver.ErrNetwork

	// ErrPermission means that the operating system does not let this process
	// do what is needed to the directory or a file in it.
	ErrPermission = driver.ErrPermission

	// ErrUncertain means that the connection to a server broke while a write was
	// being committed: it has taken place as a whole, or not at all. A store in a
	// directory always knows.
	ErrUncertain = driver.ErrUncertain

	// ErrOverflow means that a number would be too large or too small: the sum of
	// an Incr or Decr for the type of the collection's values, or the number in the
	// key of a new item for a Queue or a deque, whose keys are numbered from the
	// middle of a range. Nothing was changed.
	ErrOverflow = errors.New("result is out of range")

	// ErrNotFound means that what must exist does not: see [MustExist].
	ErrNotFound = driver.ErrNotFound

	// ErrInvalid means arguments or options that make no sense, alone or
	// together. Nothing was changed.
	ErrInvalid = driver.ErrInvalid

	// ErrTxDone means that a transaction was used after its function had
	// returned.
	ErrTxDone = errors.New("transaction has ended")

	// ErrInTx means that a collection that is not bound to a transaction was
	// given the context of one. It would have waited for itself.
	ErrInTx = errors.New("collection is not bound to the transaction of this context")
)

// Error says which operation failed, on which collection. It never contains
// keys or values. The errors of packages deque, index, sync and memo are of this
// type, too.
type Error struct {
	Op string // method or function, such as "Set"

	// Collection is Cache.Name of the collection, "" for the default one and for the
	// whole store. For what is made of collections it is the name of that, behind its
	// family, such as "deque/jobs", "sync/lock/nightly" and "memo/pages".
	Collection string

	Err error
}

// Error returns the message, with a word on what can be done.
func (e *Error) Error() string {
	msg := "cache: " + e.Op
	if e.Collection != "" {
		msg += fmt.Sprintf(" in %q", e.Collection)
	}
	msg += ": " + e.Err.Error()
	for _, a := range advice {
		if errors.Is(e.Err, a.err) {
			return msg + " (" + a.text + ")"
		}
	}
	return msg
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

var advice = []struct {
	err  error
	text string
}{
	{ErrTimeout, "keep transactions short, do not use unbound collections inside one, or raise StoreOptions.Timeout"},
	{ErrInTx, "bind it with In if it can be; open, drop and wait outside of transactions"},
	{ErrTxDone, "do not keep a Tx, or a collection bound to it, beyond its function"},
	{ErrFull, "free space on the disk, or remove entries with Delete, Evict, Clear, Expire or Cull"},
	{ErrTooLarge, "raise the limit: Options.SizeLimit, StoreOptions.MaxValueSize or that of codec.ZlibLimit; SetFrom and OpenValue need no memory for a value"},
	{ErrNotStore, "choose an empty directory, such as a new one below this, or one that a store made; close and open a store again that was replaced"},
	{ErrNewerFormat, "update this program"},
	{ErrNetwork, "use a local disk, or set AllowNetwork of StoreOptions.SQLite if one machine alone uses the directory"},
	{ErrCorrupt, "run Store.Check if the store can be opened, or restore a backup"},
	{ErrPermission, "run as the user that owns cache.db, chown the store to this one, or share it with a group as package cache says under Trust; StoreOptions.ReadOnly needs the right to read alone"},
	{ErrUncertain, "look whether it was, or do it again if that does no harm"},
	{ErrReadOnly, "open for writing, outside of View, where the file system and the rights to the directory allow it"},
}

// invalid returns an ErrInvalid with details.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// ended returns why ctx has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// undecodable says that a codec could not read a stored key or value.
func undecodable(what, codecName string, err error) error {
	hint := "open the collection with the codec that wrote it, or treat such entries as missing with Options.SkipUndecodable"
	return fmt.Errorf("%w: a stored %s cannot be decoded with codec %q: %w (%s)", ErrCodecMismatch, what, codecName, err, hint)
}

// foreign says that Python pickled a key or value.
func foreign(what string) error {
	return fmt.Errorf("%w: a stored %s was pickled by Python, which is never decoded here; "+
		"have Python store text, bytes, numbers or JSONDisk's JSON", ErrCodecMismatch, what)
}

// encoding says that a codec refused a key, a value or a prefix.
func encoding(what, codecName string, err error) error {
	return fmt.Errorf("the %s cannot be encoded with codec %q: %w", what, codecName, err)
}

// isMismatch reports whether err means that an entry, rather than the store,
// could not be read.
func isMismatch(err error) bool {
	return errors.Is(err, ErrCodecMismatch) || errors.Is(err, codec.ErrDecode)
}
