package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/gofiber/fiber/v3"
	fiberlimiter "github.com/gofiber/fiber/v3/middleware/limiter"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/adapter"
)

var _ fiber.Storage = (*adapter.Fiber)(nil)

// limiter has two servers, which could be two processes, keep to a limit together.
func limiter(ctx context.Context, st *cache.Store) (string, error) {
	c, err := cache.New(ctx, st, "limiter", &cache.Options[string, []byte]{Persistent: true})
	if err != nil {
		return "", err
	}
	serve := func() *fiber.App {
		app := fiber.New()
		app.Use(fiberlimiter.New(fiberlimiter.Config{
			Max: 3, Expiration: time.Hour, Storage: adapter.NewFiber(c),
			KeyGenerator: func(fiber.Ctx) string { return "user" },
		}))
		app.Get("/", func(c fiber.Ctx) error { return c.SendString("hello") })
		return app
	}
	apps := []*fiber.App{serve(), serve()}
	codes := ""
	for i := range 4 {
		resp, err := apps[i%2].Test(httptest.NewRequest("GET", "/", nil))
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		codes += fmt.Sprintf("%d ", resp.StatusCode)
	}
	if want := "200 200 200 429 "; codes != want {
		return "", fmt.Errorf("the responses are %s", codes)
	}
	return codes[:len(codes)-1], nil
}
