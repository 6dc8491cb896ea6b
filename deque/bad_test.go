package deque_test

import (
	"context"
	"crypto/rand"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
)

func TestOutOfRange(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		const n = 70
		for _, hole := range []bool{false, true} {
			d := open(t, e.st, "", slices.Collect(count(n+1))...)
			last := int64(n)
			if hole {
				ok(t, d.RemoveAt(ctx, n/2))
				last--
			}
			for i := range last + 1 {
				want := int(i)
				if hole && i >= n/2 {
					want++
				}
				equal(t, must(d.At(ctx, i))(t), want)
				equal(t, must(d.At(ctx, i-last-1))(t), want)
			}
			for _, i := range []int64{last + 1, -last - 2, math.MaxInt64, math.MinInt64} {
				_, err := d.At(ctx, i)
				is(t, err, deque.ErrOutOfRange)
				is(t, d.SetAt(ctx, i, 7), deque.ErrOutOfRange)
				is(t, d.RemoveAt(ctx, i), deque.ErrOutOfRange)
			}
			ok(t, second(d.Clear(ctx)))
			for _, i := range []int64{0, -1, 40, -40} {
				_, err := d.At(ctx, i)
				is(t, err, deque.ErrOutOfRange)
			}
		}
		d := open[int](t, e.st, "n")
		ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
			is(t, d.In(tx).RemoveAt(ctx, 0), deque.ErrOutOfRange)
			return d.In(tx).PushBack(ctx, 1) // the transaction can go on
		}))
		holds(t, d, 1)
		_, err := d.At(ctx, 1)
		equal(t, err.Error(), `cache: At in "deque/n": no item at this position`)
	})
}

func TestBadInput(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", "a"), t.Context()
		c := claim(t, open(t, e.st, "other", "b"), -1)
		for name, err := range map[string]error{
			"negative length":   d.SetMaxLen(ctx, -1),
			"negative number":   second(d.PopFrontN(ctx, -1)),
			"nil sequence":      d.PushBackMany(ctx, nil),
			"TTL":               d.PushBack(ctx, "x", cache.TTL(0)),
			"two expiries":      d.PushBack(ctx, "x", cache.TTL(1), cache.ExpireAt(time.Unix(1, 0))),
			"zero time":         d.PushBack(ctx, "x", cache.ExpireAt(time.Time{})),
			"negative delay":    d.PushBack(ctx, "x", deque.Delay(-1)),
			"two delays":        d.PushBack(ctx, "x", deque.Delay(1), deque.Delay(1)),
			"zero option":       d.PushBack(ctx, "x", nil),
			"lease of 0":        second2(d.Claim(ctx, 0)),
			"wait, lease of 0":  second(d.ClaimWait(ctx, 0)),
			"extended by 0":     c.Extend(ctx, 0),
			"negative lease":    second2(d.Claim(ctx, -time.Second)),
			"extended by less":  c.Extend(ctx, -time.Second),
			"nack by less":      c.Nack(ctx, -1),
			"nil other":         second(d.Equal(ctx, nil)),
			"nil into":          d.Copy(ctx, nil),
			"nil cmp":           second(d.Compare(ctx, d, nil)),
			"nil cmp of slices": second(d.CompareSlice(ctx, nil, nil)),
			"nil store":         second(deque.New[string](ctx, nil, "", nil)),
			"store options":     second(deque.New(ctx, e.st, "", &deque.Options[string]{Store: &cache.StoreOptions{}})),
			"closing a bound":   closeBound(ctx, d),
			"another store":     inAnother(t, d),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
				continue
			}
			is(t, err, cache.ErrInvalid)
		}
		is(t, d.In(nil).PushBack(ctx, "x"), cache.ErrTxDone)
		var kept *cache.Tx
		ok(t, e.st.Update(ctx, func(tx *cache.Tx) error { kept = tx; return nil }))
		is(t, d.In(kept).PushBack(ctx, "x"), cache.ErrTxDone)
		is(t, c.In(kept).Ack(ctx), cache.ErrTxDone)
		is(t, second(deque.New[int](ctx, e.st, "", nil)), cache.ErrCodecMismatch)
		is(t, e.st.Update(ctx, func(tx *cache.Tx) error {
			return second(deque.New[int](tx.Context(), e.st, "n", nil))
		}), cache.ErrInTx)
		for name, fn := range map[string]func(context.Context) error{
			"PushBack":       func(ctx context.Context) error { return d.PushBack(ctx, "x") },
			"PopFront":       func(ctx context.Context) error { return second2(d.PopFront(ctx)) },
			"PopFrontN":      func(ctx context.Context) error { return second(d.PopFrontN(ctx, 1)) },
			"PopFrontN of 0": func(ctx context.Context) error { return second(d.PopFrontN(ctx, 0)) },
			"PeekBack":       func(ctx context.Context) error { return second2(d.PeekBack(ctx)) },
			"At":             func(ctx context.Context) error { return second(d.At(ctx, 0)) },
			"SetAt":          func(ctx context.Context) error { return d.SetAt(ctx, 0, "x") },
			"Len":            func(ctx context.Context) error { return second(d.Len(ctx)) },
			"Clear":          func(ctx context.Context) error { return second(d.Clear(ctx)) },
			"Rotate":         func(ctx context.Context) error { return d.Rotate(ctx, 1) },
			"Reverse":        d.Reverse,
			"Count":          func(ctx context.Context) error { return second(d.Count(ctx, "a")) },
			"Remove":         func(ctx context.Context) error { return second(d.Remove(ctx, "a")) },
			"Equal":          func(ctx context.Context) error { return second(d.Equal(ctx, d)) },
			"All":            func(ctx context.Context) error { return second(cache.Collect(d.All(ctx))) },
			"SetMaxLen":      func(ctx context.Context) error { return d.SetMaxLen(ctx, 1) },
			"Claim":          func(ctx context.Context) error { return second2(d.Claim(ctx, 1)) },
			"Ack":            c.Ack,
			"Nack":           func(ctx context.Context) error { return c.Nack(ctx, 0) },
			"Extend":         func(ctx context.Context) error { return c.Extend(ctx, 1) },
		} {
			if err := fn(cancelled()); err == nil {
				t.Errorf("%s with a cancelled context succeeds", name)
			} else {
				is(t, err, context.Canceled)
			}
		}
		holds(t, d, "a")
		ok(t, d.Close())
		ok(t, d.Close())
		for _, err := range []error{d.PushBack(ctx, "x"), second2(d.PopFront(ctx)), second2(d.Claim(ctx, 1)), d.SetMaxLen(ctx, 1), second(d.PopFrontWait(ctx))} {
			is(t, err, cache.ErrClosed)
		}
	})
}

