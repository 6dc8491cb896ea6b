package memory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Store is a [driver.Store] whose data is in memory.
type Store struct {
	data    *Data
	options Options
	session string         // "" until somebody asks for it; guarded by data.mu
	counted driver.Metrics // guarded by data.mu

	mu      sync.Mutex // guards ending and the growth of running
	running sync.WaitGroup
	ending  bool

	closing chan struct{} // closed when Close begins: waiting calls give up
	closed  chan struct{} // closed when Close is done
}

var _ driver.Metered = (*Store)(nil)

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

// View implements [driver.Store].
func (s *Store) View(ctx context.Context, fn func(driver.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.data.tryAbsorb()
	x := &tx{store: s, state: s.data.state.Load()}
	defer x.end()
	return fn(x)
}

// Update implements [driver.Store].
func (s *Store) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	run := fn
	if mode != driver.Alone && s.options.Declared {
		run = func(dt driver.Tx) error {
			dt.(*tx).declared = append([]driver.Collection{}, touches...)
			return fn(dt)
		}
	}
	if mode != driver.Alone && s.options.RunTwice {
		err := s.write(ctx, func(x *tx) error {
			_ = run(x)
			return errRehearsal
		})
		if err != errRehearsal {
			return err
		}
	}
	return s.write(ctx, func(x *tx) error { return run(x) })
}

// errRehearsal rolls the first of two runs back.
var errRehearsal = errors.New("memory: rehearsal")

// write runs fn in a transaction, after the other writers, and commits it.
func (s *Store) write(ctx context.Context, fn func(*tx) error) error {
	if s.options.ReadOnly {
		return driver.ErrReadOnly
	}
	if err := s.data.lock(ctx, s.options.Timeout, s.closing); err != nil {
		return err
	}
	// Deferred, as fn may panic, or end its goroutine as a failing test does.
	defer s.data.unlock()
	s.data.absorb(nil)
	x := s.begin()
	defer x.end()
	if err := fn(x); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.data.commit(x)
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	x.counted.Commits = driver.Histogram{Counts: []int64{1}, Sum: 1}
	s.counted.Add(x.counted)
	return nil
}

// begin returns a transaction that may write. The caller is the writer.
func (s *Store) begin() *tx {
	return &tx{store: s, state: s.data.state.Load().clone(), writable: true}
}

func (x *tx) end() { x.ended = true }

// Get implements [driver.Store].
func (s *Store) Get(ctx context.Context, c driver.Collection, key codec.Value, l driver.Lookup) (r driver.Row, ok bool, err error) {
	err = s.View(ctx, func(x driver.Tx) error {
		r, ok, err = x.Get(ctx, c, key, l)
		return err
	})
	return r, ok, err
}

// Stats implements [driver.Store].
func (s *Store) Stats(ctx context.Context, c driver.Collection, reset bool) (driver.Stats, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Stats{}, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return driver.Stats{}, err
	}
	var stats driver.Stats
	if reset {
		err := s.write(ctx, func(x *tx) error {
			t, err := x.change(ctx, own)
			if err == nil {
				stats, t.stats = t.stats, driver.Stats{}
			}
			return err
		})
		return stats, err
	}
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	t := s.data.state.Load().find(own)
	if t == nil {
		return driver.Stats{}, driver.ErrClosed
	}
	stats = t.stats
	if more := s.data.marks.stats[t.id]; more != nil {
		stats.Hits += more.Hits
		stats.Misses += more.Misses
	}
	return stats, nil
}

// Volume implements [driver.Measurer], with a part "memory".
func (s *Store) Volume(ctx context.Context) (driver.Volume, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Volume{}, err
	}
	defer s.leave()
	var n int64
	for t := range maps.Values(s.data.state.Load().tables) {
		n += t.volume
	}
	return driver.Volume{Total: n, Parts: map[string]int64{"memory": n}}, nil
}

// Names implements [driver.Store].
func (s *Store) Names(ctx context.Context) ([]string, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	return slices.Sorted(maps.Keys(s.data.state.Load().tables)), nil
}

// ReadOnly implements [driver.Store].
func (s *Store) ReadOnly() bool { return s.options.ReadOnly }

// Close implements [driver.Store]. The data remains if it was made as a
// [Data].
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.ending
	s.ending = true
	s.mu.Unlock()
	if !first {
		<-s.closed
		return nil
	}
	close(s.closing)
	s.running.Wait()

	d := s.data
	d.mu.Lock()
	defer d.mu.Unlock()
	s.endSessions()
	close(s.closed)
	for w := range d.watchers {
		if w.store == s {
			w.signal()
			delete(d.watchers, w)
		}
	}
	return nil
}
