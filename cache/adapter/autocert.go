package adapter

import "context"

// Autocert is a cache of certificates for golang.org/x/crypto/acme/autocert: its Cache.
type Autocert struct {
	c    *Blobs
	miss error
}

// NewAutocert returns a cache of certificates in c, which should be Persistent: whoever
// issues them gives out only so many in a week. miss is autocert.ErrCacheMiss. Certificates
// come with their private keys, for which [codec.Seal] is a good codec.
func NewAutocert(c *Blobs, miss error) *Autocert { return &Autocert{c, miss} }

// Get returns what is stored under a key, or the error that NewAutocert was given.
func (a *Autocert) Get(ctx context.Context, key string) ([]byte, error) {
	return orMiss(a.miss)(a.c.Get(ctx, key))
}

// Put stores data under a key.
func (a *Autocert) Put(ctx context.Context, key string, data []byte) error {
	return a.c.Set(ctx, key, data)
}

// Delete removes what is stored under a key, if there is anything.
func (a *Autocert) Delete(ctx context.Context, key string) error {
	_, err := a.c.Delete(ctx, key)
	return err
}

// orMiss makes an error of a Get that has found nothing.
func orMiss(miss error) func([]byte, bool, error) ([]byte, error) {
	return func(v []byte, ok bool, err error) ([]byte, error) {
		if err == nil && !ok {
			err = miss
		}
		return v, err
	}
}
