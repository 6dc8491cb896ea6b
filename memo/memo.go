package memo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// Memo is a function with its remembered results. All methods may be called by
// many goroutines at once, and any number of processes may use the same
// results. They are kept as [cache.Cache] keeps entries: they survive
// restarts, and are evicted above a size limit unless Options.Persistent.
type Memo[A, R any] struct {
	name string
	fn   func(context.Context, A) (R, error)
	o    Options[A, R]
	st   *cache.Store
	rand func() float64 // uniform in [0, 1)
	kept kept[A, R]

	open  context.Context // ends when Close of the store begins
	close func()          // ends open
	locks sync.Once       // the first lock was made

	counts counts

	mu         sync.Mutex
	flights    map[string]*flight[R] // what callers can join, by id
	refreshing map[string]bool       // what is computed in the background
}

// New returns fn with its results remembered in st under name. The function
// must be the same, and so must the options that say how results are stored,
// wherever the name is used. fn may call the Memo with other arguments.
func New[A, R any](ctx context.Context, st *cache.Store, name string, fn func(ctx context.Context, arg A) (R, error), o *Options[A, R]) (*Memo[A, R], error) {
	m := &Memo[A, R]{
		name:       name,
		fn:         fn,
		st:         st,
		rand:       rand.Float64,
		flights:    map[string]*flight[R]{},
		refreshing: map[string]bool{},
	}
	if err := m.prepare(ctx, o); err != nil {
		return nil, m.fail("New", err)
	}
	return m, nil
}

func (m *Memo[A, R]) prepare(ctx context.Context, o *Options[A, R]) (err error) {
	switch {
	case m.fn == nil:
		return family.Invalid("nil function")
	case m.st == nil:
		return family.Invalid("nil Store")
	case m.name == "":
		return family.Invalid("a Memo needs a name")
	}
	if m.o, err = o.withDefaults(); err != nil {
		return err
	}
	m.kept.results, err = cache.New(ctx, m.st, m.name, &cache.Options[A, R]{
		Family: "memo", Keys: m.o.Keys, Values: m.o.Values,
		SizeLimit: m.o.SizeLimit, Policy: m.o.Policy, Persistent: m.o.Persistent,
		TagIndex:        m.o.Tag != nil,
		SkipUndecodable: true, // the type has changed: compute anew
	})
	if err == nil && m.o.CacheError != nil {
		m.kept.errors, err = cache.New(ctx, m.st, m.name, &cache.Options[A, string]{Family: "memo-errors", Keys: m.o.Keys})
	}
	if err == nil && m.o.Tag != nil && m.o.Beta > 0 {
		m.kept.took, err = cache.New(ctx, m.st, m.name, &cache.Options[A, float64]{Family: "memo-took", Keys: m.o.Keys, TagIndex: true})
	}
	if err == nil {
		m.kept.removals, err = openRemovals(ctx, m.st, m.name)
	}
	if err != nil {
		return err
	}
	m.open, m.close = context.WithCancel(context.Background())
	_, err = m.st.AtClose(m.close)
	return err
}

// Call returns the result for arg: the remembered one, or else that of the
// function, which is called once for all callers that wait. When ctx ends, Call
// returns with its error and the other callers go on waiting. A result that is damaged, as its
// file may be, is computed anew and replaced. Given the context of a transaction,
// the methods of a Memo fail with cache.ErrInTx: see [Memo.In].
func (m *Memo[A, R]) Call(ctx context.Context, arg A) (v R, err error) {
	e, ok, err := m.kept.results.GetEntry(ctx, arg)
	if err != nil && !damaged(err) {
		m.counts.misses.Add(1)
		return m.without(ctx, "Call", arg, err)
	}
	if ok {
		age := m.st.Now().Sub(e.Stored)
		if m.fresh(age) {
			m.counts.hits.Add(1)
			if m.due(ctx, arg, age, &e) {
				m.refresh(ctx, arg, e.Stored)
			}
			return e.Value, nil
		}
	}
	if m.kept.errors != nil {
		msg, ok, err := m.kept.errors.Get(ctx, arg)
		if ok {
			m.counts.hits.Add(1)
			return v, &StoredError{msg}
		}
		if err != nil && !m.o.CallOnStoreError && !damaged(err) {
			m.counts.misses.Add(1)
			return v, m.fail("Call", err)
		}
	}
	m.counts.misses.Add(1)
	return m.miss(ctx, "Call", arg, false)
}

