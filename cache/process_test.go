//go:build linux

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// scaled returns n, or less for short tests and under the race detector, which
// finds a race in the first rounds.
func scaled(n int) int {
	switch {
	case testing.Short():
		return max(n/10, 2)
	case raceEnabled:
		return max(n/4, 2)
	}
	return n
}

// amount is n, or what an environment variable says: a test that is given more
// to do does the same for longer. Such a run wants go test's -timeout, too.
func amount(t *testing.T, variable string, n int) int {
	t.Helper()
	if s := os.Getenv(variable); s != "" {
		return must(strconv.Atoi(s))(t)
	}
	return n
}

// creatingChild opens a store, which may not be there yet, and two collections
// at the same time as others, and writes to them.
func creatingChild(ch *inChild) error {
	ch.say("ready")
	for {
		dir, err := ch.hear()
		if err != nil {
			return nil
		}
		st, err := cache.OpenStore(ch.ctx, dir, nil)
		if err != nil {
			return err
		}
		a, err1 := cache.New[string, string](ch.ctx, st, "", nil)
		b, err2 := cache.New[string, string](ch.ctx, st, "b", &cache.Options[string, string]{Persistent: true})
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		for _, c := range []*cache.Cache[string, string]{a, b} {
			if err := c.Set(ch.ctx, ch.arg(0), strings.Repeat("v", 40_000)); err != nil {
				return err
			}
		}
		if err := st.Close(); err != nil {
			return err
		}
		ch.say("done")
	}
}

// Several processes open one directory for the first time, at once.
func TestCreationRace(t *testing.T) {
	t.Parallel()
	var all []*child
	for i := range 8 {
		all = append(all, spawn(t, "create", strconv.Itoa(i)))
	}
	for _, c := range all {
		c.expect("ready")
	}
	for range scaled(20) {
		dir := filepath.Join(t.TempDir(), "above", "store")
		for _, c := range all {
			c.say(dir)
		}
		for _, c := range all {
			c.expect("done")
		}
		st := must(cache.OpenStore(t.Context(), dir, nil))(t)
		equal(t, strings.Join(must(st.Collections(t.Context()))(t), " "), " cache/b")
		for _, name := range []string{"", "b"} {
			length(t, open[string, string](t, st, name, nil), int64(len(all)))
		}
		ok(t, st.Close())
		clean(t, dir)
	}
	for _, c := range all {
		c.finish()
	}
}

// addingChild counts to the number in its second argument, in several ways.
func addingChild(ch *inChild) error {
	n, err := strconv.Atoi(ch.arg(1))
	if err != nil {
		return err
	}
	st, err := cache.OpenStore(ch.ctx, ch.arg(0), nil)
	if err != nil {
		return err
	}
	c, err := cache.New[string, int](ch.ctx, st, "n", &cache.Options[string, int]{Persistent: true})
	if err != nil {
		return err
	}
	ch.say("ready")
	if _, err := ch.hear(); err != nil {
		return err
	}
	add := func(v int, _ bool) (int, bool, error) { return v + 1, true, nil }
	for i := range n {
		switch i % 3 {
		case 0:
			_, err = cache.Incr(ch.ctx, c, "n", 1)
		case 1:
			_, _, err = c.Modify(ch.ctx, "n", add)
		case 2:
			err = st.Update(ch.ctx, func(tx *cache.Tx) error {
				v, _, err := c.In(tx).Get(ch.ctx, "n")
				return errors.Join(err, c.In(tx).Set(ch.ctx, "n", v+1))
			})
		}
		if err != nil {
			return err
		}
	}
	if err := st.Close(); err != nil {
		return err
	}
	ch.say("done")
	return nil
}

// No count is lost between processes.
func TestCountTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := scaled(300)
	var all []*child
	for range 8 {
		all = append(all, spawn(t, "add", dir, strconv.Itoa(n)))
	}
	for _, c := range all {
		c.expect("ready")
	}
	for _, c := range all {
		c.say("go")
	}
	for _, c := range all {
		c.expect("done")
		c.finish()
	}
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	got, _, err := open(t, st, "n", &cache.Options[string, int]{Persistent: true}).Get(t.Context(), "n")
	ok(t, err)
	equal(t, got, 8*n)
	ok(t, st.Close())
	clean(t, dir)
}

