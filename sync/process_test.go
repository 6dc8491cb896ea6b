//go:build linux

package sync_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/go-diskcache/diskcache/cache"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// A lock is free when its holder's process is dead, and so is the place in
// the queue of a waiter whose process is dead.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	l := newLock(t, openDir(t, dir), "l", nil)
	st := openDir(t, dir)
	holder, waiter := start(t, "hold", dir), start(t, "hold", dir)
	for _, c := range []*child{holder, waiter} {
		c.hear("ready")
	}
	holder.say("go")
	holder.hear("held")
	waiter.say("go")
	queued(t, st, 1)
	got := make(chan *dsync.Guard)
	go func() { got <- lock(t, l) }()
	queued(t, st, 2)
	waiter.kill()
	tryLock(t, l, false)
	holder.kill()
	began := time.Now()
	g := <-got
	took := time.Since(began)
	t.Logf("the lock of a dead process was free after %v", took)
	if took > 10*time.Second { // 50 ms are promised, on a machine that is not this busy
		t.Errorf("took %v", took)
	}
	ok(t, g.Unlock())
}

// A holder in another process is told that its lock was broken.
func TestBreakTells(t *testing.T) {
	dir := t.TempDir()
	l := newLock(t, openDir(t, dir), "l", nil)
	holder := start(t, "lose", dir)
	holder.hear("held")
	broken, err := l.Break(t.Context())
	ok(t, err)
	equal(t, broken, true)
	told := make(chan struct{})
	go func() {
		holder.hear("true")
		close(told)
	}()
	within(t, told, "the end of a broken lock's context")
	holder.finish()
}

func init() {
	// busy holds a lock while it writes large values, of which many are half
	// written when it is killed.
	helpers["busy"] = func(ctx context.Context, p *peer) error {
		c, err := cache.New(ctx, p.st, "", &cache.Options[int, string]{Persistent: true})
		if err != nil {
			return err
		}
		l, err := dsync.NewLock(ctx, p.st, "l", nil)
		if err != nil {
			return err
		}
		if _, err := l.Lock(ctx); err != nil {
			return err
		}
		begun := make(chan struct{})
		for i := range halfWritten {
			go c.SetFrom(ctx, -i, &halfReader{begun: begun})
		}
		for range halfWritten {
			<-begun
		}
		p.say("held")
		p.hear()
		return nil
	}
	// try tells whether it gets a lock as the first thing it does.
	helpers["try"] = func(ctx context.Context, p *peer) error {
		l, err := dsync.NewLock(ctx, p.st, "l", nil)
		if err != nil {
			return err
		}
		_, got, err := l.TryLock(ctx)
		p.say("%v", got)
		p.hear()
		return err
	}
}

const halfWritten = 32

// halfReader is a value that does not end. It tells when a part was read.
type halfReader struct {
	begun chan<- struct{}
	more  bool
}

func (r *halfReader) Read(b []byte) (int, error) {
	if !r.more {
		r.more = true
		return len(b), nil
	}
	r.begun <- struct{}{}
	select {}
}

// What a dead process held is free for one that is started at once, while it, and
// others, clear away what the dead one left behind.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	st := openDir(t, dir)
	c, err := cache.New(t.Context(), st, "", &cache.Options[int, string]{Persistent: true})
	ok(t, err)
	rows := 20_000
	if n, err := strconv.Atoi(os.Getenv("DISKCACHE_TEST_ROWS")); err == nil {
		rows = n
	}
	ok(t, c.SetMany(t.Context(), func(yield func(int, string) bool) {
		for i := 1; i <= rows && yield(i, strings.Repeat("v", 100)); i++ {
		}
	}))
	for range 5 {
		holder := start(t, "busy", dir)
		holder.hear("held")
		start(t, "try", dir).hear("false")
		holder.kill()
		files, err := filepath.Glob(filepath.Join(dir, "cache.db-sessions/*/*.val"))
		ok(t, err)
		if len(files) < halfWritten { // those of the holders before may still be swept
			t.Errorf("%d half-written files", len(files))
		}
		start(t, "hold", dir) // sweeps
		again := start(t, "try", dir)
		again.hear("true")
		start(t, "try", dir).hear("false")
		again.kill()
	}
}

