package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Store is a [driver.Store] in a PostgreSQL database.
type Store struct {
	options  Options
	conns    *conns
	direct   *conns // for those that live long: conns, without a DirectURL
	unlogged bool   // a crash of the server empties all collections
	locks    int32  // first number of its advisory locks

	turns    turns
	counters counters
	asks     asks
	near     near
	groups   groups
	marks    marks
	views    views
	stats    counts
	clock    clock
	read     atomic.Bool // something was read since the keeper looked
	final    bool        // Close writes what is left

	position    atomic.Int64 // of the server's log, on disk, when it was last looked at
	incarnation atomic.Int64 // then

	unswept atomic.Bool // there may be something to be removed

	patience   time.Duration                // the commitTimeout
	committing func(c *pgx.Conn, sent bool) // for tests: called before and after COMMIT is sent
	finding    func()                       // for tests: called when a Get has found its row

	sessions sessions
	watches  watches
	ends     ends
	pins     pins

	mu          sync.Mutex // guards what follows, and the growth of running
	running     sync.WaitGroup
	ending      bool
	collections map[int32]*shared

	closing context.Context // ends when Close begins: who waits gives up
	close   context.CancelCauseFunc
	closed  chan struct{}  // closed when Close is done
	keepers sync.WaitGroup // goroutines of the store
}

var (
	_ driver.Store    = (*Store)(nil)
	_ driver.Filer    = (*Store)(nil)
	_ driver.Checker  = (*Store)(nil)
	_ driver.Measurer = (*Store)(nil)
	_ driver.Clocked  = (*Store)(nil)
	_ driver.Metered  = (*Store)(nil)
)

// maxSchema is how long the server lets a name be, in bytes.
const maxSchema = 63

// open opens a store. It returns an interface, so that an error comes with nil.
func open(ctx context.Context, config *pgx.ConnConfig, o Options) (driver.Store, error) {
	s := &Store{options: o, conns: newConns(config, o), collections: make(map[int32]*shared), closed: make(chan struct{}), patience: commitTimeout}
	s.closing, s.close = context.WithCancelCause(context.Background())
	s.watches.init()
	s.ends.watches, s.ends.look = make(map[*endWatch]struct{}), make(chan struct{}, 1)
	if !o.ReadOnly { // a standby cannot be asked for the incarnation
		s.near.limit, s.near.maxStale = o.NearCache, o.MaxStale
	}
	s.sessions.init()
	s.pins.init()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(o.Schema) > maxSchema || strings.ContainsRune(o.Schema, 0) {
		return nil, fmt.Errorf("%w: the name of the schema is longer than %d bytes, which the server would cut, or has a NUL", driver.ErrInvalid, maxSchema)
	}
	s.direct = s.conns
	if o.DirectURL != "" {
		config, err := parse(o.DirectURL)
		if err != nil {
			return nil, err
		}
		s.direct = newConns(config, o)
	}
	err := s.prepare(ctx)
	if err == nil {
		err = s.setClock(ctx)
	}
	if err != nil {
		s.conns.close()
		s.direct.close()
		return nil, err
	}
	s.unswept.Store(true)
	s.keepers.Go(s.keep)
	return s, nil
}

// enter begins a call. If it returns nil, leave has to follow.
func (s *Store) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return driver.ErrClosed
	}
	s.running.Add(1)
	return nil
}

func (s *Store) leave() { s.running.Done() }

// waiting returns a context for what must not keep Close waiting.
func (s *Store) waiting(ctx context.Context) (_ context.Context, stop func()) {
	if s.final {
		return ctx, func() {}
	}
	out, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(s.closing, func() { cancel(driver.ErrClosed) })
	return out, func() {
		unhook()
		cancel(nil)
	}
}

// deadline returns the moment at which a call that begins now has waited for long
// enough; zero: never.
func (s *Store) deadline() time.Time {
	if s.options.Timeout < 0 {
		return time.Time{}
	}
	return time.Now().Add(s.options.Timeout)
}

// ReadOnly implements [driver.Store].
func (s *Store) ReadOnly() bool { return s.options.ReadOnly }

// Close implements [driver.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.ending
	s.ending = true
	s.mu.Unlock()
	if !first {
		<-s.closed
		return nil
	}
	defer close(s.closed)
	s.close(driver.ErrClosed)
	s.running.Wait()
	s.keepers.Wait()
	s.final = true
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := errors.Join(s.flushAll(ctx, s.deadline)...)
	s.sweep(ctx)
	s.sessions.close()
	s.watches.close()
	s.pins.close(s)
	s.conns.close()
	s.direct.close()
	return err
}

// closeTimeout bounds what Close writes.
const closeTimeout = 20 * time.Second

// keepEvery is how often the store looks after what is not urgent.
const keepEvery = time.Second

// keep writes down what reads have left behind, removes what nobody uses any more, and
// follows the server's clock.
func (s *Store) keep() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.closing.Done():
			return
		case <-tick.C:
		}
		if err := s.flushSoon(s.closing); err != nil && s.closing.Err() == nil {
			s.options.Logger.Warn("what reads left behind is not written yet", "err", err)
		}
		s.sweep(s.closing)
		if n%clockEvery == 0 {
			if err := s.setClock(s.closing); err != nil && s.closing.Err() == nil {
				s.options.Logger.Warn("the server's clock is not known", "err", err)
			}
		}
		s.refresh(s.closing)
	}
}
