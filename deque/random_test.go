package deque_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
)

// model is a deque in a slice.
type model struct {
	ready  []int
	maxLen int
	lent   []*lent
}

type lent struct {
	v int
	c *deque.Claim[int]
}

func (m *model) trim(back bool) {
	for m.maxLen > 0 && len(m.ready) > m.maxLen {
		if back {
			m.ready = m.ready[:len(m.ready)-1]
		} else {
			m.ready = m.ready[1:]
		}
	}
}

// Random operations have the results that they have on a slice.
func TestRandom(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		d, ctx := open[int](t, e.st, ""), t.Context()
		var m model
		ops := []func(){
			func() { // push
				v := r.IntN(5)
				ok(t, d.PushBack(ctx, v))
				m.ready = append(m.ready, v)
				m.trim(false)
			},
			func() {
				v := r.IntN(5)
				ok(t, d.PushFront(ctx, v))
				m.ready = slices.Insert(m.ready, 0, v)
				m.trim(true)
			},
			func() {
				vs := slices.Collect(count(r.IntN(6)))
				push(t, d, vs...)
				m.ready = append(m.ready, vs...)
				m.trim(false)
			},
			func() {
				v, found, err := d.PopFront(ctx)
				ok(t, err)
				equal(t, found, len(m.ready) > 0)
				if found {
					equal(t, v, m.ready[0])
					m.ready = m.ready[1:]
				}
			},
			func() {
				v, found, err := d.PopBack(ctx)
				ok(t, err)
				equal(t, found, len(m.ready) > 0)
				if found {
					equal(t, v, m.ready[len(m.ready)-1])
					m.ready = m.ready[:len(m.ready)-1]
				}
			},
			func() {
				n := r.IntN(4)
				vs := must(d.PopFrontN(ctx, n))(t)
				n = min(n, len(m.ready))
				equalAll(t, vs, m.ready[:n]...)
				m.ready = m.ready[n:]
			},
			func() {
				if len(m.ready) == 0 {
					return
				}
				i := r.IntN(len(m.ready))
				at := int64(i)
				if r.IntN(2) == 0 {
					at -= int64(len(m.ready))
				}
				equal(t, must(d.At(ctx, at))(t), m.ready[i])
				if r.IntN(2) == 0 {
					ok(t, d.SetAt(ctx, at, 9))
					m.ready[i] = 9
				} else {
					ok(t, d.RemoveAt(ctx, at))
					m.ready = slices.Delete(m.ready, i, i+1)
				}
			},
			func() {
				n := r.IntN(9) - 4
				ok(t, d.Rotate(ctx, int64(n)))
				if l := len(m.ready); l > 0 {
					cut := ((-n)%l + l) % l
					m.ready = append(slices.Clone(m.ready[cut:]), m.ready[:cut]...)
				}
			},
			func() {
				ok(t, d.Reverse(ctx))
				slices.Reverse(m.ready)
			},
			func() {
				v := r.IntN(5)
				i := slices.Index(m.ready, v)
				equal(t, must(d.Remove(ctx, v))(t), i >= 0)
				if i >= 0 {
					m.ready = slices.Delete(m.ready, i, i+1)
				}
			},
			func() {
				c, found, err := d.Claim(ctx, time.Hour)
				ok(t, err)
				equal(t, found, len(m.ready) > 0)
				if found {
					equal(t, c.Value, m.ready[0])
					m.lent = append(m.lent, &lent{v: c.Value, c: c})
					m.ready = m.ready[1:]
				}
			},
			func() {
				if len(m.lent) == 0 {
					return
				}
				i := r.IntN(len(m.lent))
				l := m.lent[i]
				if m.maxLen > 0 && len(m.ready) >= m.maxLen || r.IntN(2) == 0 {
					ok(t, l.c.Ack(ctx))
				} else {
					ok(t, l.c.Nack(ctx, 0))
					m.ready = slices.Insert(m.ready, 0, l.v)
				}
				is(t, l.c.Ack(ctx), deque.ErrLost)
				m.lent = slices.Delete(m.lent, i, i+1)
			},
			func() { // what is rolled back was never there
				failure := errors.New("rolled back")
				is(t, e.st.Update(ctx, func(tx *cache.Tx) error {
					d := d.In(tx)
					for range r.IntN(4) {
						ok(t, d.PushBack(ctx, -1))
						ok(t, d.PushFront(ctx, -1))
					}
					if r.IntN(2) == 0 {
						_, _, err := d.PopBack(ctx)
						ok(t, err)
					}
					return failure
				}), failure)
			},
			func() {
				ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
					d := d.In(tx)
					ok(t, d.PushBack(ctx, 7))
					if v, _, err := d.PopBack(ctx); err != nil || v != 7 {
						t.Error(v, err)
					}
					ok(t, d.PushBack(ctx, 8))
					return nil
				}))
				m.ready = append(m.ready, 7)
				m.trim(false)
				m.ready[len(m.ready)-1] = 8
			},
			func() {
				if r.IntN(4) > 0 {
					return
				}
				ok(t, second(d.Clear(ctx)))
				m.ready, m.lent = nil, nil
			},
			func() {
				m.maxLen = max(r.IntN(30)-10, 0)
				ok(t, d.SetMaxLen(ctx, int64(m.maxLen)))
				m.trim(false)
			},
		}
		for range 150 {
			ops[r.IntN(len(ops))]()
		}
		holds(t, d, m.ready...)
		for _, l := range m.lent {
			ok(t, l.c.Ack(ctx))
		}
		holds(t, d, m.ready...)
		if e.st.Dir() != "" {
			equal(t, len(must(e.st.Check(ctx, &cache.CheckOptions{}))(t).Problems), 0)
		}
	})
}

// Items that have expired at an end are in nobody's way.
func TestPushBeyondExpired(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", 1, 2), t.Context()
		for range 3 {
			ok(t, d.PushBack(ctx, 8, cache.TTL(time.Second)))
			ok(t, d.PushFront(ctx, 9, cache.TTL(time.Second)))
			holds(t, d, 9, 1, 2, 8)
			e.clock.Advance(2 * time.Second)
			ok(t, d.PushBack(ctx, 3))
			ok(t, d.PushFront(ctx, 0))
			holds(t, d, 0, 1, 2, 3)
			_, _, err := d.PopFront(ctx)
			ok(t, err)
			_, _, err = d.PopBack(ctx)
			ok(t, err)
			holds(t, d, 1, 2)
		}
	})
}
