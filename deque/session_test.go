package deque_test

import (
	"errors"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/deque"
)

// A claim needs a session, and comes back when that is lost.
func TestClaimNeedsSession(t *testing.T) {
	var data memory.Data
	ctx := t.Context()
	f := drivertest.NewFickle(data.Open(nil), func() driver.Store { return data.Open(nil) })
	st, other := cache.NewStore(f, nil), cache.NewStore(data.Open(nil), nil)
	defer st.Close()
	defer other.Close()
	d, theirs := open(t, st, "", 1), open[int](t, other, "")

	refused := errors.New("no session today")
	f.Refuse(refused)
	_, _, err := d.Claim(ctx, deque.UntilClosed)
	is(t, err, refused)
	_, err = d.ClaimWait(ctx, deque.UntilClosed)
	is(t, err, refused)
	is(t, st.Update(ctx, func(tx *cache.Tx) error {
		_, _, err := d.In(tx).Claim(ctx, deque.UntilClosed)
		return err
	}), refused)
	holds(t, theirs, 1)
	f.Refuse(nil)

	for range 3 {
		c := claim(t, d, deque.UntilClosed)
		empty(t, theirs)
		popped := make(chan error)
		go func() {
			_, err := theirs.PopFrontWait(ctx)
			popped <- err
		}()
		ok(t, f.Lose())
		ok(t, <-popped)
		is(t, c.Ack(ctx), deque.ErrLost)
		ok(t, d.PushBack(ctx, 1))
	}
	c := claim(t, d, deque.UntilClosed) // in another session
	empty(t, theirs)
	ok(t, c.Nack(ctx, 0))
	pops(t, theirs, 1)
}
