//go:build linux

package cache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// monotonic is a clock that all processes share, in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// padded is a codec of numbers, every other one of which is so long that it is
// kept in a value file.
type padded struct{}

func (padded) Name() string { return "padded" }

func (padded) Encode(n int64) (codec.Value, error) {
	s := strconv.FormatInt(n, 10)
	if n%2 != 0 {
		s += strings.Repeat(" ", 40_000)
	}
	return codec.TextValue(s), nil
}

func (padded) Decode(v codec.Value) (int64, error) {
	return strconv.ParseInt(strings.TrimSpace(v.Text()), 10, 64)
}

// nearKeys are the keys of each collection. Python writes to the default one.
var nearKeys = map[string][]string{"": {"d0", "d1", "d2"}, "n": {"n0", "n1"}, "tagged": {"t0", "t1"}, "big": {"b0", "b1"}}

// actor is a goroutine of a child that does things to keys and says so.
type actor struct {
	ch  *inChild
	id  string
	r   *rand.Rand
	out *sync.Mutex
	st  *cache.Store
	all map[string]*cache.Cache[string, int64]
}

func (a *actor) say(format string, args ...any) {
	a.out.Lock()
	defer a.out.Unlock()
	a.ch.say(format, args...)
}

// collection opens a collection if it is not, or was dropped.
func (a *actor) collection(name string) (*cache.Cache[string, int64], error) {
	if c := a.all[name]; c != nil {
		return c, nil
	}
	o := &cache.Options[string, int64]{Policy: cache.LeastRecentlyUsed, Statistics: true}
	if name == "big" {
		o.Values = padded{}
	}
	c, err := cache.New(a.ch.ctx, a.st, name, o)
	a.all[name] = c
	return c, err
}

// nearChild does all kinds of things to a few keys.
func nearChild(ch *inChild) error {
	st, err := cache.OpenStore(ch.ctx, ch.arg(0), nil)
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(ch.arg(1), 10, 64)
	if err != nil {
		return err
	}
	var group errgroup.Group
	var out sync.Mutex
	for id := range uint64(3) {
		a := &actor{ch: ch, id: fmt.Sprint(id), r: rand.New(rand.NewPCG(seed, id)), out: &out, st: st, all: map[string]*cache.Cache[string, int64]{}}
		group.Go(func() error {
			for ch.ctx.Err() == nil {
				if err := a.act(); err != nil && ch.ctx.Err() == nil {
					return err
				}
				if a.r.IntN(3) == 0 {
					time.Sleep(time.Duration(a.r.IntN(2000)) * time.Microsecond)
				}
			}
			return nil
		})
	}
	return errors.Join(group.Wait(), st.Close())
}

func (a *actor) act() error {
	names := []string{"", "n", "tagged", "big"}
	name := names[a.r.IntN(len(names))]
	c, err := a.collection(name)
	if err != nil {
		return err
	}
	key := nearKeys[name][a.r.IntN(len(nearKeys[name]))]
	if a.r.IntN(4) > 0 {
		for range 1 + a.r.IntN(8) {
			call := monotonic()
			n, _, err := c.Get(a.ch.ctx, key)
			end := monotonic()
			if errors.Is(err, cache.ErrClosed) {
				delete(a.all, name)
				return nil
			}
			if err != nil {
				return err
			}
			a.say("= %s %d %d %d", key, n, call, end)
		}
		return nil
	}
	return a.change(name, c, key)
}

