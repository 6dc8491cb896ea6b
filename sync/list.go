package sync

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// LockState says who holds a lock, or permits of a semaphore, and who waits.
type LockState struct {
	Name    string // as given to NewLock or NewSemaphore
	Size    int64  // permits of the semaphore; 1 for a lock
	Holders []LockUser
	Waiters []LockUser // in their order; of the goroutines of one store that wait, the first
}

// LockUser is one that holds a lock or permits, or waits for them.
type LockUser struct {
	// Session is that of the store with which it asked: [cache.Store.Session]. Alive
	// says that it has not ended. A holder whose session has ended holds nothing any
	// more, as those who ask next will find.
	Session string
	Alive   bool

	Permits int64
	Token   int64     // fencing token of a holder: see [Guard.Token]
	Since   time.Time // since when a holder has it
	Until   time.Time // when a holder loses it, as LockOptions.MaxHold says; zero: never
}

// Locks iterates over the locks of a store that somebody holds or waits for, sorted by
// name, in all processes. Each is as of one moment, but not all of the same. It writes
// nothing, and does not wait for locks. Like every iterator of package cache it yields an
// error once, and ends then.
func Locks(ctx context.Context, st *cache.Store) iter.Seq2[LockState, error] {
	return list(ctx, st, "Locks", lockPrefix)
}

// Semaphores iterates over the semaphores of a store, also those of which nobody holds a
// permit: see [Locks].
func Semaphores(ctx context.Context, st *cache.Store) iter.Seq2[LockState, error] {
	return list(ctx, st, "Semaphores", semaphorePrefix)
}

func list(ctx context.Context, st *cache.Store, op, prefix string) iter.Seq2[LockState, error] {
	return func(yield func(LockState, error) bool) {
		rows, err := madeLeases(ctx, st)
		if err != nil {
			yield(LockState{}, fail(op, strings.TrimSuffix(prefix, "/"), err))
			return
		}
		if rows == nil {
			return
		}
		for e, err := range rows.Sorted().Prefix(prefix).All(ctx) {
			var s LockState
			if err == nil {
				s, err = stateOf(ctx, st, strings.TrimPrefix(e.Key, prefix), &e.Value)
			}
			if err != nil {
				yield(LockState{}, fail(op, strings.TrimSuffix(prefix, "/"), err))
				return
			}
			if idle := e.Value.idle() && prefix == lockPrefix; !idle && !yield(s, nil) {
				return
			}
		}
	}
}

// madeLeases is leases, or nil if nobody has ever used a lock or a semaphore: to look
// makes no collection.
func madeLeases(ctx context.Context, st *cache.Store) (*cache.Cache[string, lease], error) {
	if st == nil {
		return nil, family.Invalid("nil Store")
	}
	names, err := st.Collections(ctx)
	if err != nil || !slices.Contains(names, "sync/leases") {
		return nil, err
	}
	return leases(ctx, st)
}

func stateOf(ctx context.Context, st *cache.Store, name string, l *lease) (s LockState, err error) {
	s = LockState{Name: name, Size: l.Size}
	if s.Holders, err = usersOf(ctx, st, l.Holds); err == nil {
		s.Waiters, err = usersOf(ctx, st, l.Queue)
	}
	return s, err
}

func usersOf(ctx context.Context, st *cache.Store, claims []claim) (users []LockUser, err error) {
	for i := range claims {
		c := &claims[i]
		u := LockUser{Session: c.session(), Permits: c.N, Token: c.Token}
		if u.Alive, err = st.Alive(ctx, u.Session); err != nil {
			return nil, err
		}
		if c.Token != 0 {
			u.Since = time.Unix(0, c.Since)
			if at, ok := c.until(); ok {
				u.Until = at
			}
		}
		users = append(users, u)
	}
	return users, nil
}
