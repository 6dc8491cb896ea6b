package inspect

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// lockPage is what package sync keeps in the store.
type lockPage struct {
	Locks, Semaphores []dsync.LockState
	Throttles         []throttle
	Averagers         []averager
	Now               time.Time
}

type throttle struct {
	Name string
	Full time.Time // when it has let nothing through for so long that a burst is possible again
	Busy bool
	Left string
}

type averager struct {
	Name string
	dsync.Summary
	Dev float64
}

// Held is for how long.
func (p *lockPage) Held(u dsync.LockUser) string { return ago(p.Now.Sub(u.Since)) }

// Left is how long somebody may still hold a lock.
func (p *lockPage) Left(u dsync.LockUser) string {
	if u.Until.IsZero() {
		return "no limit"
	}
	return ago(u.Until.Sub(p.Now))
}

// Used is how many permits are held.
func (p *lockPage) Used(s dsync.LockState) (n int64) {
	for _, u := range s.Holders {
		n += u.Permits
	}
	return n
}

func (h *handler) readLocks(ctx context.Context) (*lockPage, error) {
	p := &lockPage{Now: h.st.Now()}
	var err error
	if p.Locks, err = cache.Collect(dsync.Locks(ctx, h.st)); err != nil {
		return nil, err
	}
	p.Semaphores, err = cache.Collect(dsync.Semaphores(ctx, h.st))
	return p, err
}

func (h *handler) locks(r *http.Request) (any, error) {
	ctx := r.Context()
	p, err := h.readLocks(ctx)
	if err != nil {
		return nil, err
	}
	err = h.each(ctx, "sync/throttles", func(e cache.Entry[cache.Raw, cache.Raw]) error {
		t := throttle{Name: h.keyName(e.Key), Full: time.Unix(0, e.Value.Integer())}
		t.Busy, t.Left = t.Full.After(p.Now), ago(t.Full.Sub(p.Now))
		p.Throttles = append(p.Throttles, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = h.each(ctx, "sync/averagers", func(e cache.Entry[cache.Raw, cache.Raw]) error {
		a, err := dsync.NewAverager(ctx, h.st, e.Key.Text())
		if err != nil {
			return err
		}
		s, err := a.Summary(ctx)
		p.Averagers = append(p.Averagers, averager{h.keyName(e.Key), s, s.StdDev()})
		return err
	})
	return p, err
}

// keyName is the name of a throttle or an averager: of those there may be one for each user.
func (h *handler) keyName(key cache.Raw) string {
	if h.HideKeys {
		return "hidden"
	}
	return visible(key.Text(), shownKey)
}

// each calls fn with the entries of a collection, of which there may be none.
func (h *handler) each(ctx context.Context, name string, fn func(cache.Entry[cache.Raw, cache.Raw]) error) error {
	c, err := cache.NewRaw(ctx, h.st, name, nil)
	if errors.Is(err, cache.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for e, err := range c.Sorted().Limit(1000).All(ctx) {
		if err == nil && e.Key.Kind() == codec.Text {
			err = fn(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *handler) breakLock(r *http.Request) (to string, query url.Values, word string, err error) {
	l, err := dsync.NewLock(r.Context(), h.st, unref(r.PostFormValue("name")), nil)
	if err != nil {
		return "", nil, "", err
	}
	ok, err := l.Break(r.Context())
	if word = "broken"; !ok {
		word = "free"
	}
	return "locks", url.Values{}, word, err
}
