package sqlite

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// dropChild drops the collections that it is told to.
func dropChild(args []string, hear func() string) error {
	s, err := Open(context.Background(), args[0], nil)
	if err != nil {
		return err
	}
	for name := hear(); name != ""; name = hear() {
		if err := s.Drop(context.Background(), name); err != nil {
			return err
		}
		fmt.Println("dropped")
	}
	return s.Close()
}

// Whatever is done with a collection that another process has dropped fails.
func TestUseOfDropped(t *testing.T) {
	for name, shared := range map[string]bool{"own": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			here := open(t, dir, &Options{allShared: shared})
			there := spawn(t, "drop", dir)
			k := codec.TextValue("k")
			for what, op := range map[string]func(c driver.Collection) error{
				"Get": func(c driver.Collection) error {
					_, _, err := here.Get(t.Context(), c, k, driver.Lookup{Now: at()})
					return err
				},
				"Get in a View": func(c driver.Collection) error {
					return here.View(t.Context(), func(tx driver.Tx) error {
						_, _, err := tx.Get(t.Context(), c, k, driver.Lookup{Now: at()})
						return err
					})
				},
				"Scan": func(c driver.Collection) error {
					return here.View(t.Context(), func(tx driver.Tx) error {
						_, err := tx.Scan(t.Context(), c, driver.Scan{Limit: 1})
						return err
					})
				},
				"Count": func(c driver.Collection) error {
					return here.View(t.Context(), func(tx driver.Tx) error {
						_, err := tx.Count(t.Context(), c)
						return err
					})
				},
				"Put": func(c driver.Collection) error {
					return here.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
						return errOf(tx.Put(t.Context(), c, driver.Put{Key: k, Value: k, Now: at()}))
					})
				},
				"Remove": func(c driver.Collection) error {
					return here.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
						_, err := tx.Remove(t.Context(), c, driver.Filter{}, 1)
						return err
					})
				},
				"Stats": func(c driver.Collection) error {
					_, err := here.Stats(t.Context(), c, false)
					return err
				},
				"Configure": func(c driver.Collection) error {
					_, err := here.Configure(t.Context(), c, func(s *driver.Settings) { s.CullLimit++ })
					return err
				},
			} {
				c := collectionOf(t, here, what)
				put(t, here, c, driver.Put{Key: k, Value: k})
				get(t, here, c, "k") // is in memory now
				there.say(what)
				there.hear()
				if err := op(c); !errors.Is(err, driver.ErrClosed) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