// A cleaner of temporary files that removes everything of the sessions does not
// make a second holder, and values in files can be written all the same.
func TestCleaner(t *testing.T) {
	dir := t.TempDir()
	st := openDir(t, dir)
	c, err := cache.New[string, string](t.Context(), st, "", nil)
	ok(t, err)
	g := lock(t, newLock(t, st, "l", nil))
	inside := g.Context()
	large := strings.Repeat("v", 50_000)
	for range 3 {
		ok(t, c.Set(t.Context(), "k", large))
		ok(t, os.RemoveAll(filepath.Join(dir, "cache.db-sessions")))
		start(t, "try", dir).hear("false")
	}
	ok(t, c.Set(t.Context(), "k", large))
	ok(t, inside.Err())
	ok(t, g.Unlock())
	start(t, "try", dir).hear("true")
}

// The holds of a store that is replaced by another one are lost.
func TestReplaced(t *testing.T) {
	for name, replace := range map[string]func(dir string) error{
		"directory": func(dir string) error { return os.Rename(dir, dir+".old") },
		"database":  func(dir string) error { return os.Remove(filepath.Join(dir, "cache.db")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			st, err := cache.OpenStore(t.Context(), dir, nil)
			ok(t, err)
			defer st.Close() // fails
			l := newLock(t, st, "l", nil)
			g := lock(t, l)
			inside := g.Context()
			errs := make(chan error)
			go func() {
				_, err := l.Lock(t.Context())
				errs <- err
			}()
			queued(t, st, 1)
			ok(t, replace(dir))
			err = <-errs // says what is wrong, once
			is(t, err, cache.ErrNotStore)
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("a waiter gets more than one error: %v", err)
			}
			t.Log(err)
			within(t, inside.Done(), "the end of a lock's context with its store")
			is(t, context.Cause(inside), dsync.ErrLost)
			is(t, g.Unlock(), dsync.ErrLost)
			_, err = l.Lock(t.Context())
			is(t, err, cache.ErrNotStore)
		})
	}
}

// A process that is stopped keeps its lock.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	st := openDir(t, dir)
	l := newLock(t, st, "l", nil)
	holder := start(t, "hold", dir)
	holder.hear("ready")
	holder.say("go")
	holder.hear("held")
	holder.signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := l.Lock(ctx)
	is(t, err, context.DeadlineExceeded)
	got := make(chan *dsync.Guard)
	go func() { got <- lock(t, l) }()
	queued(t, st, 1)
	holder.signal(syscall.SIGCONT)
	holder.say("unlock")
	g := <-got
	holder.finish()
	ok(t, g.Unlock())
}

// Permits of a dead process come back.
func TestKillPermits(t *testing.T) {
	dir := t.TempDir()
	st := openDir(t, dir)
	s := newSemaphore(t, st, "s", 3)
	c := start(t, "permits", dir)
	c.hear("held")
	p, err := s.Acquire(t.Context())
	ok(t, err)
	if _, got, _ := s.TryAcquire(t.Context()); got {
		t.Fatal("a permit too many")
	}
	got := make(chan *dsync.Permit)
	go func() {
		p, err := s.AcquireN(t.Context(), 2)
		ok(t, err)
		got <- p
	}()
	queued(t, st, 1)
	c.kill()
	ok(t, (<-got).Release())
	ok(t, p.Release())
}

// step is one operation on a lock as a history has it.
type step struct {
	unlock bool
	token  int64
}

// lockModel is a lock whose tokens grow.
var lockModel = porcupine.Model{
	Init: func() any { return step{unlock: true} },
	Step: func(state, input, output any) (bool, any) {
		was, op := state.(step), input.(step)
		if op.unlock {
			return !was.unlock && was.token == op.token, op
		}
		return was.unlock && op.token > was.token, op
	},
	Equal: func(a, b any) bool { return a == b },
}

// Histories of several processes, some of which are killed, are those of a
// lock: one holder at a time, and tokens that grow.
//
// DISKCACHE_TEST_EVENTS is how many operations there are to be at least:
//
//	DISKCACHE_TEST_EVENTS=1000000 go test ./sync -run TestHistory -v -timeout 1h
func TestHistory(t *testing.T) {
	dir := t.TempDir()
	openDir(t, dir)
	want := 1
	if s := os.Getenv("DISKCACHE_TEST_EVENTS"); s != "" {
		var err error
		want, err = strconv.Atoi(s)
		ok(t, err)
	}
	operations, killed := 0, 0
	held := step{unlock: true} // how the lock was left
	for operations < want && !t.Failed() {
		history := contendAndKill(t, dir)
		for i := range history {
			if history[i].Return == 0 {
				killed++
				history[i].Return = monotonic()
			}
		}
		operations += len(history)
		model := lockModel
		model.Init = func() any { return held }
		if res := porcupine.CheckOperationsTimeout(model, history, 2*time.Minute); res != porcupine.Ok {
			t.Errorf("the history is %s", res)
		}
		for _, op := range history {
			held.token = max(held.token, op.Input.(step).token)
		}
	}
	t.Logf("%d operations, %d of them ended by a kill", operations, killed)
}

