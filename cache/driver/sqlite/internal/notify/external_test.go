package notify

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// database is what changes, as a prober and the file system see it.
type database struct {
	mu      sync.Mutex
	version int64
	err     error
	gone    error
	opened  atomic.Int32
	closed  atomic.Int32
	looks   []time.Time
	wrote   func() // called once
	told    atomic.Int32
}

func (d *database) open() (Prober, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	d.opened.Add(1)
	return d, nil
}

func (d *database) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed.Add(1)
	return nil
}

func (d *database) Version() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks = append(d.looks, time.Now())
	return d.version, d.err
}

func (d *database) Present() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

func (d *database) subscribe(wrote func()) (stop func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wrote = wrote
	return func() {}, nil
}

// set changes the database and returns how often it was looked at since the last
// time.
func (d *database) set(fn func()) (looks int) {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	fn()
	looks, d.looks = len(d.looks), nil
	return looks
}

// write writes a commit, which is seen a little later.
func (d *database) write() {
	d.mu.Lock()
	wrote := d.wrote
	d.wrote = nil
	d.mu.Unlock()
	if wrote != nil {
		d.told.Add(1)
		wrote()
	}
	time.Sleep(firstLook / 2)
	d.set(func() { d.version++ })
}

// subject is its topic.
type subject uint32

func (s subject) Topic() uint32 { return uint32(s) }

const lookEvery = time.Second

func inBubble(t *testing.T, told bool, fn func(t *testing.T, d *database, c *Watchers)) {
	synctest.Test(t, func(t *testing.T) {
		var d database
		o := Options{Log: slog.New(slog.DiscardHandler), Present: d.Present, OpenProber: d.open, LookEvery: lookEvery}
		if told {
			o.Subscribe = d.subscribe
		}
		fn(t, &d, NewWatchers(o))
	})
}

func isClosed(ch <-chan struct{}) bool {
	synctest.Wait()
	for {
		select {
		case _, ok := <-ch:
			if !ok {
				return true
			}
		default:
			return false
		}
	}
}

func await(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(time.Hour):
		t.Fatal("not woken")
	}
}

// An external commit wakes watchers soon if the file system tells, within a poll if
// it cannot, and where nobody writes there is hardly a look.
func TestExternal(t *testing.T) {
	for name, test := range map[string]struct {
		told   bool
		within time.Duration
		looks  int // within ten times lookEvery
	}{
		"told":   {true, firstLook, 11},
		"polled": {false, pollEvery, int(10*lookEvery/pollEvery) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.told, func(t *testing.T, d *database, c *Watchers) {
				changed, stop := c.Watch(nil, subject(1))
				defer c.EndWatches()
				defer stop()
				time.Sleep(time.Minute)
				await(t, changed) // it was not known before
				for range 3 {
					d.write()
					began := time.Now()
					if await(t, changed); time.Since(began) > test.within {
						t.Errorf("woken after %v", time.Since(began))
					}
					time.Sleep(time.Minute)
				}
				d.set(func() {})
				time.Sleep(10 * lookEvery)
				if n := d.set(func() {}); n > test.looks {
					t.Errorf("%d looks in %v", n, 10*lookEvery)
				}
				// Many commits, of which the file system tells once.
				d.write()
				for range 20 {
					await(t, changed)
					began := time.Now()
					d.set(func() { d.version++ })
					if await(t, changed); time.Since(began) > max(unsignalledLook, test.within) {
						t.Errorf("in a burst: woken after %v", time.Since(began))
					}
					d.set(func() { d.version++ })
				}
			})
		})
	}
}

// What nobody tells of is found by a look, and that the database is gone.
func TestExternalLook(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *database, c *Watchers) {
		changed, stop := c.Watch(nil, subject(1))
		defer c.EndWatches()
		defer stop()
		await(t, changed)
		for name, change := range map[string]func(){
			"a commit": func() { d.version++ },
			"gone":     func() { d.gone = errors.New("gone") },
			"an error": func() { d.gone, d.err = nil, errors.New("no answer") },
		} {
			time.Sleep(time.Minute)
			select {
			case <-changed:
			default:
			}
			d.set(change)
			began := time.Now()
			if await(t, changed); time.Since(began) > lookEvery {
				t.Errorf("%s: woken after %v", name, time.Since(began))
			}
			d.set(func() { d.gone, d.err = nil, nil })
		}
	})
}

