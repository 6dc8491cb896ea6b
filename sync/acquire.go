package sync

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// want is what somebody asks for.
type want struct {
	key  string
	size int64         // of the lock or semaphore
	n    int64         // permits
	max  time.Duration // maximum hold, or 0
}

// acquire waits until a claim is granted.
func (s *space) acquire(ctx context.Context, q want) (*hold, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.busy.Done()
	s.tidy()

	l, w := s.join(q.key)
	defer s.leave(q.key, l, w)
	if err := s.await(ctx, w); err != nil {
		return nil, err
	}
	c := s.claim(q)
	s.expect(l, &c)
	held, err := s.step(ctx, q.key, q.size, c, true)
	if err != nil {
		return nil, s.refused(ctx, q.key, c, err)
	}
	if held == nil {
		if held, err = s.wait(ctx, q, c, l); err != nil {
			return nil, errors.Join(err, s.withdraw(q.key, c))
		}
	}
	return s.held(ctx, q.key, *held), nil
}

// try is acquire without waiting; without an error, a nil hold means that
// others hold or wait.
func (s *space) try(ctx context.Context, q want) (*hold, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.busy.Done()
	s.tidy()
	if s.lined(q.key) {
		return nil, nil
	}
	c := s.claim(q)
	held, err := s.step(ctx, q.key, q.size, c, false)
	if err != nil {
		return nil, s.refused(ctx, q.key, c, err)
	}
	if held == nil {
		return nil, nil
	}
	return s.held(ctx, q.key, *held), nil
}

func (s *space) claim(q want) claim {
	return claim{Owner: s.owner, ID: newID(), N: q.n, Max: int64(q.max)}
}

// refused returns err, with which a first step has failed. Unless err says
// that nothing was written, the claim is withdrawn.
func (s *space) refused(ctx context.Context, key string, c claim, err error) error {
	for _, clean := range []error{cache.ErrInvalid, cache.ErrReadOnly, cache.ErrTimeout, cache.ErrClosed, cache.ErrFull} {
		if errors.Is(err, clean) {
			return err
		}
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return errors.Join(err, s.withdraw(key, c))
}

// patience is how long a caller whose context has ended is kept until its
// place in a queue has been given up. With a store that is busy for longer,
// that goes on without it.
const patience = 100 * time.Millisecond

// withdraw gives a claim up that was written.
func (s *space) withdraw(key string, c claim) error {
	done := make(chan error, 1)
	s.busy.Add(1) // close waits: it is inside of another operation
	go func() {
		defer s.busy.Done()
		done <- s.abandon(key, &c)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return nil
	}
}

// wait waits in the row's queue. Whoever lets c have its turn wakes it. As
// nobody does so for one who died, it also waits for the ends of those it is
// behind.
func (s *space) wait(ctx context.Context, q want, c claim, l *line) (*claim, error) {
	if err := s.listen(); err != nil {
		return nil, err
	}
	defer s.unlisten()

	dead := make(chan struct{}, 1)
	ends := map[string]func(){} // by session
	defer func() {
		for _, stop := range ends {
			stop()
		}
	}()
	for {
		// What has changed before listen, nobody told.
		row, _, err := s.rows.Get(ctx, q.key)
		if err != nil {
			return nil, err
		}
		if h := row.held(&c); h != nil {
			return h, nil
		}
		again := index(row.Queue, &c) < 0 // the row was removed
		var timer *time.Timer
		var over <-chan time.Time
		if !again {
			s.mourn(row.ahead(&c), ends, dead)
			if d, ok := row.soonest(s.st.Now()); ok {
				timer = time.NewTimer(d)
				over = timer.C
			}
			select {
			case <-l.changed:
				if h := s.heard(l); h != nil {
					if timer != nil {
						timer.Stop()
					}
					return h, nil
				}
			case <-dead:
				again = true
			case <-over:
				again = true
			case <-ctx.Done():
				err = ended(ctx)
			case <-s.closed:
				err = cache.ErrClosed
			}
			if timer != nil {
				timer.Stop()
			}
		}
		if err != nil {
			return nil, err
		}
		if again {
			held, err := s.step(ctx, q.key, q.size, c, true)
			if held != nil || err != nil {
				return held, err
			}
		}
	}
}

// ahead returns the sessions that c, which is in the queue, waits for.
func (l *lease) ahead(c *claim) map[string]bool {
	sessions := map[string]bool{}
	for i := range l.Holds {
		sessions[l.Holds[i].session()] = true
	}
	if first := &l.Queue[0]; !first.is(c) {
		sessions[first.session()] = true
	}
	return sessions
}

// soonest returns how long it takes until the time of a hold is over, and
// false if there is no such hold.
func (l *lease) soonest(now time.Time) (d time.Duration, ok bool) {
	for i := range l.Holds {
		if t, limited := l.Holds[i].until(); limited && (!ok || t.Sub(now) < d) {
			d, ok = t.Sub(now), true
		}
	}
	return max(d, 0), ok
}