// fresh reports whether a result of some age is valid. One from the future was
// stored while the clock was ahead: nobody knows how old it is.
func (m *Memo[A, R]) fresh(age time.Duration) bool {
	return m.o.TTL == 0 || age < m.o.TTL && age >= -clock.MaxAhead
}

// due reports whether it is time to compute the next result early.
//
// The probabilistic rule is XFetch of A. Vattani, F. Chierichetti and K.
// Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", PVLDB 8(8),
// 2015, pages 886-897 (https://doi.org/10.14778/2757807.2757813). A caller
// recomputes if
//
//	now - delta * beta * ln(rand()) >= expiry
//
// where delta is the time that the last computation took and rand is uniform
// in (0, 1].
func (m *Memo[A, R]) due(ctx context.Context, arg A, age time.Duration, e *cache.Entry[A, R]) bool {
	if m.o.RefreshAfter > 0 && (age >= m.o.RefreshAfter || age < -clock.MaxAhead) {
		return true
	}
	if m.o.Beta == 0 {
		return false
	}
	delta := m.delta(ctx, arg, e.Tag.Value)
	early := -delta * m.o.Beta * math.Log(1-m.rand())
	return age.Seconds()+early >= m.o.TTL.Seconds()
}

// delta returns how many seconds a computation took. Without Options.Tag that
// is the tag of its result.
func (m *Memo[A, R]) delta(ctx context.Context, arg A, tag codec.Value) float64 {
	switch {
	case m.kept.took != nil:
		n, _, err := m.kept.took.Get(ctx, arg)
		m.report(ctx, "Call", m.fail("Call", err)) // the result is there, and valid
		return n
	case tag.Kind() == codec.Real:
		return tag.Real()
	}
	return 0
}

// Peek returns the result for arg if a valid one is remembered, and calls
// nothing. One that is damaged is none.
func (m *Memo[A, R]) Peek(ctx context.Context, arg A) (R, bool, error) {
	return m.peek(ctx, &m.kept, arg)
}

func (m *Memo[A, R]) peek(ctx context.Context, k *kept[A, R], arg A) (R, bool, error) {
	e, ok, err := k.results.GetEntry(ctx, arg)
	if damaged(err) {
		m.report(ctx, "Peek", m.fail("Peek", err))
		err = nil
	}
	if err != nil || !ok || !m.fresh(m.st.Now().Sub(e.Stored)) {
		var zero R
		return zero, false, m.fail("Peek", err)
	}
	return e.Value, true, nil
}

// Refresh calls the function even if a result for arg is remembered, stores
// what it returns and returns that. Until then, and if it fails, others get
// the old result.
func (m *Memo[A, R]) Refresh(ctx context.Context, arg A) (R, error) {
	return m.miss(ctx, "Refresh", arg, true)
}

// Forget removes what is remembered for arg, an error included, and reports
// whether there was a result. A computation of it that runs during Forget, in any
// process, is not stored. Callers who wait for that computation already get its
// result; a later caller computes anew, at once.
func (m *Memo[A, R]) Forget(ctx context.Context, arg A) (bool, error) {
	ok, err := m.forget(ctx, arg)
	return ok, m.fail("Forget", err)
}

func (m *Memo[A, R]) forget(ctx context.Context, arg A) (ok bool, err error) {
	id, err := m.id(arg)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	if f := m.flights[id]; f != nil && f.started() {
		delete(m.flights, id)
	}
	m.mu.Unlock()
	l, err := m.lock(ctx, id)
	if err != nil {
		return false, err
	}
	// First the lock, without which nothing is stored.
	if _, err = l.Break(ctx); err != nil {
		return false, err
	}
	err = family.Repeat(func() error {
		removed := false
		err := m.st.Update(ctx, func(tx *cache.Tx) (err error) {
			removed, err = m.kept.in(tx).delete(ctx, arg)
			return err
		})
		ok = ok || removed // perhaps by an uncertain try
		return err
	})
	return ok, err
}

