//go:build linux

package sqlite

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// What is deleted from the store is not left in the memory that processes share.
func TestDeletedIsGoneFromSharedMemory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	c := collectionOf(t, s, "c")
	const secret = "correct horse battery staple"
	put := func() {
		t.Helper()
		update(t, s, func(tx driver.Tx) error {
			return errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue("k"), Value: codec.TextValue(strings.Repeat(secret, 20)), Now: at()}))
		})
	}
	there := func() bool {
		t.Helper()
		all, err := os.ReadFile(filepath.Join(dir, nearName))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(all, []byte(secret))
	}
	for name, op := range map[string]func() error{
		"Delete": func() error {
			return s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				_, err := tx.Delete(t.Context(), c, codec.TextValue("k"), at())
				return err
			})
		},
		"Put of another value": func() error {
			return s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				return errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue("k"), Value: codec.TextValue("x"), Now: at()}))
			})
		},
		"Put of a value that is not shared": func() error {
			return s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				return errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue("k"), Value: codec.BlobValue(make([]byte, 1<<17)), Now: at()}))
			})
		},
		"Remove": func() error {
			return s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
				_, err := tx.Remove(t.Context(), c, driver.Filter{}, 100)
				return err
			})
		},
		"Drop": func() error {
			err := s.Drop(t.Context(), "c")
			c = collectionOf(t, s, "c")
			return err
		},
		"Compact": func() error { return s.Compact(t.Context()) },
		"Close": func() error {
			err := s.Close()
			if there() {
				t.Error("it is there after Close")
			}
			s = open(t, dir, nil)
			c = collectionOf(t, s, "c")
			return err
		},
	} {
		put()
		if !there() {
			t.Fatal("it was not there, before", name)
		}
		if err := op(); err != nil {
			t.Fatal(name, err)
		}
		if there() {
			t.Errorf("it is there after %s", name)
		}
	}
}

// A program that cuts the mapped files short slows the store down and does not end
// the process.
func TestMappedFilesCutShort(t *testing.T) {
	for _, name := range []string{nearName, watchName} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var log lockedBuffer
			s := open(t, dir, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			c := collectionOf(t, s, "c")
			changed, stop, err := s.Watch(c)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			put := func(v int64) {
				t.Helper()
				update(t, s, func(tx driver.Tx) error {
					return errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue("k"), Value: codec.IntegerValue(v), Now: at()}))
				})
			}
			expect := func(want int64) {
				t.Helper()
				r, ok, err := s.Get(t.Context(), c, codec.TextValue("k"), driver.Lookup{Now: at()})
				if err != nil || !ok || r.Value.Integer() != want {
					t.Errorf("got %v, %v, %v, want %d", r.Value, ok, err, want)
				}
			}
			put(1)
			expect(1)
			if err := os.Truncate(filepath.Join(dir, name), 0); err != nil {
				t.Fatal(err)
			}
			expect(1)
			put(2)
			expect(2)
			update(t, s, func(tx driver.Tx) error {
				r, ok, err := tx.Get(t.Context(), c, codec.TextValue("k"), driver.Lookup{Now: at()})
				if err == nil && (!ok || r.Value.Integer() != 2) {
					t.Error("in a transaction:", r.Value, ok)
				}
				return err
			})
			<-changed

			// Another program is still noticed, and a process that has its map still.
			if _, err := s.Configure(t.Context(), c, func(st *driver.Settings) { st.Statistics = true }); err != nil {
				t.Fatal(err)
			}
			other := open(t, dir, &Options{ReadOnly: true})
			if r, ok, err := other.Get(t.Context(), collectionOf(t, other, "c"), codec.TextValue("k"), driver.Lookup{Now: at()}); err != nil || !ok || r.Value.Integer() != 2 {
				t.Error(r.Value, ok, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if n := strings.Count(log.String(), "cut the file"); n != 1 {
				t.Errorf("told %d times:\n%s", n, log.String())
			}
			// The next who opens the store has it whole.
			s = open(t, dir, nil)
			c = collectionOf(t, s, "c")
			expect(2)
			put(3)
			expect(3)
			before := s.hits()
			if expect(3); s.hits() == before {
				t.Error("no near cache after the store was opened again")
			}
		})
	}
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func update(t *testing.T, s *Store, fn func(driver.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), driver.Alone, fn); err != nil {
		t.Fatal(err)
	}
}
