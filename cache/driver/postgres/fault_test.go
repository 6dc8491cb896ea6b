//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/cache/driver/postgres/internal/pgtest"
	"github.com/go-diskcache/diskcache/codec"
)

// lru is a collection whose Gets leave marks.
func lru(t testing.TB, s driver.Store) driver.Collection {
	t.Helper()
	settings := driver.PersistentSettings()
	settings.Policy = driver.LeastFrequentlyUsed
	c, err := s.Open(t.Context(), "lru", driver.Spec{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var kept = codec.TextValue("k")

// slide is a Get that moves the expiry.
func slide(t testing.TB, s driver.Store, c driver.Collection, to driver.Instant) {
	t.Helper()
	if _, ok, err := s.Get(t.Context(), c, kept, driver.Lookup{Now: 2, Slide: to}); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// flush writes what Gets of a store have left.
func flush(t testing.TB, s driver.Store, c driver.Collection) {
	t.Helper()
	if err := s.Update(t.Context(), driver.Own, func(driver.Tx) error { return nil }, c); err != nil {
		t.Fatal(err)
	}
}

// TestMarksDuringRead: what a Get has left is not missing from a View and from a Get that
// began before it was written, and is there once.
func TestMarksDuringRead(t *testing.T) {
	s, _ := opened(t, dsn(t), postgres.Options{NearCache: -1})
	c := lru(t, s)
	put(t, s, c, "k", "v")
	check := func(r driver.Row, ok bool, err error, expire driver.Instant, accesses int64) {
		t.Helper()
		if !ok || err != nil || r.Expire != expire || r.Accesses != accesses {
			t.Errorf("%v, %v: expires at %v, %d accesses; want %v and %d", ok, err, r.Expire, r.Accesses, expire, accesses)
		}
	}
	look := driver.Lookup{Now: 2, Quiet: true}
	if err := s.View(t.Context(), func(tx driver.Tx) error {
		for i := range int64(3) {
			to := driver.Instant(2000 + i)
			slide(t, s, c, to)
			r, ok, err := tx.Get(t.Context(), c, kept, look)
			check(r, ok, err, to, i+1)
			flush(t, s, c)
			r, ok, err = tx.Get(t.Context(), c, kept, look)
			check(r, ok, err, to, i+1)
			r, ok, err = s.Get(t.Context(), c, kept, look)
			check(r, ok, err, to, i+1)
			if err := s.View(t.Context(), func(tx driver.Tx) error {
				r, ok, err := tx.Get(t.Context(), c, kept, look)
				check(r, ok, err, to, i+1)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slide(t, s, c, 3000)
	times := 0
	postgres.Finding(s, func() {
		if times++; times == 1 {
			flush(t, s, c)
		}
	})
	r, ok, err := s.Get(t.Context(), c, kept, look)
	check(r, ok, err, 3000, 4)
	if times != 2 {
		t.Errorf("found %d times", times)
	}
	other, err := s.Open(t.Context(), "other", driver.Spec{Settings: c.Settings()})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, other, "k", "v")
	slide(t, s, other, 3000)
	times = 0
	postgres.Finding(s, func() {
		if times++; times == 1 {
			flush(t, s, other)
		}
	})
	r, ok, err = s.Get(t.Context(), c, kept, look)
	if check(r, ok, err, 3000, 4); times != 1 {
		t.Errorf("found %d times beside another collection", times)
	}
}

// TestMarksOfOthers: what the Gets of two programs leave adds up, and does not undo
// a later Touch.
func TestMarksOfOthers(t *testing.T) {
	dsn := dsn(t)
	s, _ := opened(t, dsn, postgres.Options{})
	other, _ := opened(t, dsn, postgres.Options{})
	c, oc := lru(t, s), lru(t, other)
	put(t, s, c, "k", "v")
	slide(t, s, c, 2000)
	slide(t, other, oc, 3000)
	if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
		_, err := tx.Touch(t.Context(), c, kept, 4000, 2)
		return err
	}, c); err != nil {
		t.Fatal(err)
	}
	if got := get(t, other, oc, "k"); got != "v 1 4000 2" {
		t.Error(got)
	}
	flush(t, other, oc)
	for _, in := range []struct {
		s driver.Store
		c driver.Collection
	}{{s, c}, {other, oc}} {
		if got := get(t, in.s, in.c, "k"); got != "v 1 4000 2" {
			t.Error(got)
		}
	}
	slide(t, other, oc, 5000)
	flush(t, other, oc)
	if got := get(t, s, c, "k"); got != "v 1 5000 3" {
		t.Error(got)
	}
}

// TestMarksLate: marks that are written late do not take back what later ones of another
// program have moved. One of a Get that knows of those may.
func TestMarksLate(t *testing.T) {
	dsn := dsn(t)
	s, _ := opened(t, dsn, postgres.Options{NearCache: -1})
	other, _ := opened(t, dsn, postgres.Options{NearCache: -1})
	c, oc := lru(t, s), lru(t, other)
	both := func(want string) {
		t.Helper()
		if got := get(t, s, c, "k"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := get(t, other, oc, "k"); got != want {
			t.Errorf("the other program: %q, want %q", got, want)
		}
	}
	put(t, s, c, "k", "v")
	slide(t, s, c, 2000)
	for i := range 2 {
		slide(t, other, oc, driver.Instant(3000+i))
		flush(t, other, oc)
	}
	if got := get(t, s, c, "k"); got != "v 1 3001 3" {
		t.Error(got)
	}
	flush(t, s, c)
	both("v 1 3001 3")
	for i := range 2 {
		slide(t, s, c, driver.Instant(2500-i))
		flush(t, s, c)
	}
	both("v 1 2499 5")
}

// TestFlushBesideBusy: a collection that somebody has locked for long does not keep what
// reads have left on others from being written.
func TestFlushBesideBusy(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{Timeout: -1})
	other, _ := opened(t, dsn, postgres.Options{})
	oc, err := other.Open(t.Context(), "test", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	late := lru(t, s) // its ID is the higher one
	put(t, s, c, "k", "v")
	put(t, s, late, "k", "v")
	a := admin(t, dsn)
	if err := other.Update(t.Context(), driver.Own, func(driver.Tx) error {
		slide(t, s, c, 2000)
		slide(t, s, late, 2000)
		for expire := 0.0; expire != 2000; {
			if err := a.QueryRow(t.Context(), `SELECT e.expire FROM `+schemaOf(t.Name())+`.entry e JOIN `+schemaOf(t.Name())+`.collection USING (c) WHERE name = 'lru'`).Scan(&expire); err != nil {
				return err
			}
		}
		return nil
	}, oc); err != nil {
		t.Fatal(err)
	}
}

// TestStatsDuringCommit: statistics are read while those of another collection are being
// written.
func TestStatsDuringCommit(t *testing.T) {
	s, _ := opened(t, dsn(t), postgres.Options{})
	var cs []driver.Collection
	for _, name := range []string{"a", "b"} {
		settings := driver.PersistentSettings()
		settings.Statistics = true
		c, err := s.Open(t.Context(), name, driver.Spec{Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		cs = append(cs, c)
	}
	var read atomic.Bool
	postgres.Committing(s, 20*time.Second, func(*pgx.Conn, bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := s.Stats(ctx, cs[1], false); err != nil {
			t.Error(err)
		}
		read.Store(true)
	})
	if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
		_, _, err := tx.Get(t.Context(), cs[0], kept, driver.Lookup{Now: 2})
		return err
	}, cs[0]); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Stats(t.Context(), cs[0], true); err != nil || n.Misses != 1 || !read.Load() {
		t.Errorf("%+v, %v; read meanwhile: %v", n, err, read.Load())
	}
}

// putLarge stores a value outside of its row, at kept.
func putLarge(t testing.TB, s driver.Store, c driver.Collection) (text []byte) {
	t.Helper()
	text = bytes.Repeat([]byte("x"), 600<<10)
	f, err := s.(driver.Filer).Create(t.Context(), codec.Blob)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	_, err = f.Write(text)
	if err := errors.Join(err, f.Finish()); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
		_, err := tx.Put(t.Context(), c, driver.Put{Key: kept, File: f, Now: 1})
		return err
	}, c); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestViewDuringCommit: a View that begins while a value is being removed has it to its
// end, if it sees it, whether or not an earlier View runs.
func TestViewDuringCommit(t *testing.T) {
	dsn := dsn(t)
	for _, beside := range []bool{false, true} {
		t.Run(fmt.Sprint(beside), func(t *testing.T) {
			s, c := opened(t, dsn, postgres.Options{})
			other, _ := opened(t, dsn, postgres.Options{})
			text := putLarge(t, s, c)
			let, letEarlier := make(chan struct{}), make(chan struct{})
			in := make(chan struct{}, 2)
			var views sync.WaitGroup
			views.Add(1)
			earlier := func() {
				defer views.Done()
				_ = s.View(t.Context(), func(driver.Tx) error {
					in <- struct{}{}
					<-letEarlier
					return nil
				})
			}
			during := func() {
				if err := s.View(t.Context(), func(tx driver.Tx) error {
					in <- struct{}{}
					<-let
					r, _, err := tx.Get(t.Context(), c, kept, driver.Lookup{Now: 2})
					if err != nil || r.Size < 100 {
						return err
					}
					ct, err := s.(driver.Filer).OpenFile(t.Context(), c, r)
					if err != nil {
						return err
					}
					defer ct.Close()
					if got, err := io.ReadAll(ct); err != nil || !bytes.Equal(got, text) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
			running := 1
			if beside {
				running++
				go earlier()
				<-in
			} else {
				views.Done()
			}
			var once sync.Once
			postgres.Committing(s, 20*time.Second, func(_ *pgx.Conn, sent bool) {
				if sent {
					return
				}
				once.Do(func() {
					views.Go(during)
					postgres.Viewing(s, running)
					select {
					case <-in:
					case <-time.After(100 * time.Millisecond): // it waits
					}
					if beside {
						close(letEarlier)
						postgres.Viewing(s, 1)
					}
				})
			})
			put(t, s, c, "k", "small")
			for range 3 {
				if err := postgres.Sweep(t.Context(), other, nil); err != nil {
					t.Fatal(err)
				}
			}
			close(let)
			views.Wait()
		})
	}
}

// TestViewKeepsValues: a value stays that a View of this process sees, whoever sweeps,
// until the View has ended.
func TestViewKeepsValues(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{})
	other, _ := opened(t, dsn, postgres.Options{})
	text := putLarge(t, s, c)
	if err := s.View(t.Context(), func(tx driver.Tx) error {
		r, _, err := tx.Get(t.Context(), c, kept, driver.Lookup{Now: 2})
		if err != nil {
			return err
		}
		put(t, s, c, "k", "small")
		for range 3 {
			if err := postgres.Sweep(t.Context(), other, nil); err != nil {
				return err
			}
		}
		ct, err := s.(driver.Filer).OpenFile(t.Context(), c, r)
		if err != nil {
			return err
		}
		defer ct.Close()
		if got, err := io.ReadAll(ct); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	a := admin(t, dsn)
	for n := 1; n > 0; {
		if err := postgres.Sweep(t.Context(), other, nil); err != nil {
			t.Fatal(err)
		}
		if err := a.QueryRow(t.Context(), `SELECT count(*) FROM `+schemaOf(t.Name())+`.chunk`).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSleep: a session is lost for its owner when the system has slept for too long,
// before anybody asks the server.
func TestSleep(t *testing.T) {
	s, _ := opened(t, dsn(t), postgres.Options{})
	name, _, err := s.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, _, err := s.Session(t.Context()); again != name || err != nil {
		t.Errorf("%q after %q, %v", again, name, err)
	}
	wake := postgres.Sleep(time.Minute)
	defer wake()
	if next, _, err := s.Session(t.Context()); next == name || err != nil {
		t.Errorf("%q after %q, %v", next, name, err)
	}
}

// TestFenceAfterRestore: where the server's log ends before the place that this process
// has seen, as when its volume was put back, fences are skipped, once.
func TestFenceAfterRestore(t *testing.T) {
	dsn := dsn(t)
	s, _ := opened(t, dsn, postgres.Options{})
	other, _ := opened(t, dsn, postgres.Options{})
	draw := func(s driver.Store) (n int64) {
		t.Helper()
		if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) (err error) {
			n, err = tx.Fence(t.Context())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := draw(s)
	draw(other)
	postgres.AheadOfLog(s)
	postgres.AheadOfLog(other)
	a := admin(t, dsn)
	incarnation := func() (id int64) {
		t.Helper()
		if err := a.QueryRow(t.Context(), `SELECT id FROM `+schemaOf(t.Name())+`.incarnation`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := incarnation()
	var after []int64
	for range 2 {
		postgres.Redial(s)
		if n := draw(s); n < first+1<<32 || n > first+1<<32+100 {
			t.Errorf("fence %d after %d", n, first)
		}
		after = append(after, incarnation())
	}
	// Nor are copies of before valid. Who notices later ends no sessions.
	postgres.Redial(other)
	draw(other)
	after = append(after, incarnation())
	if after[0] == before || after[1] != after[0] || after[2] != after[0] {
		t.Errorf("incarnations %d after %d", after, before)
	}
}

// TestGroupTimeout: who has waited to be taken along does not wait as long again.
func TestGroupTimeout(t *testing.T) {
	dsn := dsn(t)
	const timeout = 4 * time.Second
	s, c := opened(t, dsn, postgres.Options{Timeout: timeout})
	other, _ := opened(t, dsn, postgres.Options{})
	holding, let := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- other.Update(t.Context(), driver.Alone, func(driver.Tx) error {
			close(holding)
			<-let
			return nil
		})
	}()
	<-holding
	errs := make(chan error, 2)
	update := func() {
		errs <- s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c)
	}
	go update()
	began := time.Now()
	go update()
	postgres.Waiting(s, 1)
	for range 2 {
		if err := <-errs; !errors.Is(err, driver.ErrTimeout) {
			t.Errorf("error is %v", err)
		}
	}
	if d := time.Since(began); d > 2*timeout-timeout/8 {
		t.Errorf("waited for %v, with a timeout of %v", d, timeout)
	}
	close(let)
	if err := <-held; err != nil {
		t.Error(err)
	}
}

// TestUnlogged: a crash of the server empties an unlogged store, which then goes on, and
// in which nothing can be opened that is to survive one.
func TestUnlogged(t *testing.T) {
	server := started(t)
	o := postgres.Options{Schema: schemaOf(t.Name()), Unlogged: true}
	s, err := postgres.Open(t.Context(), server.DSN(), &o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	spec := driver.Spec{Settings: driver.DefaultSettings()}
	c, err := s.Open(t.Context(), "cache", spec)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		put(t, s, c, "k", "v")
		for range 2 {
			if got := get(t, s, c, "k"); got != "v 1 1000 0" {
				t.Errorf("%d: %s", i, got)
			}
		}
		if err := server.Down("immediate"); err != nil {
			t.Fatal(err)
		}
		if err := server.Up(); err != nil {
			t.Fatal(err)
		}
		if got := get(t, s, c, "k"); got != "none" {
			t.Errorf("%d, after a crash: %s", i, got)
		}
	}
	o.Unlogged = false // it is what it is
	other, err := postgres.Open(t.Context(), server.DSN(), &o)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	spec.Durable = true
	for _, s := range []driver.Store{s, other} {
		if _, err := s.Open(t.Context(), "durable", spec); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("a durable collection: %v", err)
		}
	}
	logged, _ := opened(t, server.DSN(), postgres.Options{Schema: "logged"})
	if _, err := logged.Open(t.Context(), "durable", spec); err != nil {
		t.Error(err)
	}
}

// TestUnloggedFences: no fence is drawn twice, also where what is written with it is not
// in the server's log.
func TestUnloggedFences(t *testing.T) {
	dsn(t)                                              // skips
	server, err := pgtest.Start("wal_writer_delay=10s") // the log is on disk when somebody waits for that
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	o := postgres.Options{Schema: schemaOf(t.Name()), Unlogged: true}
	s, err := postgres.Open(t.Context(), server.DSN(), &o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(t.Context(), "cache", driver.Spec{Settings: driver.DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	draw := func(then error) {
		t.Helper()
		if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
			n, err := tx.Fence(t.Context())
			if err == nil && n <= last {
				t.Errorf("fence %d after %d", n, last)
			}
			last = n
			return errors.Join(err, increment(t.Context(), tx, c), then)
		}, c); !errors.Is(err, then) {
			t.Fatal(err)
		}
	}
	draw(errors.New("rolled back")) // a sequence logs some numbers ahead
	last = 0
	draw(nil)
	if err := server.Down("immediate"); err != nil {
		t.Fatal(err)
	}
	if err := server.Up(); err != nil {
		t.Fatal(err)
	}
	draw(nil)
}

// sendingConn counts what is sent.
type sendingConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c *sendingConn) Write(b []byte) (int, error) {
	c.sent.Add(1)
	return c.Conn.Write(b)
}

// TestPutManyTogether: many rows are sent together, and replace others.
func TestPutManyTogether(t *testing.T) {
	config, err := pgxpool.ParseConfig(dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return &sendingConn{c, &sent}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schemaOf(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(t.Context(), "many", driver.Spec{Settings: driver.DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	const many = 500
	ps := make([]driver.Put, many)
	for i := range ps {
		ps[i] = driver.Put{Key: codec.IntegerValue(int64(i % (many - 100))), Value: codec.IntegerValue(int64(i)), Now: 1, Cull: driver.CullLimit}
	}
	for range 2 {
		before := sent.Load()
		if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
			_, err := tx.PutMany(t.Context(), c, ps)
			return err
		}, c); err != nil {
			t.Fatal(err)
		}
		if n := sent.Load() - before; n > many/5 {
			t.Errorf("%d rows were sent %d times", many, n)
		}
		if err := s.(driver.Checker).Check(t.Context(), false, func(p driver.Problem) { t.Errorf("%+v", p) }); err != nil {
			t.Fatal(err)
		}
		if r, _, err := s.Get(t.Context(), c, codec.IntegerValue(7), driver.Lookup{Now: 2}); err != nil || r.Value.Integer() != many-100+7 || r.ID != 8 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// TestPutManyApart: rows that keep what others had, or make room, are stored one by one.
func TestPutManyApart(t *testing.T) {
	s, c := opened(t, dsn(t), postgres.Options{})
	put(t, s, c, "k", "v")
	put(t, s, c, "old", "v")
	var gone []driver.Row
	many := func(ps ...driver.Put) {
		t.Helper()
		if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) (err error) {
			gone, err = tx.PutMany(t.Context(), c, ps)
			return err
		}, c); err != nil {
			t.Fatal(err)
		}
	}
	many(driver.Put{Key: kept, Value: codec.TextValue("w"), Now: 2, Keep: true})
	if got := get(t, s, c, "k"); got != "w 1 1000 0" {
		t.Error(got)
	}
	many(driver.Put{Key: kept, Value: codec.TextValue("x"), Now: 2000, Cull: 5}, driver.Put{Key: codec.TextValue("l"), Value: codec.TextValue("x"), Now: 2000, Cull: 5})
	if len(gone) != 1 || gone[0].ID != 2 {
		t.Errorf("%+v", gone)
	}
}
