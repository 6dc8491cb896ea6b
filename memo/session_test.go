package memo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

// Without a session nothing is computed, as every process would do it at once,
// unless that is wanted. What is remembered needs none.
func TestSessionRefused(t *testing.T) {
	var data memory.Data
	f := drivertest.NewFickle(data.Open(nil), func() driver.Store { return data.Open(nil) })
	st := cache.NewStore(f, nil)
	defer st.Close()
	var c counted
	m := newMemo(t, st, c.call, nil)
	lenient := newMemo(t, st, c.call, &memo.Options[string, int64]{CallOnStoreError: true})
	calls(t, m, "a", 1, &c, 1)
	ok(t, f.Lose())
	refused := errors.New("no session today")
	f.Refuse(refused)
	calls(t, m, "a", 1, &c, 1)
	_, err := m.Call(t.Context(), "b")
	is(t, err, refused)
	_, err = m.Refresh(t.Context(), "a")
	is(t, err, refused)
	calls(t, lenient, "b", 2, &c, 2)
	f.Refuse(nil)
	calls(t, m, "b", 3, &c, 3)
}

// What was computed in a session that was lost meanwhile is returned, but not
// stored: another process may have computed it too.
func TestSessionLost(t *testing.T) {
	var data memory.Data
	f := drivertest.NewFickle(data.Open(nil), func() driver.Store { return data.Open(nil) })
	st, other := cache.NewStore(f, nil), openMemory(t, &data)
	defer st.Close()
	n := int64(0)
	m := newMemo(t, st, func(context.Context, string) (int64, error) {
		n++
		if n == 1 {
			ok(t, f.Lose())
			calls(t, newMemo(t, other, func(context.Context, string) (int64, error) { return 100, nil }, nil), "a", 100, &counted{}, 0)
		}
		return n, nil
	}, nil)
	v, err := m.Call(t.Context(), "a")
	ok(t, err)
	equal(t, v, 1)
	v, err = m.Call(t.Context(), "a")
	ok(t, err)
	equal(t, v, 100)
	v, err = m.Call(t.Context(), "b")
	ok(t, err)
	equal(t, v, 2)
}
