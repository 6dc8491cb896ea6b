package adapter

import "context"

// HTTPCache is a cache of HTTP responses for github.com/gregjones/httpcache: its Cache.
type HTTPCache struct {
	c      *Blobs
	failed func(error)
}

// NewHTTPCache returns a cache of responses in c, which should have a SizeLimit. The
// methods of the interface return no errors: a response that cannot be read is fetched
// anew, and one that cannot be stored is not. failed is told of them, by the goroutine
// whose call has failed, such as a function that logs.
func NewHTTPCache(c *Blobs, failed func(error)) *HTTPCache { return &HTTPCache{c, failed} }

// Get returns the response that is stored under a key, and false if there is none.
func (h *HTTPCache) Get(key string) ([]byte, bool) {
	v, ok, err := h.c.Get(context.Background(), key)
	h.tell(err)
	return v, ok
}

// Set stores a response under a key.
func (h *HTTPCache) Set(key string, response []byte) {
	h.tell(h.c.Set(context.Background(), key, response))
}

// Delete removes the response that is stored under a key, if there is one.
func (h *HTTPCache) Delete(key string) {
	_, err := h.c.Delete(context.Background(), key)
	h.tell(err)
}

func (h *HTTPCache) tell(err error) {
	if err != nil && h.failed != nil {
		h.failed(err)
	}
}

// Conn is a cache of HTTP responses for github.com/bartventer/httpcache: the Conn of its
// package store/driver.
type Conn struct {
	c    *Blobs
	miss error
}

// NewConn returns a cache of responses in c, which should have a SizeLimit. miss is
// ErrNotExist of that package store/driver.
func NewConn(c *Blobs, miss error) *Conn { return &Conn{c, miss} }

// Get returns what is stored under a key, or the error that NewConn was given.
func (c *Conn) Get(key string) ([]byte, error) {
	return orMiss(c.miss)(c.c.Get(context.Background(), key))
}

// Set stores a value under a key.
func (c *Conn) Set(key string, value []byte) error {
	return c.c.Set(context.Background(), key, value)
}

// Delete removes what is stored under a key, and fails with the error that NewConn was
// given if there is nothing.
func (c *Conn) Delete(key string) error {
	ok, err := c.c.Delete(context.Background(), key)
	if err == nil && !ok {
		err = c.miss
	}
	return err
}