func second[T any](_ T, err error) error          { return err }
func second2[T, U any](_ T, _ U, err error) error { return err }

func closeBound(ctx context.Context, d *deque.Deque[string]) error {
	return d.Update(ctx, func(tx *cache.Tx) error { return d.In(tx).Close() })
}

func inAnother(t *testing.T, d *deque.Deque[string]) error {
	st := must(cache.OpenStore(t.Context(), t.TempDir(), nil))(t)
	defer st.Close()
	return st.Update(t.Context(), func(tx *cache.Tx) error { return d.In(tx).PushBack(t.Context(), "x") })
}

// as is a codec under another name.
type as[T any] struct {
	codec.Codec[T]
	name string
}

func (a as[T]) Name() string { return a.name }

// An item that cannot be decoded is an error where it is, stays, and can be
// passed over or removed.
func TestUndecodable(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		text := must(deque.New(ctx, e.st, "n", &deque.Options[string]{Values: as[string]{codec.String[string](), "v"}}))(t)
		fill := func() {
			ok(t, second(text.Clear(ctx)))
			push(t, text, "1", "2", "bad", "4")
		}
		fill()
		opts := &deque.Options[int]{Values: as[int]{codec.JSON[int](), "v"}}
		d := must(deque.New(ctx, e.st, "n", opts))(t)
		vs, err := cache.Collect(d.All(ctx))
		is(t, err, cache.ErrCodecMismatch)
		equalAll(t, vs, 1, 2)
		equalAll(t, must(d.PopFrontN(ctx, 4))(t), 1, 2)
		for range 2 {
			is(t, second(d.PopFrontN(ctx, 1)), cache.ErrCodecMismatch)
			is(t, second2(d.PopFront(ctx)), cache.ErrCodecMismatch)
			is(t, second2(d.PeekFront(ctx)), cache.ErrCodecMismatch)
			is(t, second2(d.Claim(ctx, time.Minute)), cache.ErrCodecMismatch)
			is(t, second(d.PopFrontWait(ctx)), cache.ErrCodecMismatch)
			is(t, second(d.At(ctx, 0)), cache.ErrCodecMismatch)
			ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
				is(t, second2(d.In(tx).PopFront(ctx)), cache.ErrCodecMismatch)
				is(t, second2(d.In(tx).Claim(ctx, 1)), cache.ErrCodecMismatch)
				return nil // the transaction can go on
			}))
		}
		equal(t, must(d.Len(ctx))(t), 2)
		equal(t, must(d.At(ctx, 1))(t), 4)
		equal(t, must(d.Count(ctx, 4))(t), 1)
		ok(t, d.Rotate(ctx, 1)) // needs no decoding
		ok(t, d.Reverse(ctx))
		equal(t, must(d.At(ctx, 1))(t), 4)
		ok(t, d.RemoveAt(ctx, 0))
		holds(t, d, 4)

		fill()
		skip := must(deque.New(ctx, e.st, "n", &deque.Options[int]{Values: opts.Values, SkipUndecodable: true}))(t)
		equalAll(t, must(cache.Collect(skip.All(ctx)))(t), 1, 2, 4)
		equalAll(t, must(skip.PopFrontN(ctx, 2))(t), 1, 2)
		c := claim(t, skip, time.Minute)
		equal(t, c.Value, 4)
		ok(t, c.Nack(ctx, 0))
		pops(t, skip, 4)
		empty(t, skip)
		stopped, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		is(t, second(skip.PopFrontWait(stopped)), context.DeadlineExceeded)
		equal(t, must(skip.Len(ctx))(t), 1)
		ok(t, skip.RemoveAt(ctx, 0))
		holds(t, skip)
	})
}

