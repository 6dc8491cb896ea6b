package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
)

const (
	lease       = 2 * time.Minute  // of a page, longer than fetching it takes
	timeout     = 30 * time.Second // for fetching a page
	maxBytes    = 8 << 20          // of a page; the rest is not read
	maxAttempts = 4
	retryAfter  = time.Second // grows with the attempts
)

// page is what is known of a page.
type page struct {
	Path    string `json:"path"`
	Depth   int    `json:"depth"`             // links from the first page
	Visited bool   `json:"visited,omitempty"` // else it is queued
	Status  int    `json:"status,omitempty"`  // of HTTP
	Bytes   int64  `json:"bytes,omitempty"`
	Links   int    `json:"links,omitempty"` // to pages of this site
	Attempt int64  `json:"attempt,omitempty"`
	Error   string `json:"error,omitempty"` // why it was given up
}

// sum is what all processes have done so far.
type sum struct {
	Site   string `json:"site"`
	Known  int64  `json:"known"`  // pages that are linked to
	Done   int64  `json:"done"`   // pages visited, also those that failed
	Failed int64  `json:"failed"` // pages given up
	Bytes  int64  `json:"bytes"`
}

// crawler is the state of a crawl, in a store.
type crawler struct {
	site  *site
	pause time.Duration
	http  *http.Client

	st       *cache.Store
	frontier *deque.Deque[string]       // paths to visit
	pages    *index.Index[string, page] // by path, all that are known
	counts   *index.Index[string, int64]
}

// The counts, which change together with the pages.
const (
	countKnown, countDone, countFailed, countBytes = "known", "done", "failed", "bytes"
)

// openCrawler opens the crawl of a site in dir, or begins it.
func openCrawler(ctx context.Context, dir string, s *site) (_ *crawler, err error) {
	c := &crawler{site: s, http: &http.Client{
		Timeout: timeout,
		// Where a redirection leads is another page.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.st, err = cache.OpenStore(ctx, dir, nil); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.st.Close())
		}
	}()
	if c.frontier, err = deque.New[string](ctx, c.st, "frontier", nil); err != nil {
		return nil, err
	}
	if c.pages, err = index.New[string, page](ctx, c.st, "pages", nil); err != nil {
		return nil, err
	}
	if c.counts, err = index.New[string, int64](ctx, c.st, "counts", nil); err != nil {
		return nil, err
	}
	names, err := index.New[string, string](ctx, c.st, "site", nil)
	if err != nil {
		return nil, err
	}
	return c, c.st.Update(ctx, func(tx *cache.Tx) error {
		name, resumed, err := names.In(tx).GetOrSet(ctx, "name", s.name)
		if err != nil || resumed {
			if err == nil && name != s.name {
				err = fmt.Errorf("%s holds a crawl of %s; choose another one with -dir", dir, name)
			}
			return err
		}
		return c.queue(ctx, tx, s.first, 0)
	})
}

func (c *crawler) close() error { return c.st.Close() }

// queue makes a page one to visit, unless it is known, in a transaction.
func (c *crawler) queue(ctx context.Context, tx *cache.Tx, path string, depth int) error {
	_, seen, err := c.pages.In(tx).GetOrSet(ctx, path, page{Path: path, Depth: depth})
	if err != nil || seen {
		return err
	}
	if err := c.count(ctx, tx, countKnown, 1); err != nil {
		return err
	}
	return c.frontier.In(tx).PushBack(ctx, path)
}

func (c *crawler) count(ctx context.Context, tx *cache.Tx, what string, n int64) error {
	_, err := cache.Incr(ctx, c.counts.In(tx).Cache(), what, n)
	return err
}

// sum returns the counts, as of one moment.
func (c *crawler) sum(ctx context.Context) (sum, error) {
	s := sum{Site: c.site.name}
	entries, err := c.counts.Cache().GetMany(ctx, countKnown, countDone, countFailed, countBytes)
	for _, e := range entries {
		*map[string]*int64{countKnown: &s.Known, countDone: &s.Done, countFailed: &s.Failed, countBytes: &s.Bytes}[e.Key] = e.Value
	}
	return s, err
}