// churningChild opens and closes a store all the time, and makes and removes
// value files in between.
func churningChild(ch *inChild) error {
	n, err := strconv.Atoi(ch.arg(1))
	if err != nil {
		return err
	}
	for range n {
		c, err := cache.Open[string, string](ch.ctx, ch.arg(0), nil)
		if err != nil {
			return err
		}
		named, err := cache.New[string, string](ch.ctx, c.Store(), "named", nil)
		if err != nil {
			return err
		}
		for _, c := range []*cache.Cache[string, string]{c, named} {
			if err := c.Set(ch.ctx, ch.arg(2), strings.Repeat("v", 33_000)); err != nil {
				return err
			}
			if found, err := c.Delete(ch.ctx, ch.arg(2)); err != nil || !found {
				return fmt.Errorf("delete: %v, %w", found, err)
			}
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Processes come and go, and make and remove the same folders. Meanwhile the
// store is in order.
func TestComeAndGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	var all []*child
	for i := range 4 {
		all = append(all, spawn(t, "churn", dir, strconv.Itoa(scaled(150)), strconv.Itoa(i)))
	}
	gone := make(chan struct{})
	go func() {
		for _, c := range all {
			c.wait()
		}
		close(gone)
	}()
	checks := 0
	for running := true; running; checks++ {
		select {
		case <-gone:
			running = false
		default:
		}
		r, err := st.Check(t.Context(), nil)
		if err != nil {
			t.Errorf("check: %v", err)
			break
		}
		for _, p := range r.Problems {
			t.Errorf("check: %+v", p)
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d checks", checks)
	if t.Failed() {
		return
	}
	for _, c := range all {
		if err := c.wait(); err != nil {
			t.Errorf("%v\n%s", err, c.errs.String())
		}
	}
	ok(t, st.Close())
	clean(t, dir)
}

// A process that is stopped in the middle of a transaction keeps others
// waiting for as long as they want to, and no longer.
func TestStoppedInTransaction(t *testing.T) {
	for _, how := range []string{"transaction", "stranger"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			st := must(cache.OpenStore(t.Context(), dir, &cache.StoreOptions{Timeout: 200 * time.Millisecond}))(t)
			c := open[string, string](t, st, "", nil)
			set(t, c, "k", "v")
			holder := spawn(t, "hold", dir, how)
			holder.expect("holds")
			holder.signal(syscall.SIGSTOP)
			for range 3 {
				began := time.Now()
				err := c.Set(t.Context(), "k", "w")
				failed(t, err, cache.ErrTimeout, "Set", "")
				if took := time.Since(began); took < 190*time.Millisecond || took > 20*time.Second {
					t.Errorf("the timeout came after %v", took)
				}
				if !strings.HasSuffix(err.Error(), ")") {
					t.Errorf("no advice: %v", err)
				}
				has(t, c, "k", "v") // reading does not wait
			}
			holder.signal(syscall.SIGCONT)
			holder.say("let go")
			holder.expect("released")
			set(t, c, "k", "w")
			if how == "transaction" {
				has(t, c, "held", "v")
			}
			holder.finish()
			ok(t, st.Close())
			clean(t, dir)
		})
	}
}

// Processes are stopped at random moments. Others time out or succeed, and
// can read, unless the other was stopped in the few instructions in which it
// changed the header of the WAL-index: then SQLite gives up after ten seconds.
func TestStoppedAnywhere(t *testing.T) {
	t.Parallel()
	r := random(t, 3)
	dir := t.TempDir()
	st := must(cache.OpenStore(t.Context(), dir, &cache.StoreOptions{Timeout: 50 * time.Millisecond}))(t)
	c := open[string, string](t, st, "mine", nil)
	set(t, c, "k", "0")
	seed := r.Uint64()
	w := startWriter(t, dir, seed, []int{0, 1}, history{})
	timeouts := 0
	last := "0"
	for i := range scaled(60) {
		n := w.n + 1 + r.IntN(10)
		w.read(func() bool { return w.n >= n })
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		w.signal(syscall.SIGSTOP)
		began := time.Now()
		v := strconv.Itoa(i)
		err := c.Set(t.Context(), "k", v)
		if err == nil {
			last = v
		} else {
			failed(t, err, cache.ErrTimeout, "Set", "cache/mine")
			timeouts++
		}
		if got, _, e := c.Get(t.Context(), "k"); e != nil {
			failed(t, e, cache.ErrTimeout, "Get", "cache/mine")
			if err == nil {
				t.Error("one can write and not read")
			}
		} else if got != last {
			t.Errorf("Get = %q, want %q", got, last)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		w.signal(syscall.SIGCONT)
	}
	t.Logf("%d timeouts", timeouts)
	w.finish()
	verify(t, st, seed, []int{0, 1}, w.acked(history{}), true)
	has(t, c, "k", last)
	ok(t, st.Close())
	clean(t, dir)
}

// TestLogStaysBounded writes as fast as it can while others read, and for a
// while with a snapshot that lasts.
func TestLogStaysBounded(t *testing.T) {
	t.Parallel()
	const cut = 128 << 20 // the size to which the file is cut
	const bound = 2 * cut
	ctx, stop := context.WithCancel(t.Context())
	dir := t.TempDir()
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	c := open(t, st, "", &cache.Options[string, string]{Policy: cache.LeastRecentlyUsed})
	key := func(i int) string { return strconv.Itoa(i % 500) }
	value := strings.Repeat("v", 12_000)
	for i := range 500 {
		set(t, c, key(i), value)
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, _, err := c.Get(ctx, key(i)); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if i%100 == 0 {
					if _, err := cache.Collect(c.Keys(ctx)); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			}
		})
	}
	defer readers.Wait()
	defer stop()
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "cache.db-wal"))
		ok(t, err)
		return info.Size()
	}
	largest := int64(0)
	write := func(mib int) {
		for i := range mib << 20 / len(value) {
			set(t, c, key(i), value)
			if i%64 == 0 {
				largest = max(largest, size())
			}
		}
	}
	write(scaled(40))
	if largest > bound {
		t.Errorf("the log grew to %d MiB", largest>>20)
	}
	t.Logf("the log grew to %d MiB", largest>>20)

	ok(t, st.View(ctx, func(*cache.Tx) error {
		write(scaled(40))
		return nil
	}))
	t.Logf("and with a View to %d MiB", largest>>20)
	// It is cut as soon as it can begin anew.
	written := 0
	for ; size() > cut && written < 100; written++ {
		write(1)
	}
	if size() > cut {
		t.Errorf("the log has %d MiB after the View and %d MiB more", size()>>20, written)
	}
	largest = 0
	write(scaled(150))
	if largest > bound {
		t.Errorf("the log grew to %d MiB after the View", largest>>20)
	}
	stop()
	readers.Wait()
	ok(t, st.Close())
	clean(t, dir)
}
