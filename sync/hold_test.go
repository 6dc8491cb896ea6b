package sync

import (
	"context"
	"errors"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

// A loss that is told while a hold is being released, or looked at already, is
// seen when that is through.
func TestLookIsNotMissed(t *testing.T) {
	st, err := cache.OpenStore(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l, err := NewLock(t.Context(), st, "l", nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := l.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := g.Context()
	g.h.releasing.Lock() // by somebody who has read the row before what follows
	if broken, err := l.Break(t.Context()); err != nil || !broken {
		t.Fatal(broken, err)
	}
	g.h.look()
	if err := ctx.Err(); err != nil {
		t.Errorf("looked while somebody else does: %v", err)
	}
	g.h.releasing.Unlock()
	g.h.catchUp()
	if err := context.Cause(ctx); !errors.Is(err, ErrLost) {
		t.Errorf("the lock is broken, but %v", err)
	}
}
