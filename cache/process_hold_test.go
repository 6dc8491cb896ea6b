//go:build linux

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/sqlitetest"
	"golang.org/x/sys/unix"
)

// holdingChild keeps others from writing to the directory in its first
// argument, in the way that the second says, says "holds", and lets go when it
// is told to.
func holdingChild(ch *inChild) error {
	dir := ch.arg(0)
	release := func() error {
		ch.say("holds")
		if _, err := ch.hear(); err != nil {
			return err
		}
		return nil
	}
	switch ch.arg(1) {
	case "fill": // what killedStore promises
		c, err := cache.Open[string, string](ch.ctx, dir, nil)
		if err != nil {
			return err
		}
		err = errors.Join(c.Set(ch.ctx, "k", "vvv"), c.Set(ch.ctx, "big", strings.Repeat("v", 40_000)))
		if err != nil {
			return err
		}
		ch.say("filled")
		_, err = ch.hear()
		return err
	case "transaction":
		st, err := cache.OpenStore(ch.ctx, dir, nil)
		if err != nil {
			return err
		}
		c, err := cache.New[string, string](ch.ctx, st, "", nil)
		if err != nil {
			return err
		}
		err = st.Update(context.Background(), func(tx *cache.Tx) error {
			return errors.Join(c.In(tx).Set(context.Background(), "held", "v"), release())
		})
		err = errors.Join(err, st.Close())
		ch.say("released")
		return err
	case "stranger": // a program that knows nothing of ours, such as Python's DiskCache
		db, err := sqlitetest.Open(filepath.Join(dir, "cache.db"))
		if err != nil {
			return err
		}
		if err := db.Exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		if err := release(); err != nil {
			return err
		}
		err = db.Exec("COMMIT")
		err = errors.Join(err, db.Close())
		ch.say("released")
		return err
	case "lock": // a process of ours that is making the store
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(filepath.Join(dir, "cache.db-lock"), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return err
		}
		err = errors.Join(release(), f.Close())
		ch.say("released")
		return err
	}
	return fmt.Errorf("no way to hold %q", ch.arg(1))
}
