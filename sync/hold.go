package sync

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// hold is a claim that was granted to this process.
type hold struct {
	s       *space
	key     string
	claim   claim // N is guarded by mu
	session *session
	parent  context.Context

	releasing sync.Mutex // one release, or look, at a time; before mu and space.mu

	mu       sync.Mutex
	released bool
	lost     error // why it was lost
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer // of the maximum hold
	observed bool

	unseen atomic.Bool // somebody has told to look, and nobody has begun to since
}

// held makes a hold of a granted claim.
func (s *space) held(ctx context.Context, key string, c claim, p *session) *hold {
	h := &hold{s: s, key: key, claim: c, session: p, parent: ctx}
	s.mu.Lock()
	s.holds[h] = struct{}{}
	s.mu.Unlock()
	if t, ok := c.until(); ok {
		h.mu.Lock()
		h.timer = time.AfterFunc(t.Sub(s.st.Now()), func() {
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
	h.ctx, h.cancel = context.WithCancelCause(h.parent)
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

// observe has the listener look whether h is lost. The caller has mu.
func (h *hold) observe() {
	if h.s.listen() != nil {
		return // the store is about to close, which ends h
	}
	h.observed = true
	h.s.mu.Lock()
	h.s.observed[h] = struct{}{}
	h.s.mu.Unlock()
}

// look finds out whether h was lost.
func (h *hold) look() {
	h.unseen.Store(true)
	h.catchUp()
}

// catchUp looks if that is still to be done. A row that h is being removed from
// says nothing, and what another look has read may be older: whoever has
// releasing does it when it is through.
func (h *hold) catchUp() {
	for h.unseen.Load() && h.releasing.TryLock() {
		h.unseen.Store(false)
		row, _, err := h.s.rows.Get(context.Background(), h.key)
		if err == nil && row.held(&h.claim) == nil {
			h.lose(ErrLost)
		}
		h.releasing.Unlock()
	}
}

// checkSession loses h if its session was lost, which nobody may have told.
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

// finish ends what belongs to a hold that is lost or released.
func (h *hold) finish(why error) {
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.cancel != nil {
		h.cancel(why)
	}
	h.s.mu.Lock()
	delete(h.s.holds, h)
	delete(h.s.observed, h)
	h.s.mu.Unlock()
	if h.observed {
		h.observed = false
		h.s.unlisten()
	}
}

// release gives n permits back, or all with n = 0.
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
	if lost != nil { // perhaps nobody has taken it yet
		n, all = 0, true
	}
	ok, err := h.giveBack(n)
	switch {
	case lost != nil:
		return lost
	case err != nil:
		return err // nothing has changed, as far as is known
	case !ok:
		h.lose(ErrLost)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.released = true
		return h.lost
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !all {
		h.claim.N -= n
		return nil
	}
	h.released = true
	if h.lost == nil {
		h.finish(nil)
	}
	return nil
}

func (h *hold) giveBack(n int64) (bool, error) {
	if err := h.s.enter(context.Background()); err != nil {
		return false, err
	}
	defer h.s.busy.Done()
	h.s.tidy()
	return h.s.giveBack(h.key, &h.claim, n)
}

// check fails unless h is held as tx sees it.
func (h *hold) check(tx *cache.Tx) error {
	if tx == nil {
		return invalid("nil Tx")
	}
	if err := h.state(); err != nil {
		return err
	}
	row, _, err := h.s.rows.In(tx).Get(tx.Context(), h.key)
	if err != nil {
		return err
	}
	c := row.held(&h.claim)
	if c == nil || c.over(h.s.st.Now()) {
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
