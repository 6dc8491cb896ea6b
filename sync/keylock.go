package sync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// KeyLock is the lock of Python's DiskCache: it is held as long as a key is
// present in a cache. A diskcache.Lock of the same key, in Python, and a
// KeyLock on the default collection of the same directory exclude each other.
// A KeyLock's entry has a tag that names its holder.
//
// A KeyLock promises less than a [Lock], since Python's protocol does:
//
//   - There is no queue: of those that wait, the first to look gets the lock, and
//     Python looks every millisecond.
//   - There is no fencing token, and no context that ends when the lock is lost.
//   - If a process with a KeyLock dies, other KeyLocks notice, and Python does not.
//     If a Python process dies that holds the lock, nobody notices, unless the
//     process has set an expiry.
//   - Python's release, and Delete, Clear or eviction in a cache that is not
//     persistent, free the lock whoever holds it.
type KeyLock[K, V any] struct {
	c   *cache.Cache[K, V]
	key K
	max time.Duration
}

// NewKeyLock returns a lock that is held as long as c has an entry of key. NewKeyLock
// writes nothing. With LockOptions.MaxHold, the entry expires after that time, and the
// lock is free.
func NewKeyLock[K, V any](c *cache.Cache[K, V], key K, o *LockOptions) (*KeyLock[K, V], error) {
	max, err := o.maxHold()
	if err == nil && c == nil {
		err = family.Invalid("nil Cache")
	}
	if err != nil {
		return nil, cache.WrapError(context.Background(), "NewKeyLock", "", err)
	}
	return &KeyLock[K, V]{c: c, key: key, max: max}, nil
}

// foreignLook is how often a waiter looks at a lock that a Python process holds, which
// may have set an expiry that cannot be read.
const foreignLook = 50 * time.Millisecond

var keyLockNumber atomic.Int64

// Lock waits until the key is not present, and stores it. See [Lock.Lock] for
// its errors.
func (l *KeyLock[K, V]) Lock(ctx context.Context) (*KeyGuard, error) {
	tag, err := l.tag(ctx)
	if err == nil {
		err = l.lock(ctx, tag)
	}
	if err != nil {
		return nil, cache.WrapError(context.Background(), "Lock", l.c.Name(), err)
	}
	return l.guard(tag), nil
}

func (l *KeyLock[K, V]) lock(ctx context.Context, tag string) error {
	got, err := l.try(ctx, tag)
	if err == nil && !got {
		err = l.wait(ctx, tag)
	}
	return err
}

// TryLock takes the lock if nobody holds it, and reports whether it did.
func (l *KeyLock[K, V]) TryLock(ctx context.Context) (*KeyGuard, bool, error) {
	tag, err := l.tag(ctx)
	if err != nil {
		return nil, false, cache.WrapError(context.Background(), "TryLock", l.c.Name(), err)
	}
	got, err := l.try(ctx, tag)
	if err != nil || !got {
		return nil, false, cache.WrapError(context.Background(), "TryLock", l.c.Name(), err)
	}
	return l.guard(tag), true, nil
}

// Do runs fn while it holds the lock: see [Lock.Do]. The context ends when fn
// returns. To wait for the same lock with that context fails with ErrRecursive.
func (l *KeyLock[K, V]) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if fn == nil {
		return cache.WrapError(context.Background(), "Do", l.c.Name(), family.Invalid("nil function"))
	}
	g, err := l.Lock(ctx)
	if err != nil {
		return cache.WrapError(context.Background(), "Do", l.c.Name(), err)
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, heldTag(g.tag), true))
	defer cancel()
	return do(ctx, g.Unlock, fn)
}

const keyTag = "go-lock:"

// tag returns a tag that no other acquisition has.
func (l *KeyLock[K, V]) tag(ctx context.Context) (string, error) {
	session, _, err := l.c.Store().Session(ctx)
	return fmt.Sprintf("%s%s.%d", keyTag, session, keyLockNumber.Add(1)), err
}

// heldTag is the key of a value in the context of Do: the tag of its hold.
type heldTag string

// holder is what the entry of a lock tells.
type holder struct {
	free    bool   // there is no entry
	tag     string // of a KeyLock; "" for Python's
	session string // of a KeyLock's process
	expiry  time.Time
}

// holder returns the holder of the lock, as c sees it.
func (l *KeyLock[K, V]) holder(ctx context.Context, c *cache.Cache[K, V]) (h holder, err error) {
	e, ok, err := c.GetEntry(ctx, l.key)
	switch {
	case errors.Is(err, cache.ErrCodecMismatch): // Python's None
		return holder{}, nil
	case err != nil:
		return holder{}, err
	case !ok:
		return holder{free: true}, nil
	}
	h.expiry = e.Expiry
	if text, ours := strings.CutPrefix(textOf(e.Tag.Value), keyTag); ours {
		h.tag = textOf(e.Tag.Value)
		h.session, _, _ = cutLast(text)
	}
	return h, nil
}

// try takes the lock if it is free or its holder is dead, and reports whether it did.
func (l *KeyLock[K, V]) try(ctx context.Context, tag string) (got bool, err error) {
	st := l.c.Store()
	if st.TxOf(ctx) != nil {
		return false, errInTx
	}
	err = family.Repeat(func() error { return l.tryOnce(ctx, tag, &got) })
	if errors.Is(err, cache.ErrUncertain) {
		_ = l.guard(tag).Unlock() // or else the entry stays until the process ends
	}
	return got, err
}

