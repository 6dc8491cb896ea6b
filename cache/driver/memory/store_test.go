package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/codec"
)

func open(t *testing.T, s *memory.Store) driver.Collection {
	t.Helper()
	c, err := s.Open(t.Context(), "test", driver.Spec{Settings: driver.DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func nothing(driver.Tx) error { return nil }

func TestTimeout(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: time.Minute, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(&memory.Options{Timeout: given})
			defer s.Close()
			err := s.Update(t.Context(), driver.Alone, func(driver.Tx) error {
				start := time.Now()
				err := s.Update(t.Context(), driver.Alone, nothing)
				if d := time.Since(start); d != want {
					t.Errorf("waited %v, want %v", d, want)
				}
				return err
			})
			if !errors.Is(err, driver.ErrTimeout) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(&memory.Options{Timeout: -1})
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		err := s.Update(t.Context(), driver.Alone, func(driver.Tx) error {
			return s.Update(ctx, driver.Alone, nothing)
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
	})
}

// TestDeclared: a transaction that uses what it has not declared fails, but for one
// that is alone.
func TestDeclared(t *testing.T) {
	s := memory.New(&memory.Options{Declared: true})
	defer s.Close()
	open := func(name string) driver.Collection {
		c, err := s.Open(t.Context(), name, driver.Spec{Settings: driver.DefaultSettings()})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := open("a"), open("b")
	for _, mode := range []driver.Mode{driver.Alone, driver.Shared, driver.Own} {
		for _, touches := range [][]driver.Collection{nil, {b}, {a}, {b, a}} {
			err := s.Update(t.Context(), mode, func(tx driver.Tx) error {
				_, err := tx.Count(t.Context(), a)
				return err
			}, touches...)
			if want := mode == driver.Alone || len(touches) > 0 && touches[len(touches)-1] == a; (err == nil) != want {
				t.Errorf("mode %v, %d declared: %v", mode, len(touches), err)
			}
		}
	}
}

func TestRunTwice(t *testing.T) {
	s := memory.New(&memory.Options{RunTwice: true})
	defer s.Close()
	c := open(t, s)
	runs := make(map[driver.Mode]int)
	for _, mode := range []driver.Mode{driver.Alone, driver.Shared} {
		err := s.Update(t.Context(), mode, func(tx driver.Tx) error {
			runs[mode]++
			if n, err := tx.Count(t.Context(), c); err != nil || n != int64(mode) {
				t.Errorf("%d rows from before, %v", n, err)
			}
			_, err := tx.Put(t.Context(), c, driver.Put{Key: codec.IntegerValue(int64(mode)), Now: 1})
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if runs[driver.Alone] != 1 || runs[driver.Shared] != 2 {
		t.Errorf("runs are %v", runs)
	}
}

func TestVolume(t *testing.T) {
	s := memory.New(nil)
	defer s.Close()
	c := open(t, s)
	err := s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
		_, err := tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue("key"), Value: codec.IntegerValue(1), Tag: codec.TextValue("tag"), Now: 1})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Volume(t.Context())
	if want := int64(3 + 8 + 3 + 64); err != nil || v.Total != want || v.Parts["memory"] != want {
		t.Errorf("Volume is %+v, %v, want %d", v, err, want)
	}
}