// change does something to one key or to all of a collection.
func (a *actor) change(name string, c *cache.Cache[string, int64], key string) error {
	ctx, v, was := a.ch.ctx, 1+a.r.Int64N(1_000_000), int64(0)
	var opts []cache.Option
	if name == "tagged" {
		opts = append(opts, cache.Tag("t"))
	}
	kinds := []string{"set", "set", "delete", "swap", "cas", "touch", "incr", "expired", "aborted", "one of all", "all"}
	kind := kinds[a.r.IntN(len(kinds))]
	if (name == "big" || name == "tagged") && kind == "incr" || name == "tagged" && kind == "swap" {
		kind = "set"
	}
	switch kind {
	case "set":
		return a.one(name, key, "set", v, 0, func() (int64, error) { return 0, c.Set(ctx, key, v, opts...) })
	case "expired":
		return a.one(name, key, "set", absent, 0, func() (int64, error) {
			return 0, c.Set(ctx, key, v, append(opts, cache.ExpireAt(time.Now().Add(-time.Hour)))...)
		})
	case "delete":
		return a.one(name, key, "delete", 0, 0, func() (int64, error) { return one(c.Delete(ctx, key)) })
	case "touch":
		return a.one(name, key, "touch", 0, 0, func() (int64, error) { return one(c.Touch(ctx, key, cache.TTL(time.Hour))) })
	case "incr":
		return a.one(name, key, "incr", v, 0, func() (int64, error) { return cache.Incr(ctx, c, key, v) })
	case "cas":
		was, _, err := c.Get(ctx, key)
		if err != nil || was == absent {
			return ignoreClosed(err)
		}
		return a.one(name, key, "cas", was, v, func() (int64, error) { return one(c.CompareAndSwap(ctx, key, was, v, opts...)) })
	case "swap", "aborted":
		failure := errors.New("rolled back")
		swap := func() (int64, error) {
			err := a.st.Update(ctx, func(tx *cache.Tx) (err error) {
				if was, _, err = c.In(tx).Get(ctx, key); err == nil {
					err = c.In(tx).Set(ctx, key, v, opts...)
				}
				if err == nil && kind == "aborted" {
					err = failure
				}
				return err
			})
			return was, err
		}
		if kind == "swap" {
			return a.one(name, key, "swap", v, 0, swap)
		}
		if _, err := swap(); !errors.Is(err, failure) {
			return ignoreClosed(err)
		}
		return nil
	case "one of all":
		return a.maintain(c)
	}
	for i, k := range nearKeys[name] {
		a.say("+ %s.%d %s clear 0 0 %d", a.id, i, k, monotonic())
	}
	var err error
	switch {
	case name == "n" || name == "big" && a.r.IntN(2) == 0:
		err = a.st.Drop(ctx, c.Name())
		delete(a.all, name)
	case name == "tagged":
		_, err = c.Evict(ctx, cache.Tag("t"))
	default:
		_, err = c.Clear(ctx)
	}
	for i := range nearKeys[name] {
		a.returned(fmt.Sprint(a.id, ".", i), 0, err)
	}
	return ignoreClosed(err)
}

// one does something to one key.
func (a *actor) one(name, key, kind string, x, y int64, fn func() (int64, error)) error {
	a.say("+ %s %s %s %d %d %d", a.id, key, kind, x, y, monotonic())
	got, err := fn()
	a.returned(a.id, got, err)
	if errors.Is(err, cache.ErrClosed) {
		delete(a.all, name)
	}
	return ignoreClosed(err)
}

func (a *actor) returned(id string, got int64, err error) {
	end := monotonic()
	switch {
	case err == nil:
		a.say("- %s %d %d", id, got, end)
	case errors.Is(err, cache.ErrClosed): // somebody has dropped the collection
		a.say("! %s", id)
	}
}

// maintain does what changes no key.
func (a *actor) maintain(c *cache.Cache[string, int64]) error {
	ctx := a.ch.ctx
	var err error
	switch a.r.IntN(30) {
	case 0:
		err = a.st.Compact(ctx)
	case 1:
		_, err = a.st.Check(ctx, &cache.CheckOptions{Mend: true})
	case 2, 3:
		_, err = c.Configure(ctx, func(s *cache.Settings) { s.CullLimit = 1 + a.r.IntN(20) })
	case 4, 5:
		_, err = c.Configure(ctx, func(s *cache.Settings) { s.Statistics = a.r.IntN(2) == 0 })
	case 6, 7, 8:
		_, err = c.Stats(ctx)
	default:
		_, err = c.Delete(ctx, "missing") // a commit that writes nothing
	}
	return ignoreClosed(err)
}

func one(ok bool, err error) (int64, error) {
	if ok {
		return 1, err
	}
	return 0, err
}

func ignoreClosed(err error) error {
	if errors.Is(err, cache.ErrClosed) {
		return nil
	}
	return err
}

