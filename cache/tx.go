package cache

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Tx is a transaction over any collections of one store. [Store.Update] and
// [Store.View] make it; In binds a collection to it:
//
//	err := st.Update(ctx, func(tx *cache.Tx) error {
//		n, err := cache.Incr(ctx, counts.In(tx), "visits", 1)
//		if err != nil {
//			return err
//		}
//		return last.In(tx).Set(ctx, "visit", n)
//	})
//
// A Tx, and what is bound to it, may be used by several goroutines, one
// operation after another, and fails with ErrTxDone once its function has
// returned.
type Tx struct {
	ctx      context.Context
	state    *txState
	readOnly bool
}

// txState is what a transaction shares with those that joined it.
type txState struct {
	store *Store

	mu     sync.Mutex // one operation at a time: driver.Tx is not for several goroutines
	driver driver.Tx  // nil before the start and after the end
	doomed error      // why it cannot commit any more

	afterEnd    []func() // run once it has ended, either way
	afterCommit []func()
}

// Update runs fn in a transaction. When fn returns nil, everything that it
// did becomes visible at once, to every process; when fn returns an error or
// panics nothing of it does, and the error or panic is passed on. fn runs
// exactly once, on the caller's goroutine. Until it returns, other writers of
// the store wait, in all processes; readers do not.
//
// The error of fn is returned as it is. Others are an *[Error]: ErrTimeout if other
// writers have kept Update waiting for StoreOptions.Timeout, that of ctx if it ends
// meanwhile, ErrReadOnly, ErrFull or ErrClosed. After each of them nothing is changed;
// only ErrUncertain leaves that open.
//
// With a context of [Tx.Context], Update joins that transaction: fn's work is
// committed, or not, with the rest of it. If the joined fn fails, all of the
// transaction does, even if the outer function returns nil. Inside View an
// Update fails with ErrReadOnly.
//
// Inside fn, collections of the store are to be used through In(tx). One
// that is not bound knows nothing of the transaction: it reads what was before
// it, and to write it waits for the end of it, in vain, and fails with an
// ErrTimeout that says so; a store in a directory tells its Logger after a second.
// Given the context of [Tx.Context] it fails at once, with ErrInTx.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return s.transact(ctx, "Update", "", driver.Alone, nil, fn)
}

// View runs fn in a snapshot: fn sees every transaction that was committed
// before the call and none that commits later, and cannot write. It holds up
// nothing else, but while it lasts the store's log cannot be cut back, so it should
// not last for minutes.
//
// With a context of [Tx.Context], View joins that transaction and sees what
// it has done so far.
//
// A large value that is overwritten while fn runs may be gone when fn reads
// it. That is an error that wraps fs.ErrNotExist.
func (s *Store) View(ctx context.Context, fn func(tx *Tx) error) error {
	return s.transact(ctx, "View", "", viewing, nil, fn)
}

// viewing is the mode of a View.
const viewing driver.Mode = -1

// transact is Update or View, for op on a collection, "" for the store.
func (s *Store) transact(ctx context.Context, op, collection string, mode driver.Mode, touches []driver.Collection, fn func(tx *Tx) error) error {
	readOnly := mode == viewing
	if fn == nil {
		return WrapError(ctx, op, collection, invalid("nil function"))
	}
	if outer := s.txOf(ctx); outer != nil {
		return outer.join(op, collection, readOnly, fn)
	}
	state := &txState{store: s}
	tx := &Tx{state: state, readOnly: readOnly}
	tx.ctx = context.WithValue(ctx, txKey{s}, tx)

	committed := false
	defer func() { state.settle(committed) }()
	var failed error // fn's own error is passed on as it is
	run := func(dt driver.Tx) error {
		state.begin(dt)
		defer state.end()
		failed = fn(tx)
		if failed == nil {
			failed = state.doom(nil)
		}
		return failed
	}
	var err error
	if readOnly {
		err = s.view(ctx, collection, run)
	} else {
		err = s.update(ctx, collection, mode, run, touches)
	}
	committed = err == nil
	// After a run that the engine has rolled back by itself, failed may be older than err.
	if failed != nil && (errors.Is(err, failed) || !reflect.TypeOf(failed).Comparable()) {
		return failed
	}
	return WrapError(ctx, op, collection, err)
}

