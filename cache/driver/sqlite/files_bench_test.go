package sqlite

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// setFile stores a value in a file.
func setFile(b *testing.B, s *Store, c driver.Collection, key string, content []byte) {
	ctx := context.Background()
	f, err := s.Create(ctx, codec.Blob)
	if err != nil {
		b.Error(err)
		return
	}
	defer f.Discard()
	f.Write(content)
	f.Finish()
	if err := s.Update(ctx, driver.Shared, func(tx driver.Tx) error {
		return errOf(tx.Put(ctx, c, driver.Put{Key: codec.TextValue(key), File: f, Now: at()}))
	}); err != nil {
		b.Error(err)
	}
}

// BenchmarkFile is about values in files: to read one, and to write one in the
// place of another.
func BenchmarkFile(b *testing.B) {
	ctx := context.Background()
	s, err := Open(ctx, b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(ctx, "c", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		b.Fatal(err)
	}
	content := make([]byte, 32<<10)
	set := func(key string) { setFile(b, s, c, key, content) }
	for i := range 1000 {
		set(fmt.Sprint(i))
	}
	r, ok, err := s.Get(ctx, c, codec.TextValue("1"), driver.Lookup{Now: at()})
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := s.OpenFile(ctx, c, r)
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, len(content))
		for b.Loop() {
			f, err := s.OpenFile(ctx, c, r)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(f, buf); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			set(fmt.Sprint(i % 1000))
		}
	})
}

// BenchmarkOpenStore opens and closes a store that exists.
func BenchmarkOpenStore(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := Open(context.Background(), dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
