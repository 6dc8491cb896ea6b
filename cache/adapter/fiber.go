package adapter

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// Fiber is a storage for github.com/gofiber/fiber/v3 and its middleware: its Storage. Each
// needs a collection of its own, since Reset removes all that is in it.
type Fiber struct{ c *Blobs }

// NewFiber returns a storage in c.
func NewFiber(c *Blobs) *Fiber { return &Fiber{c} }

// Get is GetWithContext without a context.
func (f *Fiber) Get(key string) ([]byte, error) { return f.GetWithContext(context.Background(), key) }

// GetWithContext returns what is stored under a key, and nil if there is nothing.
func (f *Fiber) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	v, _, err := f.c.Get(ctx, key)
	return v, err
}

// Set is SetWithContext without a context.
func (f *Fiber) Set(key string, value []byte, expiry time.Duration) error {
	return f.SetWithContext(context.Background(), key, value, expiry)
}

// SetWithContext stores a value for a time, or with 0 for ever. An empty key or value is
// not stored, as fiber wants it.
func (f *Fiber) SetWithContext(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	if key == "" || len(value) == 0 {
		return nil
	}
	if expiry == 0 {
		return f.c.Set(ctx, key, value, cache.NoExpiry())
	}
	return f.c.Set(ctx, key, value, cache.TTL(expiry))
}

// Delete is DeleteWithContext without a context.
func (f *Fiber) Delete(key string) error { return f.DeleteWithContext(context.Background(), key) }

// DeleteWithContext removes what is stored under a key, if there is anything.
func (f *Fiber) DeleteWithContext(ctx context.Context, key string) error {
	_, err := f.c.Delete(ctx, key)
	return err
}

// Reset is ResetWithContext without a context.
func (f *Fiber) Reset() error { return f.ResetWithContext(context.Background()) }

// ResetWithContext removes all that is stored.
func (f *Fiber) ResetWithContext(ctx context.Context) error {
	_, err := f.c.Clear(ctx)
	return err
}

// Close closes the collection.
func (f *Fiber) Close() error { return f.c.Close() }