func (l *KeyLock[K, V]) tryOnce(ctx context.Context, tag string, got *bool) error {
	return l.c.Step(ctx, func(tx *cache.Tx) (err error) {
		c := l.c.In(tx)
		h, err := l.holder(ctx, c)
		if err != nil {
			return err
		}
		*got = h.free || h.tag == tag // the latter after an uncertain try
		if !*got && h.session != "" {
			alive, err := l.c.Store().Alive(tx.Context(), h.session)
			if err != nil {
				return err
			}
			*got = !alive
		}
		if !*got || h.tag == tag {
			return nil
		}
		var zero V
		opts := []cache.Option{cache.Tag(tag), cache.NoExpiry()}
		if l.max > 0 {
			opts[1] = cache.TTL(l.max)
		}
		return c.Set(ctx, l.key, zero, opts...)
	})
}

func (l *KeyLock[K, V]) wait(ctx context.Context, tag string) error {
	st := l.c.Store()
	closed, forget, err := closing(st)
	if err != nil {
		return err
	}
	defer forget()
	changed, stop, err := l.c.Watch()
	if err != nil {
		return err
	}
	defer stop()
	for {
		// Looking does not write, where there may be many changes that have
		// nothing to do with the lock.
		h, err := l.holder(ctx, l.c)
		again := h.free
		if err == nil && !again {
			again, err = l.pause(ctx, h, changed, closed)
		}
		if err != nil {
			return err
		}
		if again {
			if got, err := l.try(ctx, tag); err != nil || got {
				return err
			}
		}
	}
}

// pause waits until the lock may have changed hands, and reports whether its
// holder is dead.
func (l *KeyLock[K, V]) pause(ctx context.Context, h holder, changed, closed <-chan struct{}) (bool, error) {
	if ctx.Value(heldTag(h.tag)) != nil {
		return false, ErrRecursive
	}
	st := l.c.Store()
	var dead <-chan struct{}
	if h.session != "" {
		ended, stop, err := st.WatchSession(h.session)
		if err != nil {
			return false, err
		}
		defer stop()
		dead = ended
	}
	var over <-chan time.Time
	switch {
	case h.session == "":
		over = time.After(foreignLook)
	case !h.expiry.IsZero():
		over = time.After(h.expiry.Sub(st.Now()))
	}
	select {
	case <-changed:
		return false, nil
	case <-over:
		return false, nil
	case <-dead:
		return true, nil
	case <-closed:
		return false, cache.ErrClosed
	case <-ctx.Done():
		return false, family.Ended(ctx)
	}
}

// textOf returns the text of a tag, or "".
func textOf(tag codec.Value) string {
	if tag.Kind() != codec.Text {
		return ""
	}
	return tag.Text()
}

// KeyGuard is a held [KeyLock].
type KeyGuard struct {
	st      *cache.Store
	name    string // of the collection
	tag     string
	release func(before *bool) error

	mu     sync.Mutex
	before bool // a release of which it is not known whether it was committed found the key
	done   bool
	retry  *time.Timer // tries a release again that has failed; nil if there is none
	forget func()      // ends the try at the store's Close; nil if no release has failed
}

func (l *KeyLock[K, V]) guard(tag string) *KeyGuard {
	return &KeyGuard{st: l.c.Store(), name: l.c.Name(), tag: tag, release: func(before *bool) error { return l.unlock(tag, before) }}
}

// unlock removes the key if it is still there with our tag. It sets before if it is not
// known whether it has.
func (l *KeyLock[K, V]) unlock(tag string, before *bool) error {
	ctx := context.Background()
	return family.Repeat(func() error {
		ours := false
		err := l.c.Step(ctx, func(tx *cache.Tx) error {
			c := l.c.In(tx)
			h, err := l.holder(ctx, c)
			if err != nil {
				return err
			}
			if ours = h.tag == tag; ours {
				_, err = c.Delete(ctx, l.key)
				return err
			}
			if *before {
				return nil
			}
			return ErrLost
		})
		*before = *before || ours && errors.Is(err, cache.ErrUncertain)
		return err
	})
}

// Unlock removes the key. It takes no context, and returns within
// StoreOptions.Timeout, or twice that if a try of an earlier Unlock is running. If the
// key is not there any more, or has another holder, the error is ErrLost and nothing is
// removed. A second Unlock is ErrNotHeld. With any
// other error the lock is still held, as far as is known. It is released then as soon
// as the store can be written to, without another call: see [Guard.Unlock].
func (g *KeyGuard) Unlock() error {
	if g == nil {
		return cache.WrapError(context.Background(), "Unlock", "", ErrNotHeld)
	}
	return cache.WrapError(context.Background(), "Unlock", g.name, g.unlock())
}

func (g *KeyGuard) unlock() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done {
		return ErrNotHeld
	}
	err := g.release(&g.before)
	g.done = err == nil || errors.Is(err, ErrLost)
	switch {
	case g.done && g.forget != nil:
		g.forget()
	case !g.done && !errors.Is(err, cache.ErrClosed) && !errors.Is(err, cache.ErrNotStore):
		g.releaseLater()
	}
	return err
}

// releaseLater has a release that has failed be tried again, until it succeeds or the
// store is closed. The caller has locked mu.
func (g *KeyGuard) releaseLater() {
	if g.forget == nil {
		forget, err := g.st.AtClose(func() { _ = g.unlock() })
		if err != nil {
			return // the store is closed
		}
		g.forget = forget
	}
	if g.retry == nil {
		g.retry = time.AfterFunc(retryAfter, func() {
			g.mu.Lock()
			g.retry = nil
			g.mu.Unlock()
			_ = g.unlock() // Unlock has returned the error of the first try
		})
	}
}