// What keeps it from looking is no commit, after which it would look again and again.
func TestExternalFails(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *database, c *Watchers) {
		_, stop := c.Watch(nil, subject(1))
		defer c.EndWatches()
		defer stop()
		time.Sleep(time.Minute)
		d.set(func() { d.err = errors.New("no answer") })
		d.write()
		time.Sleep(10 * lookEvery)
		if n := d.set(func() {}); n > 30 {
			t.Errorf("%d looks in %v", n, 10*lookEvery)
		}
	})
}

// A program that writes often pays for one event, and not for one a write.
func TestExternalBurst(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *database, c *Watchers) {
		changed, stop := c.Watch(nil, subject(1))
		defer c.EndWatches()
		defer stop()
		time.Sleep(time.Minute)
		for range 1000 {
			d.write()
			await(t, changed)
		}
		if n := d.told.Load(); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// A prober that cannot be opened is tried again, and its watchers may end meanwhile.
func TestExternalOpens(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *database, c *Watchers) {
		d.err = errors.New("no connection")
		changed, stop := c.Watch(nil, subject(1))
		time.Sleep(openEvery / 2)
		d.set(func() { d.gone = errors.New("gone") })
		await(t, changed)
		d.set(func() { d.err = nil })
		time.Sleep(openEvery)
		if synctest.Wait(); d.opened.Load() != 1 {
			t.Errorf("opened %d times", d.opened.Load())
		}
		stop()
		c.EndWatches()
		if d.closed.Load() != 1 {
			t.Errorf("closed %d times", d.closed.Load())
		}
	})
}

// What brings external commits is there while anybody watches, and a while longer;
// EndWatches waits for one that nobody uses any more, too.
func TestExternalEnds(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *database, c *Watchers) {
		for range 3 {
			_, stop := c.Watch(nil, subject(1))
			time.Sleep(time.Minute)
			stop()
			stop() // again is nothing
			time.Sleep(idleAfter / 2)
			_, stop = c.Watch(nil, subject(2))
			stop()
			time.Sleep(idleAfter - 1)
		}
		if synctest.Wait(); d.opened.Load() != 1 || d.closed.Load() != 0 {
			t.Errorf("opened %d times, closed %d", d.opened.Load(), d.closed.Load())
		}
		time.Sleep(time.Nanosecond)
		if synctest.Wait(); d.closed.Load() != 1 {
			t.Error("not closed although nobody watches")
		}
		c.Watch(nil, subject(1))
		c.EndWatches()
		if d.opened.Load() != d.closed.Load() {
			t.Error("EndWatches does not wait")
		}
		changed, _ := c.Watch(nil, subject(1))
		if !isClosed(changed) {
			t.Error("a watch after the end goes on")
		}
	})
}

// Watchers are woken for their subject, and end with their owner.
func TestWatch(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *database, c *Watchers) {
		one, stopOne := c.Watch("a", subject(1))
		two, _ := c.Watch("a", subject(2))
		other, _ := c.Watch("b", subject(2))
		time.Sleep(time.Minute)
		for _, ch := range []<-chan struct{}{one, two, other} {
			await(t, ch)
		}
		c.Notify(subject(2))
		c.Notify(subject(2))
		if len(one) != 0 || len(two) != 1 || len(other) != 1 {
			t.Error("not the watchers of the subject alone were woken")
		}
		c.EndWatchesOf("a")
		if !isClosed(one) || !isClosed(two) || isClosed(other) {
			t.Error("not the owner's watches alone have ended")
		}
		stopOne()
		c.signalled(2)
		if len(other) != 1 {
			t.Error("not woken by a signal")
		}
		c.signalled(1)
		c.EndWatches()
		if !isClosed(other) {
			t.Error("the last watch goes on")
		}
	})
}