// What cannot be encoded is not pushed, nor is anything else with it.
func TestUnencodable(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open[map[string]float64](t, e.st, "n"), t.Context()
		good, bad := map[string]float64{"x": 1}, map[string]float64{"x": math.NaN()}
		is(t, d.PushBackMany(ctx, slices.Values([]map[string]float64{good, bad})), codec.ErrEncode)
		is(t, d.PushBack(ctx, bad), codec.ErrEncode)
		is(t, second(d.Count(ctx, bad)), codec.ErrEncode)
		equal(t, must(d.Len(ctx))(t), 0)
		if err := d.PushFront(ctx, bad); !strings.Contains(err.Error(), `PushFront in "deque/n"`) {
			t.Errorf("message %q", err)
		}
	})
}

// What encodes equal values differently cannot be compared.
func TestSealed(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		key := make([]byte, codec.KeySize)
		rand.Read(key)
		sealed := must(codec.Seal(codec.String[string](), key))(t)
		d, ctx := must(deque.New(t.Context(), e.st, "s", &deque.Options[string]{Values: sealed}))(t), t.Context()
		push(t, d, "a", "b")
		ok(t, d.Rotate(ctx, 1))
		holds(t, d, "b", "a")
		is(t, second(d.Count(ctx, "a")), cache.ErrInvalid)
		is(t, second(d.Remove(ctx, "a")), cache.ErrInvalid)
		is(t, second(d.Equal(ctx, d)), cache.ErrInvalid)
		equal(t, must(d.Compare(ctx, d, strings.Compare))(t), 0)
		is(t, d.Copy(ctx, open[string](t, e.st, "plain")), cache.ErrInvalid)
	})
}

// A sealed item opens in its deque, wherever it is there, and in no other one.
func TestSealedItems(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		key := make([]byte, codec.KeySize)
		rand.Read(key)
		sealed := must(codec.Seal(codec.String[string](), key))(t)
		for _, name := range []string{"", "s"} {
			o := &deque.Options[string]{Values: codec.Zlib(sealed, 1), MinFileSize: 500}
			d := must(deque.New(ctx, e.st, name, o))(t)
			big := strings.Repeat("x", 1000)
			push(t, d, "a", big)
			ok(t, d.PushFront(ctx, "front"))
			ok(t, d.PushBack(ctx, "later", deque.Delay(time.Second)))
			holds(t, d, "front", "a", big)
			ok(t, d.Rotate(ctx, 1))
			holds(t, d, big, "front", "a")
			ok(t, d.Reverse(ctx))
			ok(t, d.SetAt(ctx, 0, "b"))
			holds(t, d, "b", "front", big)
			c, found, err := d.Claim(ctx, time.Minute)
			ok(t, err)
			equal(t, found, true)
			equal(t, c.Value, "b")
			ok(t, c.Nack(ctx, 0))
			e.clock.Advance(2 * time.Second)
			holds(t, d, "b", "front", big, "later")

			into := must(deque.New(ctx, e.st, name+"copy", o))(t)
			ok(t, d.Copy(ctx, into))
			holds(t, into, "b", "front", big, "later")
			again := must(deque.New(ctx, e.st, name, o))(t)
			v, found, err := again.PopFront(ctx)
			ok(t, err)
			equal(t, found, true)
			equal(t, v, "b")

			// Somebody copies an item as it is stored.
			type stored = cache.Cache[int64, codec.Value]
			raw := func(name string) *stored {
				return must(cache.New(ctx, e.st, name, &cache.Options[int64, codec.Value]{
					Family: "deque", Values: sealedBytes("zlib(seal(string))"), Persistent: true,
				}))(t)
			}
			item, _, err := raw(name).Queue("").PeekFront(ctx)
			ok(t, err)
			ok(t, second(into.Clear(ctx)))
			ok(t, raw(name+"copy").Set(ctx, item.Key, item.Value))
			_, _, err = into.PopFront(ctx)
			is(t, err, codec.ErrSealed)
			ok(t, second(into.Clear(ctx)))
		}
	})
}

