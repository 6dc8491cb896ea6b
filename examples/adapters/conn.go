package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/adapter"
)

// driverConn is the interface Conn of github.com/bartventer/httpcache/store/driver, and
// errNotExist is its ErrNotExist. They are copies, so that this module does not need that
// one. With the library it is
//
//	conn := adapter.NewConn(c, driver.ErrNotExist)
//	store.Register("diskcache", driver.DriverFunc(func(*url.URL) (driver.Conn, error) { return conn, nil }))
//	client := httpcache.NewClient("diskcache://")
type driverConn interface {
	Get(key string) ([]byte, error)
	Set(key string, value []byte) error
	Delete(key string) error
}

var (
	_           driverConn = (*adapter.Conn)(nil)
	errNotExist            = errors.New("driver: entry does not exist")
)

// conn does what the library does with its Conn.
func conn(ctx context.Context, st *cache.Store) (string, error) {
	c, err := cache.New(ctx, st, "responses", &cache.Options[string, []byte]{SizeLimit: 100 << 20})
	if err != nil {
		return "", err
	}
	var d driverConn = adapter.NewConn(c, errNotExist)
	if _, err := d.Get("https://example.com/"); !errors.Is(err, errNotExist) {
		return "", fmt.Errorf("of a response that is not there: %w", err)
	}
	if err := d.Set("https://example.com/", []byte("HTTP/1.1 200 OK")); err != nil {
		return "", err
	}
	said, err := d.Get("https://example.com/")
	if err != nil {
		return "", err
	}
	if err := d.Delete("https://example.com/"); err != nil {
		return "", err
	}
	if err := d.Delete("https://example.com/"); !errors.Is(err, errNotExist) {
		return "", fmt.Errorf("of a response that was deleted: %w", err)
	}
	return string(said), nil
}
