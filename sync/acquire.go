package sync

import (
	"context"
	"errors"
	"slices"
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
	p, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	c := s.claim(q, p)
	s.expect(l, &c)
	held, err := s.step(ctx, q.key, q.size, c, true)
	if err != nil {
		return nil, s.refused(ctx, q.key, c, err)
	}
	if held == nil {
		if held, err = s.wait(ctx, q, c, l, p); err != nil {
			return nil, errors.Join(err, s.withdraw(q.key, c))
		}
	}
	return s.held(ctx, q.key, *held, p), nil
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
	p, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	c := s.claim(q, p)
	held, err := s.step(ctx, q.key, q.size, c, false)
	if err != nil {
		return nil, s.refused(ctx, q.key, c, err)
	}
	if held == nil {
		return nil, nil
	}
	return s.held(ctx, q.key, *held, p), nil
}

func (s *space) claim(q want, p *session) claim {
	return claim{Owner: p.owner, ID: newID(), N: q.n, Max: int64(q.max)}
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
func (s *space) wait(ctx context.Context, q want, c claim, l *line, p *session) (*claim, error) {
	if err := s.listen(); err != nil {
		return nil, err
	}
	defer s.unlisten()
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
		if !again {
			var held *claim
			if held, again, err = s.pause(ctx, &row, &c, l, p); held != nil || err != nil {
				return held, err
			}
		}
		if again {
			held, err := s.step(ctx, q.key, q.size, c, true)
			if held != nil || err != nil {
				return held, err
			}
		}
	}
}

// pause waits until c, which is in row's queue, may have its turn. It returns the
// hold that c has become, if that was heard of, and whether c may have to take
// its turn by itself.
func (s *space) pause(ctx context.Context, row *lease, c *claim, l *line, p *session) (held *claim, again bool, err error) {
	dead, stop, err := s.st.WatchSession(s.ahead(row, c)...)
	if err != nil {
		return nil, false, err
	}
	defer stop()
	var over <-chan time.Time
	if d, ok := row.soonest(s.st.Now()); ok {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-l.changed:
		return s.heard(l), false, nil
	case <-dead:
	case <-over:
	case <-p.lost:
		return nil, false, errSession
	case <-ctx.Done():
		return nil, false, ended(ctx)
	case <-s.closed:
		return nil, false, cache.ErrClosed
	}
	return nil, true, nil
}

// ahead returns the sessions, but for our own, that c, which is in row's queue,
// waits for.
func (s *space) ahead(row *lease, c *claim) (sessions []string) {
	add := func(c *claim) {
		if name := c.session(); !s.isOwn(name) && !slices.Contains(sessions, name) {
			sessions = append(sessions, name)
		}
	}
	for i := range row.Holds {
		add(&row.Holds[i])
	}
	if first := &row.Queue[0]; !first.is(c) {
		add(first)
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
