//go:build linux

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// collidingKeys are keys of the default collection. The near cache keeps one
// version for the first three, and one place for the first and the last three,
// where writers leave rows for other processes.
var collidingKeys = []string{"k0", "s213595", "s726060", "p697", "p699", "p721"}

// collide gives a key a value of n bytes, or deletes it if n is negative, in
// a transaction in which it has had others before. Then it does more in one
// that fails.
func collide(ctx context.Context, c *cache.Cache[string, string], key string, n int) error {
	has := func(c *cache.Cache[string, string], want string) error {
		switch v, found, err := c.Get(ctx, key); {
		case err != nil:
			return err
		case found != (want != "") || v != want:
			return fmt.Errorf("%s has %.20q (%d bytes), not %.20q", key, v, len(v), want)
		}
		return nil
	}
	want := ""
	err := c.Update(ctx, func(tx *cache.Tx) error {
		c := c.In(tx)
		_, _, err := c.Get(ctx, key)
		err = errors.Join(err, c.Set(ctx, key, "first"), has(c, "first"))
		_, deleteErr := c.Delete(ctx, key)
		err = errors.Join(err, deleteErr, has(c, ""))
		if n < 0 {
			return errors.Join(err, c.Set(ctx, key, "expired", cache.ExpireAt(time.Unix(1, 0))), has(c, ""))
		}
		want = strings.Repeat("v", n) + strconv.Itoa(n)
		return errors.Join(err, c.Set(ctx, key, want), has(c, want))
	})
	if err != nil {
		return err
	}
	failure := errors.New("rolled back")
	err = c.Update(ctx, func(tx *cache.Tx) error {
		c := c.In(tx)
		if err := errors.Join(has(c, want), c.Set(ctx, key, "never"), has(c, "never")); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		return err
	}
	return has(c, want)
}

// collidingChild collides as it is told.
func collidingChild(ch *inChild) error {
	c, err := cache.Open[string, string](ch.ctx, ch.arg(0), nil)
	if err != nil {
		return err
	}
	ch.say("ready")
	for {
		what, err := ch.hear()
		if err != nil {
			return c.Close()
		}
		key, size, _ := strings.Cut(what, " ")
		n, err := strconv.Atoi(size)
		if err == nil {
			err = collide(ch.ctx, c, key, n)
		}
		if err != nil {
			return err
		}
		ch.say("done")
	}
}

// TestNearCollisions: keys that share what the near cache has for them, and
// values that just fit or just do not, are what they were made last, whoever
// made them.
func TestNearCollisions(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), filepath.Join(quickDir(t), "store")
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	c := open[string, string](t, st, "", nil)
	other := spawn(t, "collide", dir)
	other.expect("ready")
	want := map[string]string{}
	same := func() {
		t.Helper()
		for _, k := range collidingKeys {
			v, found, err := c.Get(ctx, k)
			ok(t, err)
			if v != want[k] || found != (want[k] != "") {
				t.Fatalf("%s has %.20q (%d bytes), not %.20q", k, v, len(v), want[k])
			}
		}
	}
	i := 0
	for _, n := range []int{0, -1, 100, 870, 884, 885, 888, 890, 892, 896, 900, 904, -1, 1000, 40_000, 3} {
		for _, key := range collidingKeys {
			if i++; i%3 == 0 {
				ok(t, collide(ctx, c, key, n))
			} else {
				other.say(fmt.Sprint(key, " ", n))
				other.expect("done")
			}
			want[key] = ""
			if n >= 0 {
				want[key] = strings.Repeat("v", n) + strconv.Itoa(n)
			}
			same()
			same()
		}
		if n == 100 || n == 3 { // and what was left is of no use, of whatever key
			ok(t, st.Drop(ctx, ""))
			clear(want)
			same()
		}
	}
	other.finish()
	ok(t, st.Close())
	clean(t, dir)
}