// failure returns why the first page that was given up was.
func (c *crawler) failure(ctx context.Context) error {
	for e, err := range c.pages.All(ctx) {
		if err != nil {
			return err
		}
		if e.Value.Error != "" {
			return errors.New(e.Value.Error)
		}
	}
	return nil
}

// crawl visits pages until there are none left, whichever process visits them,
// or until ctx ends.
func (c *crawler) crawl(ctx context.Context, workers int, report *reporter) error {
	changed, stop, err := c.counts.Cache().Watch()
	if err != nil {
		return err
	}
	defer stop()
	working, finish := context.WithCancelCause(ctx)
	defer finish(nil)
	visited := make(chan page)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			if err := c.work(working, visited); err != nil {
				finish(err)
			}
		})
	}
	stopped := make(chan struct{})
	go func() {
		wg.Wait()
		close(stopped)
	}()
	for {
		select {
		case p := <-visited:
			report.page(p)
			continue
		case <-stopped:
			if err := context.Cause(working); err != errFinished {
				return err
			}
			return nil
		case <-changed:
		}
		s, err := c.sum(working)
		if err != nil {
			finish(err)
			changed = nil
			continue
		}
		report.progress(s)
		if s.Done == s.Known {
			finish(errFinished)
		}
	}
}

var errFinished = errors.New("every page has been visited")

// work visits pages until ctx ends.
func (c *crawler) work(ctx context.Context, visited chan<- page) error {
	for {
		claim, err := c.frontier.ClaimWait(ctx, lease)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		p, _, err := c.pages.Get(ctx, claim.Value)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		p.Visited, p.Attempt = true, claim.Attempt
		found, err := c.visit(ctx, &p)
		switch {
		case ctx.Err() != nil:
			// Whoever goes on need not wait for the lease, nor for this
			// process to end.
			err := claim.Nack(context.WithoutCancel(ctx), 0)
			if errors.Is(err, deque.ErrLost) {
				err = nil
			}
			return err
		case err != nil && claim.Attempt < maxAttempts:
			err := claim.Nack(ctx, time.Duration(claim.Attempt)*retryAfter)
			if err != nil && !errors.Is(err, deque.ErrLost) {
				return unlessEnded(ctx, err)
			}
			continue
		case err != nil:
			p.Error = err.Error()
		}
		err = c.finish(context.WithoutCancel(ctx), claim, p, found)
		if errors.Is(err, deque.ErrLost) {
			continue // the lease has ended and somebody else has the page
		}
		if err != nil {
			return err
		}
		visited <- p
		select {
		case <-time.After(c.pause):
		case <-ctx.Done():
		}
	}
}

// unlessEnded returns err, or nil if it is because ctx has ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// finish is the one transaction in which a page becomes visited, its links are
// queued, and the claim ends.
func (c *crawler) finish(ctx context.Context, claim *deque.Claim[string], p page, found []string) error {
	return c.st.Update(ctx, func(tx *cache.Tx) error {
		if err := claim.In(tx).Ack(ctx); err != nil {
			return err
		}
		if err := c.pages.In(tx).Set(ctx, p.Path, p); err != nil {
			return err
		}
		for _, path := range found {
			if err := c.queue(ctx, tx, path, p.Depth+1); err != nil {
				return err
			}
		}
		if p.Error != "" {
			if err := c.count(ctx, tx, countFailed, 1); err != nil {
				return err
			}
		}
		if err := c.count(ctx, tx, countBytes, p.Bytes); err != nil {
			return err
		}
		return c.count(ctx, tx, countDone, 1)
	})
}

// visit fetches a page and returns its links.
func (c *crawler) visit(ctx context.Context, p *page) (found []string, err error) {
	at, err := c.site.at(p.Path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "go-diskcache-crawler-example")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 500 {
		return nil, fmt.Errorf("the server says %s", resp.Status)
	}
	p.Status, p.Bytes = resp.StatusCode, int64(len(body))
	if to, err := resp.Location(); err == nil {
		if path, ok := within(to, at); ok {
			found = []string{path}
		}
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" && resp.StatusCode < 300 {
		found = links(string(body), at)
	}
	p.Links = len(found)
	return found, nil
}