// nearPython does to the default collection what actors do.
const nearPython = `
import sys, random, time, diskcache
c = diskcache.Cache(sys.argv[1])
now = time.monotonic_ns
say = lambda *a: print(*a, flush=True)
def change(key, kind, a, fn):
    say("+ 0", key, kind, a, 0, now())
    got = fn()
    end = now()
    say("- 0", int(got or 0), end)
def swap(key, v):
    with c.transact():
        was = c.get(key, 0)
        c[key] = v
    return was
def clear():
    for i, k in enumerate(keys):
        say("+ 1.%d" % i, k, "clear 0 0", now())
    c.clear()
    end = now()
    for i, k in enumerate(keys):
        say("- 1.%d 0" % i, end)
keys = ["d0", "d1", "d2"]
say("ready")
while True:
    key, v, kind = random.choice(keys), random.randrange(1, 10**6), random.randrange(24)
    if kind < 8:
        call = now()
        got = c.get(key, 0)
        say("=", key, got, call, now())
    elif kind < 12: change(key, "set", v, lambda: c.set(key, v))
    elif kind < 14: change(key, "incr", v, lambda: c.incr(key, v))
    elif kind < 16: change(key, "delete", 0, lambda: c.delete(key))
    elif kind < 18: change(key, "swap", v, lambda: swap(key, v))
    elif kind < 20: change(key, "touch", 0, lambda: c.touch(key, 3600))
    elif kind < 21: change(key, "set", 0, lambda: c.set(key, v, expire=-1))
    elif kind < 22: clear()
    elif kind < 23: c.close()
    time.sleep(random.random() / 200)
`

// shell is a running sqlite3 that writes to the default collection and
// maintains the database, as events of a recorder.
type shell struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startShell(t *testing.T, dir string) *shell {
	t.Helper()
	s := &shell{cmd: exec.Command("sqlite3", dir+"/cache.db")}
	s.in = must(s.cmd.StdinPipe())(t)
	s.out = bufio.NewReader(must(s.cmd.StdoutPipe())(t))
	s.cmd.Stderr = s.cmd.Stdout
	ok(t, s.cmd.Start())
	return s
}

// run runs SQL and returns the last line of its output.
func (s *shell) run(sql string) (string, error) {
	if _, err := io.WriteString(s.in, sql+";\n.print done\n"); err != nil {
		return "", err
	}
	last := ""
	for {
		line, err := s.out.ReadString('\n')
		if err != nil || line == "done\n" {
			return strings.TrimSpace(last), err
		}
		last = line
	}
}

// work goes on until ctx ends.
func (s *shell) work(ctx context.Context, h io.Writer, r *rand.Rand) error {
	defer s.in.Close()
	for ctx.Err() == nil {
		sql, key, v := "", nearKeys[""][r.IntN(3)], 1+r.IntN(1_000_000)
		switch r.IntN(20) {
		case 0:
			sql = "VACUUM" // is busy at times
		case 1, 2:
			sql = "PRAGMA wal_checkpoint(TRUNCATE)"
		case 3, 4:
			sql = "PRAGMA wal_checkpoint(RESTART)"
		case 5, 6:
			sql = "PRAGMA wal_checkpoint(PASSIVE)"
		default:
			fmt.Fprintf(h, "+ 0 %s update %d 0 %d\n", key, v, monotonic())
			_, err := s.run("PRAGMA busy_timeout = 20000")
			if err != nil {
				return err
			}
			const live = "(expire_time IS NULL OR expire_time > (julianday('now') - 2440587.5) * 86400)"
			changed, err := s.run(fmt.Sprintf("UPDATE Cache SET value = %d WHERE key = '%s' AND %s RETURNING 1", v, key, live))
			if err != nil || changed != "1" && changed != "" {
				return fmt.Errorf("%w: %s", err, changed)
			}
			fmt.Fprintf(h, "- 0 %d %d\n", len(changed), monotonic())
		}
		if sql != "" {
			// Not for long: a checkpoint keeps writers out while it waits for readers.
			if _, err := s.run("PRAGMA busy_timeout = 20; " + sql); err != nil {
				return err
			}
		}
		time.Sleep(time.Duration(r.IntN(5000)) * time.Microsecond)
	}
	return nil
}