// Clear removes everything that is remembered, errors included, and returns
// how many results there were. Computations that run during Clear, in any process,
// are not stored. Callers who wait for them already get their results; a later caller
// waits until they have ended, and computes anew. If Clear fails, it has removed some
// of the results, and returns how many.
func (m *Memo[A, R]) Clear(ctx context.Context) (n int, err error) {
	if err = m.outside(ctx); err == nil {
		n, err = m.kept.clear(ctx)
	}
	return n, m.fail("Clear", err)
}

// Evict removes the results that Options.Tag gave a tag, and returns how many
// there were:
//
//	n, err := pages.Evict(ctx, cache.Tag("user:7"))
//
// A computation that runs during Evict, in any process, is not stored if its result
// gets the tag. Callers who wait for the computation already get that result. A later
// caller waits until the computation has ended, whatever its tag will be, and then
// gets what is stored, or computes anew. Errors have no tag, and stay. If Evict fails,
// it has removed some of the results, and returns how many. Without Options.Tag it
// fails with cache.ErrInvalid.
func (m *Memo[A, R]) Evict(ctx context.Context, tag cache.TagValue) (n int, err error) {
	if err = m.outside(ctx); err == nil {
		n, err = m.evict(ctx, &m.kept, tag)
	}
	return n, m.fail("Evict", err)
}

func (m *Memo[A, R]) evict(ctx context.Context, k *kept[A, R], tag cache.TagValue) (int, error) {
	switch {
	case m.o.Tag == nil:
		return 0, family.Invalid("results have no tags without Options.Tag")
	case tag.IsNull():
		return 0, family.Invalid("no tag that can be stored; Clear removes everything")
	}
	return k.evict(ctx, tag)
}

// outside fails if ctx is that of a transaction.
func (m *Memo[A, R]) outside(ctx context.Context) error {
	if m.st.TxOf(ctx) != nil {
		return cache.ErrInTx
	}
	return nil
}

// without does what is to be done when the store has failed with err.
func (m *Memo[A, R]) without(ctx context.Context, op string, arg A, err error) (R, error) {
	var zero R
	if ctx.Err() != nil || !m.o.CallOnStoreError || !storeFailed(err) {
		return zero, m.fail(op, err)
	}
	m.report(ctx, op, m.fail(op, err))
	return m.run(ctx, op, m.fn, arg)
}

// storeFailed reports whether err is about the store, not about its use.
func storeFailed(err error) bool {
	for _, use := range []error{cache.ErrClosed, cache.ErrInvalid, cache.ErrInTx, cache.ErrTxDone, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, use) {
			return false
		}
	}
	var encoding *codec.EncodeError
	return !errors.As(err, &encoding)
}

// damaged reports whether err, of reading something that is remembered, is a
// reason to compute it anew: should all of the store have failed, that will turn
// out. What is larger than a limit would be so again.
func damaged(err error) bool {
	return err != nil && storeFailed(err) && !errors.Is(err, cache.ErrTooLarge)
}

// id returns what tells arguments apart.
func (m *Memo[A, R]) id(arg A) (string, error) {
	v, err := m.o.Keys.Encode(arg)
	if err != nil {
		return "", err
	}
	switch v.Kind() {
	case codec.Text:
		return "t" + v.Text(), nil
	case codec.Blob:
		return "b" + string(v.Blob()), nil
	case codec.Integer:
		return fmt.Sprint("i", v.Integer()), nil
	case codec.Real:
		return fmt.Sprint("r", v.Real()), nil
	}
	return "", family.Invalid("the argument is encoded as null, which no result can be stored under")
}

// lock returns the lock that whoever computes a result holds.
func (m *Memo[A, R]) lock(ctx context.Context, id string) (*dsync.Lock, error) {
	l, err := dsync.NewLock(ctx, m.st, fmt.Sprintf("memo/%s/%x", m.name, sha256.Sum256([]byte(id))), nil)
	if err != nil {
		return nil, err
	}
	// When the store is closed, package sync waits for its operations. Those of this
	// Memo have to have been told to end by then. What was registered last comes
	// first: so the Memo registers again, after package sync has.
	m.locks.Do(func() { _, err = m.st.AtClose(m.close) })
	return l, err
}
