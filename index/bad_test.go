package index_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/index"
)

// Bad input is a clear error and changes nothing.
func TestBadInput(t *testing.T) {
	onEngines(t, func(t *testing.T, st *cache.Store) {
		x := abc(t, st)
		ctx := t.Context()
		for name, fn := range map[string]func(context.Context) error{
			"Get":     func(ctx context.Context) error { _, _, err := x.Get(ctx, "a"); return err },
			"Set":     func(ctx context.Context) error { return x.Set(ctx, "a", "x") },
			"PopLast": func(ctx context.Context) error { _, _, err := x.PopLast(ctx); return err },
			"Floor":   func(ctx context.Context) error { _, _, err := x.Floor(ctx, "a"); return err },
			"Equal":   func(ctx context.Context) error { _, err := x.Equal(ctx, x); return err },
			"EqualMap": func(ctx context.Context) error {
				_, err := index.EqualMap(ctx, x, map[string]string{"a": "A"})
				return err
			},
			"SetMany": func(ctx context.Context) error { return x.SetMany(ctx, slices2("a", "x")) },
			"Update":  func(ctx context.Context) error { return x.Update(ctx, func(*cache.Tx) error { return nil }) },
			"View":    func(ctx context.Context) error { return x.View(ctx, func(*cache.Tx) error { return nil }) },
			"All":     func(ctx context.Context) error { _, err := cache.Collect(x.All(ctx)); return err },
		} {
			if err := fn(cancelled()); err == nil {
				t.Errorf("%s with a cancelled context succeeds", name)
			} else {
				is(t, err, context.Canceled)
			}
		}
		has(t, x, "a", "A")
		is(t, x.SetMany(ctx, nil), cache.ErrInvalid)
		is(t, x.Update(ctx, nil), cache.ErrInvalid)
		is(t, x.View(ctx, nil), cache.ErrInvalid)
		_, err := cache.Collect(x.Sorted().Limit(-1).All(ctx))
		is(t, err, cache.ErrInvalid)
		is(t, x.In(nil).Set(ctx, "a", "x"), cache.ErrTxDone)
		_, err = index.New[string, string](ctx, nil, "", nil)
		is(t, err, cache.ErrInvalid)
		_, err = index.New[string, int](ctx, st, "", nil)
		is(t, err, cache.ErrCodecMismatch)
		_, err = index.New(ctx, st, "", &index.Options[string, string]{Store: &cache.StoreOptions{}})
		is(t, err, cache.ErrInvalid)
		has(t, x, "a", "A")

		ok(t, x.Close())
		ok(t, x.Close())
		_, _, err = x.First(ctx)
		is(t, err, cache.ErrClosed)
		is(t, err, cache.ErrClosed)
		_, _, err = x.PopFirst(ctx)
		is(t, err, cache.ErrClosed)
		if !strings.Contains(err.Error(), "PopFirst") {
			t.Errorf("message %q", err)
		}
	})
}

// An entry that cannot be decoded stays, and does not hide others.
func TestUndecodable(t *testing.T) {
	onEngines(t, func(t *testing.T, st *cache.Store) {
		ctx := t.Context()
		text := must(index.New(ctx, st, "n", &index.Options[string, string]{Values: as[string]{codec.String[string](), "v"}}))(t)
		ok(t, text.SetMany(ctx, slices2("b", "no number", "c", "[1]")))
		open := func(skip bool) *index.Index[string, []int] {
			return must(index.New(ctx, st, "n", &index.Options[string, []int]{
				Values: as[[]int]{codec.JSON[[]int](), "v"}, SkipUndecodable: skip,
			}))(t)
		}
		x := open(false)
		_, _, err := x.PopFirst(ctx)
		is(t, err, cache.ErrCodecMismatch)
		_, _, err = x.Floor(ctx, "b")
		is(t, err, cache.ErrCodecMismatch)
		ok(t, st.Update(ctx, func(tx *cache.Tx) error {
			_, _, err := x.In(tx).PopFirst(ctx)
			is(t, err, cache.ErrCodecMismatch)
			return nil // the transaction can go on
		}))
		equal(t, must(x.Len(ctx))(t), 2)
		e, found, err := open(true).Ceiling(ctx, "a")
		ok(t, err)
		equal(t, found, true)
		equal(t, e.Key, "c")
		equal(t, must(x.Delete(ctx, "b"))(t), true)
		e, _, err = x.PopFirst(ctx)
		ok(t, err)
		equal(t, e.Key, "c")
	})
}

// as is a codec under another name.
type as[T any] struct {
	codec.Codec[T]
	name string
}

func (a as[T]) Name() string { return a.name }

// What encodes equal values differently cannot be compared.
func TestSealed(t *testing.T) {
	onEngines(t, func(t *testing.T, st *cache.Store) {
		key := make([]byte, codec.KeySize)
		rand.Read(key)
		sealed := must(codec.Seal(codec.String[string](), key))(t)
		x := must(index.New(t.Context(), st, "s", &index.Options[string, string]{Values: sealed}))(t)
		_, err := x.Equal(t.Context(), x)
		is(t, err, cache.ErrInvalid)
		_, err = index.EqualMap(t.Context(), x, nil)
		is(t, err, cache.ErrInvalid)

		ok(t, x.Set(t.Context(), "k", "v"))
		again := must(index.New(t.Context(), st, "s", &index.Options[string, string]{Values: sealed}))(t)
		v, found, err := again.Get(t.Context(), "k")
		ok(t, err)
		equal(t, found, true)
		equal(t, v, "v")
	})
}