// sealedBytes is the codec of values as they are stored, by the codec that it is
// named after.
type sealedBytes string

func (c sealedBytes) Name() string                              { return string(c) }
func (sealedBytes) Encode(v codec.Value) (codec.Value, error)   { return v, nil }
func (sealedBytes) Decode(enc codec.Value) (codec.Value, error) { return enc.Clone(), nil }

// The keys at an end can be used up; that is an error, and changes nothing.
func TestUsedUp(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open[int](t, e.st, ""), t.Context()
		ok(t, d.Cache().Set(ctx, 999_999_999_999_997, 1))
		ok(t, d.PushBack(ctx, 2))
		is(t, d.PushBack(ctx, 3), cache.ErrOverflow)
		is(t, d.Reverse(ctx), cache.ErrOverflow)
		ok(t, d.PushFront(ctx, 0))
		holds(t, d, 0, 1, 2)
		ok(t, second(d.Clear(ctx)))
		ok(t, d.Cache().Set(ctx, 2, 1))
		ok(t, d.PushFront(ctx, 0))
		is(t, d.PushFront(ctx, -1), cache.ErrOverflow)
		holds(t, d, 0, 1)
		ok(t, second(d.Clear(ctx)))
		ok(t, d.Cache().Set(ctx, 999_999_999_999_996, 1))
		is(t, e.st.Update(ctx, func(tx *cache.Tx) error {
			is(t, d.In(tx).PushBackMany(ctx, slices.Values([]int{2, 3, 4})), cache.ErrOverflow)
			return nil // it cannot be committed in part
		}), cache.ErrOverflow)
		holds(t, d, 1)
	})
}

// A store that is open for reading can be read, whether or not a deque was
// ever there before.
func TestReadOnly(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		c := must(cache.New[int64, int](ctx, e.st, "", &cache.Options[int64, int]{Persistent: true}))(t)
		must(c.Queue("").PushBack(ctx, 7))(t)
		d := open[int](t, e.reopen(true), "")
		holds(t, d, 7)
		equal(t, must(d.At(ctx, -1))(t), 7)
		equal(t, must(d.MaxLen(ctx))(t), 0)
		for _, err := range []error{d.PushBack(ctx, 1), second2(d.PopFront(ctx)), second2(d.Claim(ctx, 1)), second(d.Clear(ctx)), d.SetMaxLen(ctx, 1), d.RemoveAt(ctx, 0)} {
			is(t, err, cache.ErrReadOnly)
		}
		w := open[int](t, e.st, "")
		claim(t, w, time.Second)
		push(t, w, 8)
		e.clock.Advance(time.Minute)
		holds(t, open[int](t, e.reopen(true), ""), 8) // nothing can be brought back
		ok(t, w.Cache().View(ctx, func(tx *cache.Tx) error {
			holds(t, w.In(tx), 8)
			return nil
		}))
		holds(t, w, 7, 8)
	})
}

// Nobody sees more items than the maximum length, whoever changes it.
func TestMaxLenHolds(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open[int](t, e.st, ""), t.Context()
		other := open[int](t, e.reopen(false), "")
		done := make(chan struct{})
		var wg sync.WaitGroup
		for _, d := range []*deque.Deque[int]{d, other} {
			wg.Go(func() {
				for i := range 30 {
					push(t, d, i, i, i)
				}
			})
			wg.Go(func() {
				for i := range int64(20) {
					if err := d.SetMaxLen(ctx, i%7+1); err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() {
			wg.Wait()
			close(done)
		}()
		for open := true; open; {
			select {
			case <-done:
				open = false
			default:
			}
			ok(t, d.Cache().View(ctx, func(tx *cache.Tx) error {
				d := d.In(tx)
				n, limit := must(d.Len(ctx))(t), must(d.MaxLen(ctx))(t)
				if limit > 0 && n > limit {
					t.Errorf("%d items where %d are the most", n, limit)
				}
				return nil
			}))
		}
	})
}
