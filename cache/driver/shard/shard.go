// Package shard spreads the default collection of a store over several
// stores, so that as many processes can write at the same time as there are
// shards.
//
// [New] is given the stores, such as databases of several PostgreSQL servers.
// All other collections are in the first of them, where they commit together
// whatever happens.
//
// With [Open] they are in a directory. The layout and the hash are those of
// FanoutCache in Python's DiskCache 5, which may use the directory at the same
// time:
//
//	000/ 001/ ...            the shards: the default collection
//	cache/NAME/              one store each: collections "cache/NAME",
//	deque/NAME/ index/NAME/  "deque/NAME" and "index/NAME"
//
// All other collections, such as "sync/leases", are where Python does not
// look: in the database of shard 000. Those of a family that begins with one
// of the three and a dash, such as "deque-inflight/NAME", belong to the
// collection of that name and are in its database, if it was there first.
// Collections in one database commit together whatever happens. NAME may
// contain slashes; an element that is empty, "." or ".." or that a file
// system would not take is refused, and so is a collection inside the
// directory of another, whose files a check of that one would remove.
//
// # Keys
//
// Integers, reals, texts and blobs hash as they do in DiskCache. So 1 and 1.0,
// which are one key in a store without shards, are two entries here, unless
// they happen to be in one shard. Codecs of package codec encode the values of
// a type one way or the other, so that it makes no difference to them.
//
// # Transactions
//
// An operation on one key takes the lock of one shard. A Shared function is
// run once in advance, with a transaction that does nothing, to find out
// which shard that is.
//
// Every other transaction takes the lock of shard 000 first, and those of
// others when it needs them, in whatever order: since only one transaction at
// a time has more than one lock, none waits for another in a circle. All are
// held to the end, so that transactions are serializable. They are
// committed one after the other, shard 000 last. If the process dies in
// between, those that were committed stay and the others are rolled back:
// each shard is consistent in itself, and a transaction over several shards
// may have happened in some of them only. If a commit fails in between, the
// error wraps [ErrPartial]. Likewise, somebody who reads two keys, or a View
// of another process, may see one shard's commit before the next one's. A
// View of this Store does not.
//
// # Order
//
// Insertion order goes shard by shard, as in FanoutCache: an ID is the
// shard's number times 1<<48 plus the ID there. The orders by key and by
// expiry are merged and exact.
//
// # Limits
//
// Each shard has its part of the size limit, keeps to it by itself, and culls
// by itself: what Cull removes is next by the policy in its shard. A value
// larger than that part is too large.
package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// ErrShards means that a store has another number of shards than it was
// opened with.
var ErrShards = errors.New("number of shards does not match")

// ErrPartial means that a transaction over several shards was committed in
// some of them, and that the commit of another one failed.
var ErrPartial = errors.New("the transaction was committed in part")

// MaxShards is the largest number of shards.
const MaxShards = 1000

// layout is where the stores that make up a sharded store are kept. They are
// named by slash-separated paths: "000" or "deque/jobs".
type layout interface {
	// Open opens the store called rel, and creates it if it does not exist.
	Open(ctx context.Context, rel string) (driver.Store, error)
	// Exists reports whether there is a store called rel.
	Exists(rel string) (bool, error)
	// List returns the names of all stores that begin with family and a
	// slash, in any order.
	List(family string) ([]string, error)
	// Dir returns the directory that the names are relative to, or "".
	Dir() string
}

// Store is a [driver.Store] made of others.
type Store struct {
	place  layout
	joined bool // New was given the shards: there are no other members
	shards []*member

	// snapshot keeps Views of this Store from beginning between two commits
	// of one transaction.
	snapshot sync.RWMutex

	configuring chan struct{} // holds an element while settings are changed

	closed  atomic.Bool
	opening sync.Mutex // held while a member is opened; taken before mu
	mu      sync.Mutex // guards what follows
	named   map[string]*member
	watches map[*watch]struct{}

	committing func(*member) // for tests: called before each commit of several
}

var (
	_ driver.Directory  = (*Store)(nil)
	_ driver.Checker    = (*Store)(nil)
	_ driver.Measurer   = (*Store)(nil)
	_ driver.Compacter  = (*Store)(nil)
	_ driver.Metered    = (*Store)(nil)
	_ driver.Signaler   = (*Store)(nil)
	_ driver.KeyedFiler = (*Store)(nil)
	_ driver.Clocked    = (*Store)(nil)
)

// member is one of the stores.
type member struct {
	rel   string
	store driver.Store
}

func shardName(i int) string { return fmt.Sprintf("%03d", i) }

