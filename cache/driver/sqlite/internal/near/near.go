// Package near keeps copies of rows in memory and tells at every use whether
// they are still what the database says, also when other processes have
// written meanwhile, and when those know nothing of this package.
//
// # Protocol
//
// A [Table] is a file that the processes map which have a store open. It has
//
//   - a version for each of many slots; a key belongs to the slot that its
//     hash says,
//   - an epoch, a version for all keys at once,
//   - the fingerprint of the last commit that is accounted for: a hash of
//     SQLite's WAL-index header, which every program's commit changes,
//   - a mailbox, where writers leave the rows that they have written for readers
//     of other processes, with the stamps that they are about to have.
//
// A writer, while it holds the write lock and before COMMIT, makes the
// versions of the keys that it has changed odd ([Table.Begin]); after COMMIT,
// or a rollback, and just before the lock is released, it leaves what it has
// committed in the mailbox ([Table.Publish]), records the fingerprint that its commit has
// left, and makes the versions even again, and higher ([Table.End]). A writer
// that finds, when it begins, a fingerprint that is not accounted for advances the epoch.
//
// A reader looks at the fingerprint first, then the epoch, then the version
// ([Table.Stamp]), and takes them as the stamp of the row that it then reads
// from SQLite. A copy may be used as long as its stamp is the stamp of now.
//
//   - A commit of this project changes the version of its keys before it can
//     be seen. What was read before has an older stamp, what is read while the
//     version is odd has none.
//   - After a commit of another program the fingerprint is another than the one that
//     is accounted for, and there are no stamps, until a process accounts for it:
//     [Table.Resync], or the next writer. Both advance the epoch before, so
//     that no stamp of an earlier time is valid again.
//   - A writer that dies between Begin and End leaves odd versions, which
//     costs speed until the next writer makes them even.
//   - A process that opens a table which no other has open begins an epoch that none of
//     the entries in the mailbox belongs to.
//
// A row that is removed or replaced in the database is not left in the mailbox: the
// commit that does it overwrites the entry, one that advances the epoch overwrites
// all, and so does the last process that closes the table.
//
// The fingerprint of an empty WAL-index is the same each time. SQLite itself takes
// two of them for one state, and this package goes no further: it would need
// a process that dies in the midst of writing the header of an empty WAL.
//
// All processes use the same hash and layout, which are part of the file's
// name: a version of this package with others does not open the file, and its commits
// are unaccounted for, as those of a program without this package.
//
// # What it owns
//
// The package owns the file and the memory of copies. It must not know SQL or connections: its
// user reads rows, and says what a transaction has changed. A Table has no locks, but for SQLite's
// write lock, which its user holds. part.mu, of a part of [Rows], is taken last.
package near

import (
	"errors"
	"fmt"
)

// ErrUnsupported is returned by Open where memory cannot be shared. It is an
// [errors.ErrUnsupported].
var ErrUnsupported = fmt.Errorf("no shared memory on this system: %w", errors.ErrUnsupported)

// Stamp identifies one state of a key. The zero Stamp is that of no state.
type Stamp struct {
	epoch   uint64
	version uint32
}

// Within reports whether s belongs to an epoch.
func (s Stamp) Within(epoch uint64) bool { return s.epoch == epoch }

// Index is SQLite's WAL-index header, as far as it is needed here.
type Index interface {
	Change() uint32        // counts commits
	Pages() uint32         // size of the database
	FrameChecksum() uint64 // of the last committed frame and all before
}

// fingerprintOf is the fingerprint of a header. Salts and number of frames are left
// out, since they change without a commit when the WAL begins anew. It is
// never 0.
func fingerprintOf(ix Index) uint64 {
	return foldedProduct(ix.FrameChecksum()^hashSeed, uint64(ix.Change())<<32|uint64(ix.Pages())^hashSeed>>1) | 1
}
