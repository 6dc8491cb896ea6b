package adapter

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// SCS is a store of sessions for github.com/alexedwards/scs/v2: its Store, CtxStore,
// IterableStore and IterableCtxStore.
type SCS struct{ c *Blobs }

// NewSCS returns a store of sessions in c, which should be Persistent: a session that is
// evicted logs its user out.
func NewSCS(c *Blobs) *SCS { return &SCS{c} }

// Find is FindCtx without a context.
func (s *SCS) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// FindCtx returns the data of a session, and false if there is none or its time is over.
func (s *SCS) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return s.c.Get(ctx, token)
}

// Commit is CommitCtx without a context.
func (s *SCS) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// CommitCtx stores the data of a session, which is over at expiry.
func (s *SCS) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.c.Set(ctx, token, data, cache.ExpireAt(expiry))
}

// Delete is DeleteCtx without a context.
func (s *SCS) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// DeleteCtx removes a session, if it is there.
func (s *SCS) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.c.Delete(ctx, token)
	return err
}

// All is AllCtx without a context.
func (s *SCS) All() (map[string][]byte, error) { return s.AllCtx(context.Background()) }

// AllCtx returns the data of all sessions whose time is not over, by their tokens.
func (s *SCS) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all := make(map[string][]byte)
	for e, err := range s.c.All(ctx) {
		if err != nil {
			return nil, err
		}
		all[e.Key] = e.Value
	}
	return all, nil
}
