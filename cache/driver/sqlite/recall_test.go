package sqlite

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// What a transaction has read is what its next write changes, unless something
// came in between.
func TestRecall(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(ctx, "", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Open(ctx, "other", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	now := at()
	put := func(tx driver.Tx, c driver.Collection, k, v codec.Value) {
		if err := errOf(tx.Put(ctx, c, driver.Put{Key: k, Value: v, Now: now})); err != nil {
			t.Error(err)
		}
	}
	get := func(tx driver.Tx, c driver.Collection, k codec.Value) {
		if _, _, err := tx.Get(ctx, c, k, driver.Lookup{Now: now, Quiet: true}); err != nil {
			t.Error(err)
		}
	}
	del := func(tx driver.Tx, k codec.Value) {
		if _, err := tx.Delete(ctx, c, k, now); err != nil {
			t.Error(err)
		}
	}
	one, blob := codec.IntegerValue(1), codec.BlobValue([]byte("a"))
	for name, ops := range map[string]func(tx driver.Tx){
		"nothing":          func(driver.Tx) {},
		"deleted":          func(tx driver.Tx) { del(tx, one) },
		"inserted":         func(tx driver.Tx) { del(tx, one); get(tx, c, one); put(tx, c, one, key(9)) },
		"another key":      func(tx driver.Tx) { get(tx, c, key(2)) },
		"equal key":        func(tx driver.Tx) { get(tx, c, codec.RealValue(1)) },
		"another kind":     func(tx driver.Tx) { get(tx, c, codec.TextValue("1")) },
		"other collection": func(tx driver.Tx) { get(tx, other, one) },
		"id used again": func(tx driver.Tx) {
			del(tx, one)
			put(tx, c, key(2), key(2))
		},
		"bytes changed": func(tx driver.Tx) {
			b := []byte("a")
			get(tx, c, codec.BlobValue(b))
			b[0] = 'b'
			put(tx, c, codec.BlobValue(b), key(7))
		},
	} {
		err := s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			put(tx, c, one, key(1))
			put(tx, c, blob, key(3))
			put(tx, c, key(2), key(2))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			get(tx, c, one)
			ops(tx)
			put(tx, c, one, key(5))
			return nil
		})
		if err != nil {
			t.Fatal(name, err)
		}
		for k, want := range map[string]codec.Value{"one": key(5), "key": key(2), "blob": key(3)} {
			k := map[string]codec.Value{"one": one, "key": key(2), "blob": blob}[k]
			r, ok, err := s.Get(ctx, c, k, driver.Lookup{Now: now})
			if err != nil || !ok || r.Value.Text() != want.Text() {
				t.Errorf("%s: %v is %q (%v, %v), want %q", name, k, r.Value.Text(), ok, err, want.Text())
			}
		}
		if _, ok, _ := s.Get(ctx, other, one, driver.Lookup{Now: now}); ok {
			t.Error(name, "wrote to the other collection")
		}
	}
	row, _, err := s.Get(ctx, c, one, driver.Lookup{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for name, ops := range map[string]struct {
		do   func(tx driver.Tx)
		want string
	}{
		"found":   {func(tx driver.Tx) { get(tx, c, one) }, "5"},
		"nothing": {func(tx driver.Tx) { get(tx, c, codec.IntegerValue(7)) }, "5"},
		"other collection": {func(tx driver.Tx) {
			for i := range row.ID {
				put(tx, other, codec.IntegerValue(i+1), key(99))
			}
			get(tx, other, codec.IntegerValue(row.ID))
		}, "5"},
		"overwritten": {func(tx driver.Tx) { get(tx, c, one); put(tx, c, one, codec.TextValue("longer than before")) }, "18"},
		"deleted":     {func(tx driver.Tx) { get(tx, c, one); del(tx, one) }, "none"},
	} {
		failure := errors.New("rolled back")
		err := s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			ops.do(tx)
			rows, err := tx.Remove(ctx, c, driver.Filter{IDs: []int64{0, row.ID}}, 9)
			got := "none"
			if len(rows) > 0 {
				got = fmt.Sprint(rows[0].Size)
			}
			if err != nil || len(rows) > 1 || got != ops.want || len(rows) > 0 && !codec.Equal(rows[0].Key, one) {
				t.Errorf("%s: removed %v, %v, want %s", name, rows, err, ops.want)
			}
			return failure
		})
		if !errors.Is(err, failure) {
			t.Error(err)
		}
	}
	if err := s.View(ctx, func(tx driver.Tx) error {
		n, err := tx.Count(ctx, c)
		if n != 4 {
			t.Errorf("%d rows", n)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
