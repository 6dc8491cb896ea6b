package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/alexedwards/scs/v2"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/adapter"
)

var (
	_ scs.CtxStore         = (*adapter.SCS)(nil)
	_ scs.IterableStore    = (*adapter.SCS)(nil)
	_ scs.IterableCtxStore = (*adapter.SCS)(nil)
)

// sessions has two servers, which could be two processes, share the sessions of users.
func sessions(ctx context.Context, st *cache.Store) (string, error) {
	c, err := cache.New(ctx, st, "sessions", &cache.Options[string, []byte]{Persistent: true})
	if err != nil {
		return "", err
	}
	serve := func() *httptest.Server {
		manager := scs.New()
		manager.Store = adapter.NewSCS(c)
		return httptest.NewServer(manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := manager.GetInt(r.Context(), "visits") + 1
			manager.Put(r.Context(), "visits", n)
			fmt.Fprint(w, n)
		})))
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	user := &http.Client{Jar: jar}
	said := ""
	for range 3 {
		server := serve() // each time another one
		said, err = get(user, server.URL)
		server.Close()
		if err != nil {
			return "", err
		}
	}
	if said != "3" {
		return "", fmt.Errorf("the third visit is number %s", said)
	}
	all, err := adapter.NewSCS(c).All()
	return fmt.Sprintf("%d session, visit %s", len(all), said), err
}

// get returns the body of a response.
func get(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