// TestNearHistory: keys are registers, whoever reads and writes them: Go
// processes with near caches, Python and the sqlite3 shell. Some are killed,
// and the database is maintained all the time.
//
// DISKCACHE_TEST_EVENTS is how many events there are to be at least:
//
//	DISKCACHE_TEST_EVENTS=1000000 go test ./cache -run TestNearHistory -v -timeout 1h
func TestNearHistory(t *testing.T) {
	if err := exec.Command(pythonPath, "-c", "import diskcache").Run(); err != nil {
		t.Skip("Python's DiskCache is not installed: apt-get install python3-diskcache")
	}
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("there is no sqlite3: apt-get install sqlite3")
	}
	t.Parallel()
	r := random(t, 5)
	dir := quickDir(t) + "/store"
	events, want := 0, amount(t, "DISKCACHE_TEST_EVENTS", 1)
	for events < want && !t.Failed() {
		events += nearHistory(t, r, dir)
	}
	t.Logf("%d events in all", events)
	clean(t, dir)
}

// nearHistory has eight processes work on a store for some seconds, kills and
// replaces some of them, checks the history of each key, and returns the number of
// its events.
func nearHistory(t *testing.T, r *rand.Rand, dir string) int {
	noKeys(t, dir)
	h := newRecorder()
	var recorders, shells sync.WaitGroup

	// What a child has written is read before it is waited for.
	recorded := make(map[*child]chan struct{})
	start := func() *child {
		c := spawn(t, "near", dir, strconv.FormatUint(r.Uint64(), 10))
		end := make(chan struct{})
		recorded[c] = end
		recorders.Go(func() {
			h.record(c.out)
			close(end)
		})
		return c
	}
	type python struct {
		*exec.Cmd
		recorded chan struct{}
	}
	startPython := func() *python {
		cmd := exec.Command(pythonPath, "-c", nearPython, dir)
		cmd.Stderr = os.Stderr
		out := bufio.NewReader(must(cmd.StdoutPipe())(t))
		ok(t, cmd.Start())
		_, err := out.ReadString('\n')
		ok(t, err)
		p := &python{cmd, make(chan struct{})}
		recorders.Go(func() {
			h.record(out)
			close(p.recorded)
		})
		return p
	}
	children := []*child{start(), start(), start(), start(), start()}
	pythons := []*python{startPython(), startPython()}
	stopPython := func(p *python) {
		p.Process.Kill()
		<-p.recorded
		p.Wait()
		if p.ProcessState.Exited() {
			t.Errorf("Python has ended by itself: %v", p.ProcessState)
		}
	}
	defer func() {
		for _, p := range pythons {
			stopPython(p)
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said, says := io.Pipe()
	recorders.Go(func() { h.record(said) })
	sqlite := startShell(t, dir)
	rng := rand.New(rand.NewPCG(r.Uint64(), 0))
	shells.Go(func() {
		if err := sqlite.work(ctx, says, rng); err != nil {
			t.Errorf("sqlite3: %v", err)
		}
		sqlite.cmd.Wait() // it says so if a VACUUM was busy
		says.Close()
	})

	for range scaled(20) {
		time.Sleep(time.Duration(100+r.IntN(200)) * time.Millisecond)
		if r.IntN(5) == 0 {
			p := &pythons[r.IntN(len(pythons))]
			stopPython(*p)
			*p = startPython()
			continue
		}
		c := &children[r.IntN(len(children))]
		(*c).kill()
		<-recorded[*c]
		(*c).killed()
		*c = start()
	}
	stop()
	shells.Wait()
	for _, c := range children {
		ok(t, c.in.Close())
	}
	for _, p := range pythons {
		stopPython(p)
	}
	recorders.Wait()
	for _, c := range children {
		if err := c.wait(); err != nil {
			t.Errorf("%v\n%s", err, c.errs.String())
		}
	}
	return h.check(t)
}

// noKeys makes the collections if they are not there, and removes all keys from
// them: that is how a history begins.
func noKeys(t *testing.T, dir string) {
	t.Helper()
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	for name := range nearKeys {
		a := &actor{ch: &inChild{ctx: t.Context()}, st: st, all: map[string]*cache.Cache[string, int64]{}}
		must(must(a.collection(name))(t).Clear(t.Context()))(t)
	}
	ok(t, st.Close())
}
