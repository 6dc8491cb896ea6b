package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-chi/httprate"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/adapter"
)

var _ httprate.LimitCounter = (*adapter.HTTPRate)(nil)

// rate has two servers, which could be two processes, keep to a limit together.
func rate(ctx context.Context, st *cache.Store) (string, error) {
	c, err := cache.New[string, int64](ctx, st, "rates", nil)
	if err != nil {
		return "", err
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	serve := func() http.Handler {
		return httprate.LimitBy(3, time.Hour, httprate.Key("*"), httprate.WithLimitCounter(adapter.NewHTTPRate(c)))(hello)
	}
	servers := []http.Handler{serve(), serve()}
	codes := ""
	for i := range 4 {
		w := httptest.NewRecorder()
		servers[i%2].ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		codes += fmt.Sprintf("%d ", w.Code)
	}
	if want := "200 200 200 429 "; codes != want {
		return "", fmt.Errorf("the responses are %s", codes)
	}
	return codes[:len(codes)-1], nil
}