// contendAndKill returns the history of processes that contend for a lock. Each
// that begins with it is killed once, and replaced.
func contendAndKill(t *testing.T, dir string) []porcupine.Operation {
	const processes = 4
	var mu sync.Mutex
	var history []porcupine.Operation
	var all sync.WaitGroup
	children := make([]*child, processes)
	ready := make(chan struct{}, 2*processes)
	begin := func(i int) {
		c := start(t, "contend", dir)
		children[i] = c
		c.hear("ready")
		all.Go(func() {
			ops := record(c, i, ready)
			mu.Lock()
			defer mu.Unlock()
			history = append(history, ops...)
		})
		c.say("go")
	}
	for i := range processes {
		begin(i)
	}
	for range processes {
		<-ready // one more has had the lock often
	}
	for i := range processes {
		ok(t, children[i].cmd.Process.Kill())
		begin(i)
		<-ready
	}
	for _, c := range children {
		ok(t, c.in.Close())
	}
	all.Wait()
	return history
}

// record reads the history of one process.
func record(c *child, id int, ready chan struct{}) []porcupine.Operation {
	var ops []porcupine.Operation
	unlocking := map[int64]int{} // operation by token
	for c.out.Scan() {
		f := strings.Fields(c.out.Text())
		n := make([]int64, 3)
		for i, s := range f[1:] {
			n[i], _ = strconv.ParseInt(s, 10, 64)
		}
		switch {
		case f[0] == "lock" && len(f) == 4:
			ops = append(ops, porcupine.Operation{ClientId: id, Input: step{false, n[0]}, Call: n[1], Return: n[2]})
			// If the process is killed it unlocks as well.
			unlocking[n[0]] = len(ops)
			ops = append(ops, porcupine.Operation{ClientId: id, Input: step{true, n[0]}, Call: n[2]})
			if len(unlocking) == 20 {
				ready <- struct{}{}
			}
		case f[0] == "unlocking" && len(f) == 3:
			ops[unlocking[n[0]]].Call = n[1]
		case f[0] == "unlock" && len(f) == 3:
			ops[unlocking[n[0]]].Return = n[1]
		}
	}
	_ = c.cmd.Wait()
	return ops
}

// turns returns how often each of n processes had a lock in some time in which
// all of them contended for it: one that is alone is many times as fast.
func turns(t testing.TB, n int, d time.Duration) []int {
	dir := t.TempDir()
	openDir(t, dir)
	children := make([]*child, n)
	for i := range children {
		children[i] = start(t, "count", dir)
		children[i].hear("ready")
	}
	for _, c := range children {
		c.say("go")
	}
	for _, c := range children {
		c.hear("begun")
	}
	from := monotonic()
	time.Sleep(d)
	window := fmt.Sprint(from, monotonic())
	for _, c := range children {
		c.say(window)
	}
	counts := make([]int, n)
	for i, c := range children {
		lines := c.finish()
		equal(t, len(lines), 1)
		counts[i], _ = strconv.Atoi(lines[0])
	}
	return counts
}

// No process that contends for a lock gets less than half of its fair share.
func TestFairness(t *testing.T) {
	fair(t, turns(t, 4, 2*time.Second))
}

func fair(t testing.TB, counts []int) {
	t.Helper()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	t.Log("each process had the lock so often:", fmt.Sprint(counts))
	if least := slices.Min(counts); least*2*len(counts) < sum {
		t.Errorf("one process had it %d times of %d", least, sum)
	}
}

// A holder that is dead is listed as such, until somebody asks for the lock; in a store
// that is only read, too.
func TestListDead(t *testing.T) {
	dir := t.TempDir()
	st := openDir(t, dir)
	holder := start(t, "hold", dir)
	holder.hear("ready")
	holder.say("go")
	holder.hear("held")
	ro, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{ReadOnly: true})
	ok(t, err)
	defer ro.Close()
	for _, st := range []*cache.Store{st, ro} {
		equal(t, states(t, dsync.Locks, st)[0].Holders[0].Alive, true)
	}
	holder.kill()
	for _, st := range []*cache.Store{st, ro} {
		for states(t, dsync.Locks, st)[0].Holders[0].Alive { // a server notices a moment later
			time.Sleep(time.Millisecond)
		}
	}
}
