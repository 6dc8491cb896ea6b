package sync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// hold is a granted claim of this process: a Guard's or a Permit's.
type hold struct {
	m       *manager
	key     string
	claim   claim // N is guarded by mu
	session *session
	nested  *nested     // the guards of an RLock; nil for others
	parent  holdContext // what the hold's context derives from

	releasing sync.Mutex // held by a release or a look at the row; taken before mu and manager.mu
	uncertain bool       // a release may have removed the claim; guarded by releasing

	mu       sync.Mutex
	released bool
	lost     error // why it was lost
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer // of the maximum time
	observed bool

	unseen atomic.Bool // a wake-up has come, and no look at the row has begun since
}

// holdContext is the context that a hold was taken with, with the hold in it: it tells
// that a caller was given the context of a guard or permit.
type holdContext struct {
	context.Context
	h *hold
}

type holdKey struct{}

func (c *holdContext) Value(key any) any {
	if key == (holdKey{}) {
		return c.h
	}
	return c.Context.Value(key)
}

// innermost returns the hold of the innermost guard or permit whose context ctx
// derives from, or nil.
func innermost(ctx context.Context) *hold {
	h, _ := ctx.Value(holdKey{}).(*hold)
	return h
}

// outer returns the hold in whose context h was taken, or nil.
func (h *hold) outer() *hold { return innermost(h.parent.Context) }

// newHold makes a hold of a granted claim. Its context derives from ctx.
func (m *manager) newHold(ctx context.Context, key string, c claim, p *session) *hold {
	h := &hold{m: m, key: key, claim: c, session: p}
	h.parent = holdContext{ctx, h}
	m.mu.Lock()
	m.holds[h] = struct{}{}
	m.mu.Unlock()
	if t, ok := c.until(); ok {
		h.mu.Lock()
		h.timer = time.AfterFunc(t.Sub(m.st.Now()), func() {
			h.lose(fmt.Errorf("%w: its maximum time is over", ErrLost))
		})
		h.mu.Unlock()
	}
	return h
}

// context returns a context that ends with the hold.
func (h *hold) context() context.Context {
	h.checkSession()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx != nil {
		return h.ctx
	}
	h.ctx, h.cancel = context.WithCancelCause(&h.parent)
	switch {
	case h.lost != nil:
		h.cancel(h.lost)
	case h.released:
		h.cancel(nil)
	default:
		h.observe()
	}
	return h.ctx
}

// observe has the listener call look when h's row may have changed. The caller has
// locked mu.
func (h *hold) observe() {
	if h.m.listen() != nil {
		return // the store is being closed, and that ends h
	}
	h.observed = true
	h.m.mu.Lock()
	h.m.observed[h] = struct{}{}
	h.m.mu.Unlock()
}

// look has the row read, and h lost if it is not in there any more.
func (h *hold) look() {
	h.unseen.Store(true)
	h.catchUp()
}

// catchUp reads the row if a wake-up asks for it. It does nothing while a release
// runs, which removes h from the row itself, or another look, which may have read the
// row before the wake-up: they call catchUp when they have unlocked releasing.
func (h *hold) catchUp() {
	for h.unseen.Load() && h.releasing.TryLock() {
		h.unseen.Store(false)
		row, _, err := h.m.rows.Get(context.Background(), h.key)
		if err == nil && row.held(&h.claim) == nil {
			h.lose(ErrLost)
		}
		h.releasing.Unlock()
	}
}

// checkSession loses h if its session was lost. The listener, if it runs, may not
// have seen that yet.
func (h *hold) checkSession() {
	if h.session.isLost() {
		h.lose(errSession)
	}
}

// lose marks h as lost and ends its context, unless it was released.
func (h *hold) lose(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != nil || h.released {
		return
	}
	h.lost = why
	h.finish(why)
}

// finish stops the timer and the observation of a hold that is lost or released, and
// ends its context. The caller has locked mu.
func (h *hold) finish(why error) {
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.cancel != nil {
		h.cancel(why)
	}
	h.m.mu.Lock()
	delete(h.m.holds, h)
	delete(h.m.observed, h)
	h.m.mu.Unlock()
	if h.observed {
		h.observed = false
		h.m.unlisten()
	}
}

// release gives n permits back, or all of them with n = 0.
func (h *hold) release(n int64) error {
	err := h.tryRelease(n)
	h.catchUp()
	return err
}

func (h *hold) tryRelease(n int64) error {
	h.releasing.Lock()
	defer h.releasing.Unlock()
	h.checkSession()
	h.mu.Lock()
	lost := h.lost
	left := h.claim.N
	if h.released || n > left {
		h.mu.Unlock()
		if lost != nil {
			return lost
		}
		return ErrNotHeld
	}
	if lost != nil {
		h.released = true
	}
	h.mu.Unlock()

	all := n == 0 || n == left
	if lost != nil { // it may still be in the row
		all = true
	}
	if left -= n; all {
		left = 0
	}
	ok, err := h.giveBack(left)
	switch {
	case lost != nil:
		return lost
	case err != nil: // nothing has changed, as far as is known
		if all {
			h.uncertain = h.uncertain || ok && errors.Is(err, cache.ErrUncertain)
			h.m.releaseLater(unreleased{key: h.key, claim: h.claim, hold: h}, err)
		}
		return err
	case !ok && !(all && h.uncertain):
		h.lose(ErrLost)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.released = true
		return h.lost
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !all {
		h.claim.N = left
		return nil
	}
	h.released = true
	if h.lost == nil {
		h.finish(nil)
	}
	return nil
}

func (h *hold) giveBack(left int64) (bool, error) {
	if err := h.m.enter(context.Background()); err != nil {
		return false, err
	}
	defer h.m.busy.Done()
	return h.m.giveBack(h.key, &h.claim, left)
}

// check fails unless h is held as tx sees it.
func (h *hold) check(tx *cache.Tx) error {
	if tx == nil {
		return family.Invalid("nil Tx")
	}
	if err := h.state(); err != nil {
		return err
	}
	row, _, err := h.m.rows.In(tx).Get(tx.Context(), h.key)
	if err != nil {
		return err
	}
	c := row.held(&h.claim)
	if c == nil || c.over(h.m.st.Now()) {
		return ErrLost
	}
	return nil
}

// state returns nil while h is held, as far as is known.
func (h *hold) state() error {
	h.checkSession()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.lost != nil:
		return h.lost
	case h.released:
		return ErrNotHeld
	}
	return nil
}
