package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gregjones/httpcache"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/adapter"
)

var _ httpcache.Cache = (*adapter.HTTPCache)(nil)

// responses has two clients, which could be two processes, share what they have fetched.
func responses(ctx context.Context, st *cache.Store) (string, error) {
	c, err := cache.New(ctx, st, "responses", &cache.Options[string, []byte]{SizeLimit: 100 << 20})
	if err != nil {
		return "", err
	}
	served := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "hello")
	}))
	defer server.Close()
	var failed error
	for range 2 {
		client := httpcache.NewTransport(adapter.NewHTTPCache(c, func(err error) { failed = errors.Join(failed, err) })).Client()
		said, err := get(client, server.URL)
		if err == nil && said != "hello" {
			err = fmt.Errorf("the response is %q", said)
		}
		if err := errors.Join(err, failed); err != nil {
			return "", err
		}
	}
	if served != 1 {
		return "", fmt.Errorf("the server was asked %d times", served)
	}
	return "2 requests, 1 of them to the server", nil
}
