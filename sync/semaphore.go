package sync

import (
	"context"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// Semaphore has a number of permits, which all goroutines and processes that use one
// store share. The goroutines of a process get permits in the order in which they
// asked: one that wants few permits does not overtake one that wants more. Processes
// that wait take turns. When a process dies its permits are free; a process that waits
// notices within 50 ms. Close of a store releases the permits that were acquired with
// it. All methods may be called by many goroutines at once. Given the context of a
// transaction they fail with cache.ErrInTx.
type Semaphore struct {
	m    *manager
	key  string
	size int64
	max  LockOptions
}

// NewSemaphore returns the semaphore called name of a store, with size
// permits, and creates it if it does not exist. If it does, with another size,
// the error is ErrSize; see Resize.
func NewSemaphore(ctx context.Context, st *cache.Store, name string, size int64, o *LockOptions) (*Semaphore, error) {
	max, err := o.maxHold()
	if err == nil && size < 1 {
		err = family.Invalid("a semaphore of %d permits", size)
	}
	if err != nil {
		return nil, fail("NewSemaphore", semaphorePrefix+name, err)
	}
	m, err := managerOf(ctx, st)
	if err != nil {
		return nil, fail("NewSemaphore", semaphorePrefix+name, err)
	}
	sem := &Semaphore{m: m, key: semaphorePrefix + name, size: size, max: LockOptions{MaxHold: max}}
	return sem, fail("NewSemaphore", semaphorePrefix+name, sem.create(ctx))
}

func (s *Semaphore) create(ctx context.Context) error {
	l, ok, err := s.m.rows.Get(ctx, s.key)
	if err == nil && !ok {
		err = family.Repeat(func() (err error) {
			l, _, err = s.m.rows.GetOrSet(ctx, s.key, lease{Size: s.size})
			return err
		})
	}
	if err == nil && l.Size != s.size {
		err = fmt.Errorf("%w: %d permits, not %d: open it with that, and call Resize", ErrSize, l.Size, s.size)
	}
	return err
}

// Resize changes the number of permits, for all processes. Permits that are held stay
// held. If they are more than there are now, none is granted until enough of them
// were released. A caller who waits for more permits than there are now goes on
// waiting.
func (s *Semaphore) Resize(ctx context.Context, size int64) error {
	if size < 1 {
		return fail("Resize", s.key, family.Invalid("a semaphore of %d permits", size))
	}
	if err := s.m.enter(ctx); err != nil {
		return fail("Resize", s.key, err)
	}
	defer s.m.busy.Done()
	return fail("Resize", s.key, s.m.update(ctx, s.key, func(l *lease, exists bool, e *env) ([]claim, bool, error) {
		l.Size = size
		granted, err := l.grant(e)
		return granted, true, err
	}))
}

func (s *Semaphore) request(n int64) request {
	return request{key: s.key, size: s.size, n: n, max: s.max.MaxHold}
}

// Acquire waits for a permit and takes it. It fails when ctx ends, with its
// error, or when the store is closed, with cache.ErrClosed; then nothing is
// held. Inside a transaction it fails with cache.ErrInTx.
func (s *Semaphore) Acquire(ctx context.Context) (*Permit, error) { return s.AcquireN(ctx, 1) }

// AcquireN is Acquire of n permits at once. More than there are at all are
// cache.ErrInvalid.
func (s *Semaphore) AcquireN(ctx context.Context, n int64) (*Permit, error) {
	if n < 1 {
		return nil, fail("Acquire", s.key, family.Invalid("%d permits", n))
	}
	h, err := s.m.acquire(ctx, s.request(n))
	if err != nil {
		return nil, fail("Acquire", s.key, err)
	}
	return &Permit{h}, nil
}

// TryAcquire takes a permit if one is free and nobody waits, and reports
// whether it did.
func (s *Semaphore) TryAcquire(ctx context.Context) (*Permit, bool, error) {
	return s.TryAcquireN(ctx, 1)
}

// TryAcquireN is TryAcquire of n permits at once.
func (s *Semaphore) TryAcquireN(ctx context.Context, n int64) (*Permit, bool, error) {
	if n < 1 {
		return nil, false, fail("TryAcquire", s.key, family.Invalid("%d permits", n))
	}
	h, err := s.m.try(ctx, s.request(n))
	if err != nil || h == nil {
		return nil, false, fail("TryAcquire", s.key, err)
	}
	return &Permit{h}, true, nil
}

// Do runs fn while it holds a permit: see [Lock.Do].
func (s *Semaphore) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if fn == nil {
		return fail("Do", s.key, family.Invalid("nil function"))
	}
	p, err := s.Acquire(ctx)
	if err != nil {
		return fail("Do", s.key, err)
	}
	return do(p.Context(), p.Release, fn)
}

// Free returns how many permits are not held. The permits of a dead process count as
// held until somebody has asked for permits since.
func (s *Semaphore) Free(ctx context.Context) (int64, error) {
	l, ok, err := s.m.rows.Get(ctx, s.key)
	if err == nil && !ok {
		l.Size = s.size
	}
	return max(l.free(), 0), fail("Free", s.key, err)
}

// Permit is one or more held permits of a [Semaphore]. Its methods may be
// called by several goroutines.
type Permit struct{ h *hold }

// Release gives back all permits that are still held. It takes no context, and
// returns within StoreOptions.Timeout: see [Guard.Unlock], also for its errors.
func (p *Permit) Release() error {
	if p == nil {
		return fail("Release", "semaphore", ErrNotHeld)
	}
	return fail("Release", p.h.key, p.h.release(0))
}

// ReleaseN gives back n permits. More than are held are ErrNotHeld, and none
// is given back. With any other error, too, none is given back, as far as is known,
// and ReleaseN may be called again.
func (p *Permit) ReleaseN(n int64) error {
	if p == nil {
		return fail("Release", "semaphore", ErrNotHeld)
	}
	if n < 1 {
		return fail("Release", p.h.key, family.Invalid("%d permits", n))
	}
	return fail("Release", p.h.key, p.h.release(n))
}

// Context returns a context that ends when the last permit is released or
// they are lost: see [Guard.Context].
func (p *Permit) Context() context.Context { return p.h.context() }

// Token returns the fencing token: see [Guard.Token].
func (p *Permit) Token() int64 { return p.h.claim.Token }

// Check fails with ErrLost unless the permits are held as tx sees it: see
// [Guard.Check].
func (p *Permit) Check(tx *cache.Tx) error { return fail("Check", p.h.key, p.h.check(tx)) }
