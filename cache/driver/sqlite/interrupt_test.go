package sqlite

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// fickle is a context that ends when it has been looked at so many times.
type fickle struct {
	context.Context
	left atomic.Int64
	done chan struct{}
}

var errFickle = errors.New("looked at often enough")

func newFickle(looks int64) *fickle {
	f := &fickle{Context: context.Background(), done: make(chan struct{})}
	f.left.Store(looks)
	return f
}

func (f *fickle) Done() <-chan struct{} { return f.done }
func (f *fickle) Err() error {
	n := f.left.Add(-1)
	if n == 0 {
		close(f.done)
	}
	if n <= 0 {
		return errFickle
	}
	return nil
}

// Everything that may take long looks at its context while it does, ends with
// it, and has changed nothing then.
func TestInterrupted(t *testing.T) {
	const rows = 5000
	tag := codec.TextValue("none")
	least := map[string]int64{"Check": 20, "Check with mend": 20, "Compact": 8, "Backup": 8}
	policy := func(s *driver.Settings) { s.Policy, s.SizeLimit = driver.LeastRecentlyUsed, 1 }
	for name, op := range map[string]func(ctx context.Context, s *Store, c driver.Collection) error{
		"View": func(ctx context.Context, s *Store, c driver.Collection) error {
			return s.View(ctx, func(t driver.Tx) error {
				_, err := t.Scan(ctx, c, driver.Scan{Tag: tag, Limit: 10})
				return err
			})
		},
		"Update, alone": func(ctx context.Context, s *Store, c driver.Collection) error {
			return s.Update(ctx, driver.Alone, func(t driver.Tx) error {
				_, err := t.Remove(ctx, c, driver.Filter{Tag: tag}, 10)
				return err
			})
		},
		"Update, shared": func(ctx context.Context, s *Store, c driver.Collection) error {
			return s.Update(ctx, driver.Shared, func(t driver.Tx) error {
				_, err := t.Remove(ctx, c, driver.Filter{Tag: tag}, 10)
				return err
			})
		},
		"Cull": func(ctx context.Context, s *Store, c driver.Collection) error {
			return s.Update(ctx, driver.Shared, func(t driver.Tx) error {
				_, err := t.Cull(ctx, c, at(), 10, codec.Value{})
				return err
			})
		},
		"Configure": func(ctx context.Context, s *Store, c driver.Collection) error {
			_, err := s.Configure(ctx, c, func(s *driver.Settings) { s.TagIndex = true })
			return err
		},
		"Drop": func(ctx context.Context, s *Store, c driver.Collection) error { return s.Drop(ctx, "c") },
		"Check": func(ctx context.Context, s *Store, c driver.Collection) error {
			return s.Check(ctx, false, func(driver.Problem) {})
		},
		"Check with mend": func(ctx context.Context, s *Store, c driver.Collection) error {
			return s.Check(ctx, true, func(driver.Problem) {})
		},
		"Volume": func(ctx context.Context, s *Store, c driver.Collection) error {
			_, err := s.Volume(ctx)
			return err
		},
		"Backup":  func(ctx context.Context, s *Store, c driver.Collection) error { return s.Backup(ctx, s.Dir()+"-copy") },
		"Compact": func(ctx context.Context, s *Store, c driver.Collection) error { return s.Compact(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir(), nil)
			c, err := s.Open(t.Context(), "c", driver.Spec{Configure: policy})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
				for i := range rows {
					if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: key(i), Value: codec.TextValue("value"), Now: at()})); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			// Some looks more each time, as long as the operation does not outlast them.
			for looks := int64(1); ; looks += 1 + looks/8 {
				ctx := newFickle(looks)
				ended := make(chan error, 1)
				go func() { ended <- op(ctx, s, c) }()
				select {
				case err = <-ended:
				case <-time.After(time.Minute):
					t.Fatalf("%d looks: it does not end with its context", looks)
				}
				if err == nil {
					if looks < least[name] || looks < 5 { // a quick one is looked at less often
						t.Errorf("it looks at its context %d times only", looks)
					}
					break
				}
				if !errors.Is(err, errFickle) {
					t.Fatalf("%d looks: %v", looks, err)
				}
				n := int64(0)
				err := s.View(t.Context(), func(dt driver.Tx) (err error) {
					n, err = dt.Count(t.Context(), c)
					return err
				})
				if err != nil || n != rows {
					t.Fatalf("%d looks: %d rows afterwards (%v)", looks, n, err)
				}
			}
			if err := s.Check(t.Context(), false, func(p driver.Problem) { t.Error(p) }); err != nil {
				t.Error(err)
			}
		})
	}
}
