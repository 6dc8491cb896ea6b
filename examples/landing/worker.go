package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/memo"
)

// page makes a page, or finds one that was made.
type page func(ctx context.Context, path string) (string, error)

// ways are the ways to remember a page.
var ways = []struct {
	name, title string
	remember    func(ctx context.Context, st *cache.Store, make page) (page, error)
}{
	{"none", "no cache", none},
	{"plain", "plain memoize", plain},
	{"lock", "`memo`: one at a time", locked},
	{"early", "`memo`: early (Beta 1)", early},
	{"soft", "`memo`: early (RefreshAfter 0.5 s)", soft},
}

func none(_ context.Context, _ *cache.Store, make page) (page, error) { return make, nil }

// plain looks, and makes the page when it is missing, as everybody else does
// at that moment.
func plain(ctx context.Context, st *cache.Store, make page) (page, error) {
	pages, err := cache.New[string, string](ctx, st, "pages", nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, path string) (string, error) {
		html, ok, err := pages.Get(ctx, path)
		if ok || err != nil {
			return html, err
		}
		if html, err = make(ctx, path); err != nil {
			return "", err
		}
		return html, pages.Set(ctx, path, html, cache.TTL(ttl))
	}, nil
}

func locked(ctx context.Context, st *cache.Store, make page) (page, error) {
	m, err := memo.New(ctx, st, "pages", make, &memo.Options[string, string]{TTL: ttl})
	if err != nil {
		return nil, err
	}
	return m.Call, nil
}

func early(ctx context.Context, st *cache.Store, make page) (page, error) {
	m, err := memo.New(ctx, st, "pages", make, &memo.Options[string, string]{TTL: ttl, Beta: 1})
	if err != nil {
		return nil, err
	}
	return m.Call, nil
}

func soft(ctx context.Context, st *cache.Store, make page) (page, error) {
	m, err := memo.New(ctx, st, "pages", make, &memo.Options[string, string]{TTL: ttl, RefreshAfter: ttl / 2})
	if err != nil {
		return nil, err
	}
	return m.Call, nil
}

// log writes events as lines of JSON.
type log struct {
	mu    sync.Mutex
	out   *json.Encoder
	start time.Time
	err   error
}

func (l *log) add(made bool, began time.Time) {
	e := event{made, began.Sub(l.start), time.Since(l.start)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, l.out.Encode(e))
}

// work is what one of the processes does.
func work(ctx context.Context, way, dir string, start time.Time, lasts time.Duration) (err error) {
	st, err := cache.OpenStore(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	l := &log{out: json.NewEncoder(os.Stdout), start: start}
	var get page
	for _, w := range ways {
		if w.name != way {
			continue
		}
		get, err = w.remember(ctx, st, func(context.Context, string) (string, error) {
			began := time.Now()
			time.Sleep(takes)
			l.add(true, began)
			return "<h1>Welcome</h1>", nil
		})
	}
	if get == nil || err != nil {
		return errors.Join(errors.New("unknown way"), err)
	}
	time.Sleep(time.Until(start))
	errs := make(chan error, workers)
	for range workers {
		go func() { errs <- serve(ctx, get, l, start.Add(lasts)) }()
	}
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return errors.Join(err, l.err)
}

// serve is one worker: requests come now and then.
func serve(ctx context.Context, get page, l *log, until time.Time) error {
	for {
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond)))
		began := time.Now()
		if began.After(until) {
			return nil
		}
		if _, err := get(ctx, "/"); err != nil {
			return err
		}
		l.add(false, began)
	}
}
