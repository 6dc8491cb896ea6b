package deque

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// State is what Look finds out about a deque.
type State struct {
	Stats
	MaxLen int64        // 0: none
	Claims []ClaimState // the first to end comes first; those that last until their stores are closed come last
}

// ClaimState is an item that is claimed.
type ClaimState struct {
	ID      int64 // of the claim, for Requeue
	Attempt int64 // 1 when it is claimed for the first time

	// Session is that of the store with which the item was claimed:
	// [cache.Store.Session]. Alive says that it has not ended. Where it has, the item
	// comes back with the next operation on the deque.
	Session string
	Alive   bool

	Until time.Time // when the lease ends; zero: with the session
}

// Look returns the state of the deque called name, whatever its type is, for people
// to look at: as of one moment, and without writing anything. So items that are due to
// come back, and that the next operation on the deque will put back, still count as
// claimed or delayed. "" is the default deque. A deque that does not exist is
// cache.ErrNotFound. Look costs a step in the database for each item that is claimed; in
// a deque that has held items with an expiry, also for each that is ready.
func Look(ctx context.Context, st *cache.Store, name string) (State, error) {
	s, err := look(ctx, st, name)
	if err != nil {
		return State{}, cache.WrapError(ctx, "Look", fullName(name), err)
	}
	return s, nil
}

func fullName(name string) string {
	if name == "" {
		return ""
	}
	return familyName + "/" + name
}

type rawCache = cache.Cache[cache.Raw, cache.Raw]

func rawText(s string) cache.Raw { return cache.Raw{Value: codec.TextValue(s)} }

// existing opens a collection, or returns nil if there is none.
func existing(ctx context.Context, st *cache.Store, name string) (*rawCache, error) {
	c, err := cache.NewRaw(ctx, st, name, nil)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, nil
	}
	return c, err
}

func look(ctx context.Context, st *cache.Store, name string) (s State, err error) {
	if st == nil {
		return s, family.Invalid("nil Store")
	}
	items, err := cache.NewRaw(ctx, st, fullName(name), nil)
	if err != nil {
		return s, err
	}
	var beneath [3]*rawCache
	for i, kind := range []string{"inflight", "leases"} {
		fam, n := beside(name, kind)
		if beneath[i], err = existing(ctx, st, fam+"/"+n); err != nil {
			return s, err
		}
	}
	if beneath[2], err = existing(ctx, st, familyName+"-settings/all"); err != nil {
		return s, err
	}
	err = st.View(ctx, func(tx *cache.Tx) error {
		s = State{}
		for i, c := range beneath {
			if c != nil {
				beneath[i] = c.In(tx)
			}
		}
		return s.read(ctx, tx, items.In(tx), beneath[0], beneath[1], beneath[2])
	})
	return s, err
}

func (s *State) read(ctx context.Context, tx *cache.Tx, items, inflight, leases, all *rawCache) error {
	var stored settings
	if all != nil {
		e, ok, err := all.GetEntry(ctx, rawText(items.Name()))
		if err == nil && ok {
			stored, err = codec.Default[settings]().Decode(e.Value.Value)
		}
		if err != nil {
			return err
		}
	}
	s.MaxLen = stored.MaxLen
	first := true
	for e, err := range items.Sorted().Infos(ctx) {
		if err != nil {
			return err
		}
		if first {
			first, s.Age = false, max(tx.Store().Now().Sub(e.Stored), 0)
		}
		if s.Ready++; !stored.Expires {
			break
		}
	}
	var err error
	if !stored.Expires {
		if s.Ready, err = items.Len(ctx); err != nil {
			return err
		}
	}
	if inflight == nil || leases == nil {
		return nil
	}
	alive := map[string]bool{}
	for e, err := range leases.Sorted().Prefix(rawText(claimPrefix)).All(ctx) {
		if err != nil {
			return err
		}
		due, number, err := parseLeaseKey(claimPrefix, e.Key.Text())
		if err != nil {
			return err
		}
		l, err := codec.Default[leaseRow]().Decode(e.Value.Value)
		if err != nil {
			return err
		}
		if _, ok := alive[l.Session]; !ok {
			if alive[l.Session], err = tx.Store().Alive(tx.Context(), l.Session); err != nil {
				return err
			}
		}
		c := ClaimState{ID: number, Attempt: l.Attempt, Session: l.Session, Alive: alive[l.Session]}
		if due != neverDue {
			c.Until = time.Unix(0, due)
		}
		s.Claims = append(s.Claims, c)
	}
	n, err := inflight.Len(ctx)
	s.Claimed = int64(len(s.Claims))
	s.Delayed = n - s.Claimed
	return err
}

// Requeue ends a claim of the deque called name, whoever holds it and whatever its
// type is: the item comes back to the front, as with [Claim.Nack], and the holder's Ack
// fails with ErrLost. It is for people who know that the work will not be done. A claim
// that is over is ErrLost, and a deque that does not exist cache.ErrNotFound.
func Requeue(ctx context.Context, st *cache.Store, name string, id int64) error {
	err := requeueClaim(ctx, st, name, id)
	if err != nil {
		return cache.WrapError(ctx, "Requeue", fullName(name), err)
	}
	return nil
}

func requeueClaim(ctx context.Context, st *cache.Store, name string, id int64) error {
	if st == nil {
		return family.Invalid("nil Store")
	}
	fam, n := beside(name, "leases")
	if _, err := cache.NewRaw(ctx, st, fam+"/"+n, nil); err != nil { // else New would make a deque
		return err
	}
	d, err := New(ctx, st, name, &Options[codec.Value]{Values: encoded("")})
	if err != nil {
		return err
	}
	c := Claim[codec.Value]{d: d, at: &leaseRef{number: id}}
	return errors.Join(c.Nack(ctx, 0), d.Close())
}