// newStore opens the store of n shards that is kept in a place. The number is
// stored when the store is created, and another one is [ErrShards]. Python
// does not store it: there, the number of shards that exist counts.
func newStore(ctx context.Context, place layout, n int) (_ *Store, err error) {
	if err := possible(n); err != nil {
		return nil, err
	}
	s := newOf(place)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeMembers())
		}
	}()
	have, err := count(place)
	if err != nil {
		return nil, err
	}
	for i := range n {
		st, err := place.Open(ctx, shardName(i))
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", shardName(i), err)
		}
		s.shards = append(s.shards, &member{rel: shardName(i), store: st})
		if i == 0 {
			if err := s.claim(ctx, have, n); err != nil {
				return nil, err
			}
		}
	}
	return s, s.divide(ctx)
}

func possible(n int) error {
	if n < 1 || n > MaxShards {
		return fmt.Errorf("%w: %d shards, where 1 to %d are possible", ErrShards, n, MaxShards)
	}
	return nil
}

func newOf(place layout) *Store {
	return &Store{
		place: place, configuring: make(chan struct{}, 1),
		named: make(map[string]*member), watches: make(map[*watch]struct{}),
	}
}

// count returns the number of shards that exist in a place.
func count(place layout) (int, error) {
	for i := 0; ; i++ {
		ok, err := place.Exists(shardName(i))
		if err != nil || !ok || i > MaxShards {
			return i, err
		}
	}
}

// first returns the shard whose lock comes before all others.
func (s *Store) first() *member { return s.shards[0] }

// enter fails if the context has ended or the store is closed.
func (s *Store) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.closed.Load() {
		return driver.ErrClosed
	}
	return nil
}

// opened returns all members that are open, shards first and in order.
func (s *Store) opened() []*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*member, 0, len(s.shards)+len(s.named))
	all = append(all, s.shards...)
	for _, m := range s.named {
		all = append(all, m)
	}
	slices.SortFunc(all[len(s.shards):], func(a, b *member) int { return strings.Compare(a.rel, b.rel) })
	return all
}

// member opens the store of a named collection, which stays open.
func (s *Store) member(ctx context.Context, rel string) (*member, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	if m := s.find(rel); m != nil {
		return m, nil
	}
	if err := s.admit(rel); err != nil {
		return nil, err
	}
	// Where the shards were removed, no other store is made in their place.
	if err := s.first().store.View(ctx, func(driver.Tx) error { return nil }); err != nil {
		return nil, err
	}
	st, err := s.place.Open(ctx, rel)
	if err != nil {
		return nil, err
	}
	m := &member{rel: rel, store: st}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[rel] = m
	return m, nil
}

// find returns the member of a named collection if it is open, or nil.
func (s *Store) find(rel string) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named[rel]
}

// everyone calls fn for all members, those of collections that are not open
// included.
func (s *Store) everyone(ctx context.Context, fn func(*member) error) error {
	rels, err := s.list()
	if err != nil {
		return err
	}
	for _, m := range s.shards {
		if err := fn(m); err != nil {
			return err
		}
	}
	for _, rel := range rels {
		if err := s.enter(ctx); err != nil {
			return err
		}
		if err := s.visit(ctx, rel, fn); err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
	}
	return nil
}

// visit calls fn for a member that is opened for it if need be.
func (s *Store) visit(ctx context.Context, rel string, fn func(*member) error) (err error) {
	m := s.find(rel)
	if m == nil {
		st, err := s.place.Open(ctx, rel)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, st.Close()) }()
		m = &member{rel: rel, store: st}
	}
	return fn(m)
}

// ReadOnly implements [driver.Store].
func (s *Store) ReadOnly() bool { return s.first().store.ReadOnly() }

// Dir implements [driver.Directory].
func (s *Store) Dir() string { return s.place.Dir() }

// Now implements [driver.Clocked]. It is the clock of the first shard, or that of this
// machine if it has none.
func (s *Store) Now() time.Time {
	if st, ok := s.first().store.(driver.Clocked); ok {
		return st.Now()
	}
	return time.Now()
}

// Session implements [driver.Store]. It is that of the first shard.
func (s *Store) Session(ctx context.Context) (name string, lost <-chan struct{}, err error) {
	return s.first().store.Session(ctx)
}

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, session string) (bool, error) {
	return s.first().store.Alive(ctx, session)
}

// WatchSession implements [driver.Store].
func (s *Store) WatchSession(sessions ...string) (ended <-chan struct{}, stop func(), err error) {
	return s.first().store.WatchSession(sessions...)
}

// Close implements [driver.Store]. The first shard is closed first: it waits
// for transactions that have, or may still want, the others.
func (s *Store) Close() error {
	err := s.first().store.Close()
	s.opening.Lock() // nothing is opened from now on
	s.closed.Store(true)
	s.opening.Unlock()
	s.mu.Lock()
	watches := s.watches
	s.watches = nil
	s.mu.Unlock()
	err = errors.Join(err, s.closeMembers())
	for w := range watches {
		w.close()
	}
	return err
}

func (s *Store) closeMembers() error {
	var errs []error
	for _, m := range s.opened() {
		if err := m.store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.rel, err))
		}
	}
	return errors.Join(errs...)
}