// join runs fn as a part of t.
func (t *Tx) join(op, collection string, readOnly bool, fn func(tx *Tx) error) (err error) {
	if !readOnly && t.readOnly {
		return WrapError(t.ctx, op, collection, fmt.Errorf("%w: inside View", ErrReadOnly))
	}
	inner := t
	if readOnly && !t.readOnly {
		inner = &Tx{state: t.state, readOnly: true}
		inner.ctx = context.WithValue(t.ctx, txKey{t.state.store}, inner)
	}
	ok := false
	defer func() {
		if !ok && !readOnly {
			if err == nil { // a panic, which somebody may recover
				err = errors.New("a joined Update panicked")
			}
			_ = t.state.doom(err)
		}
	}()
	err = fn(inner)
	ok = err == nil
	return err
}

type txKey struct{ s *Store }

// txOf returns the running transaction of s that ctx carries, or nil.
func (s *Store) txOf(ctx context.Context) *Tx {
	tx, _ := ctx.Value(txKey{s}).(*Tx)
	if tx == nil || !tx.state.running() {
		return nil
	}
	return tx
}

// outside fails if ctx carries a transaction of s.
func (s *Store) outside(ctx context.Context) error {
	if s.txOf(ctx) != nil {
		return ErrInTx
	}
	return nil
}

// Context returns the context that Update or View was given, with the
// transaction in it: Update and View join it when called with it. After the
// transaction's end the context remains usable and carries nothing.
func (t *Tx) Context() context.Context { return t.ctx }

// Store returns the transaction's store.
func (t *Tx) Store() *Store { return t.state.store }

// AfterCommit has fn called on the goroutine of Update, once the transaction
// is committed and before Update returns. It is not called if the transaction
// is rolled back, or has ended already. In a joined Update it waits for the
// outermost one.
func (t *Tx) AfterCommit(fn func()) {
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	if fn == nil {
		return
	}
	t.state.afterCommit = append(t.state.afterCommit, fn)
}

// do runs fn, which reads or writes, as an operation of the transaction. An
// error of fn is the engine's, after which nothing can be committed.
func (t *Tx) do(ctx context.Context, write bool, fn func(driver.Tx) error) error {
	s := t.state
	if s == nil {
		return ErrTxDone
	}
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.driver == nil:
		return ErrTxDone
	case write && t.readOnly:
		return fmt.Errorf("%w: inside View", ErrReadOnly)
	case s.doomed != nil:
		return fmt.Errorf("the transaction has failed before: %w", s.doomed)
	}
	err := fn(s.driver)
	if err != nil {
		s.doomed = err
	}
	return err
}

func (s *txState) begin(dt driver.Tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.driver = dt
	s.doomed, s.afterCommit = nil, nil // of a run that was rolled back
}

func (s *txState) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.driver = nil
}

func (s *txState) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.driver != nil
}

// doom keeps the first error that forbids the commit, and returns it.
func (s *txState) doom(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doomed == nil {
		s.doomed = err
	}
	return s.doomed
}

// settle runs what waits for the end of the transaction.
func (s *txState) settle(committed bool) {
	for _, fn := range s.afterEnd {
		fn()
	}
	if !committed {
		return
	}
	for _, fn := range s.afterCommit {
		fn()
	}
}

// whenEnded has fn called when the transaction has ended, at once if it has.
func (t *Tx) whenEnded(fn func()) {
	if t.state == nil {
		fn()
		return
	}
	t.state.mu.Lock()
	if t.state.driver != nil {
		t.state.afterEnd = append(t.state.afterEnd, fn)
		fn = nil
	}
	t.state.mu.Unlock()
	if fn != nil {
		fn()
	}
}
