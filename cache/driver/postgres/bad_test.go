//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/cache/driver/postgres/internal/pgtest"
	"github.com/go-diskcache/diskcache/codec"
)

// opened is a store with a durable collection, in a schema of the test's own.
func opened(t testing.TB, dsn string, o postgres.Options) (driver.Store, driver.Collection) {
	t.Helper()
	counted(t)
	if o.Schema == "" {
		o.Schema = schemaOf(t.Name())
	}
	s, err := postgres.Open(t.Context(), dsn, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	c, err := s.Open(t.Context(), "test", driver.Spec{Settings: driver.PersistentSettings(), Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// admin is a connection that is no store's.
func admin(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func run(t testing.TB, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

var counter = codec.TextValue("n")

// increment adds one to a counter.
func increment(ctx context.Context, tx driver.Tx, c driver.Collection) error {
	r, _, err := tx.Get(ctx, c, counter, driver.Lookup{Quiet: true})
	if err != nil {
		return err
	}
	_, err = tx.Put(ctx, c, driver.Put{Key: counter, Value: codec.IntegerValue(r.Value.Integer() + 1), Now: 1})
	return err
}

func count(t testing.TB, s driver.Store, c driver.Collection) int64 {
	t.Helper()
	r, _, err := s.Get(context.Background(), c, counter, driver.Lookup{Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	return r.Value.Integer()
}

// TestOpenAtOnce: twenty programs that start together make the tables once.
func TestOpenAtOnce(t *testing.T) {
	dsn := dsn(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: schemaOf(t.Name())})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			c, err := s.Open(t.Context(), "test", driver.Spec{Settings: driver.PersistentSettings()})
			if err == nil {
				err = s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, c := opened(t, dsn, postgres.Options{})
	if n := count(t, s, c); n != 20 {
		t.Errorf("%d programs have counted", n)
	}
}

// TestRights: a user needs to be no superuser, and is told what is missing.
func TestRights(t *testing.T) {
	dsn := dsn(t)
	a := admin(t, dsn)
	for _, role := range []string{"plain", "maker"} {
		run(t, a, `CREATE ROLE `+role+` LOGIN`)
		t.Cleanup(func() { // when its stores are closed
			if _, err := a.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
				t.Error(err)
			}
		})
	}
	run(t, a, `GRANT CREATE ON DATABASE postgres TO maker`)
	as := func(role string) string { return strings.Replace(dsn, "user=postgres", "user="+role, 1) }

	_, err := postgres.Open(t.Context(), as("plain"), &postgres.Options{Schema: schemaOf(t.Name())})
	if !errors.Is(err, driver.ErrPermission) {
		t.Errorf("without rights: %v", err)
	}
	s, c := opened(t, as("maker"), postgres.Options{})
	if err := s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
		_, err := tx.Fence(t.Context())
		return errors.Join(err, increment(t.Context(), tx, c))
	}); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Session(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = postgres.Open(t.Context(), as("plain"), &postgres.Options{Schema: schemaOf(t.Name())})
	if !errors.Is(err, driver.ErrPermission) {
		t.Errorf("without rights to what is there: %v", err)
	}
}

func TestNoStore(t *testing.T) {
	dsn := dsn(t)
	if _, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: "nowhere", ReadOnly: true}); !errors.Is(err, driver.ErrNotStore) {
		t.Errorf("a store that does not exist: %v", err)
	}
	if _, err := postgres.Open(t.Context(), "host=/nowhere password=hush", nil); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("no server: %v", err)
	}
	if _, err := postgres.Open(t.Context(), "port=many password=hush", nil); !errors.Is(err, driver.ErrInvalid) || strings.Contains(err.Error(), "hush") {
		t.Errorf("not to be read: %v", err)
	}
	if _, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: strings.Repeat("s", 64)}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a schema with a name that is too long: %v", err)
	}
	long, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: strings.Repeat("s", 63)})
	if err != nil {
		t.Fatal(err)
	}
	long.Close()
	opened(t, dsn, postgres.Options{})
	run(t, admin(t, dsn), `UPDATE `+schemaOf(t.Name())+`.meta SET version = 1000`)
	if _, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: schemaOf(t.Name())}); !errors.Is(err, driver.ErrNewerFormat) {
		t.Errorf("a newer store: %v", err)
	}
}

// TestBackendEnds: a transaction whose backend is ended has not happened. What may run
// again does.
func TestBackendEnds(t *testing.T) {
	dsn := dsn(t)
	a := admin(t, dsn)
	for _, mode := range []driver.Mode{driver.Alone, driver.Own, driver.Shared} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(mode, late), func(t *testing.T) {
				s, c := opened(t, dsn, postgres.Options{})
				runs := 0
				err := s.Update(t.Context(), mode, func(tx driver.Tx) error {
					end := func() {
						if runs++; runs == 1 {
							run(t, a, `SELECT pg_terminate_backend($1, 10000)`, int32(postgres.Backend(tx)))
						}
					}
					if !late {
						end()
					}
					if err := increment(t.Context(), tx, c); err != nil {
						return err
					}
					if late {
						end()
					}
					return nil
				}, c)
				want := int64(1)
				if mode == driver.Alone {
					want = 0
				}
				if (err == nil) != (want == 1) || errors.Is(err, driver.ErrUncertain) {
					t.Errorf("error is %v", err)
				}
				if n := count(t, s, c); n != want {
					t.Errorf("counted to %d, want %d", n, want)
				}
			})
		}
	}
}

// TestCommitCut: whoever loses the connection between sending COMMIT and hearing of it
// knows what became of it all the same, if the server can be reached.
func TestCommitCut(t *testing.T) {
	dsn := dsn(t)
	for _, mode := range []driver.Mode{driver.Alone, driver.Own, driver.Shared} {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprint(mode, sent), func(t *testing.T) {
				s, c := opened(t, dsn, postgres.Options{})
				cut := false
				postgres.Committing(s, 20*time.Second, func(conn *pgx.Conn, after bool) {
					if !cut && after == sent {
						cut = true
						conn.PgConn().Conn().Close()
					}
				})
				runs := 0
				err := s.Update(t.Context(), mode, func(tx driver.Tx) error {
					runs++
					return increment(t.Context(), tx, c)
				}, c)
				postgres.Committing(s, 20*time.Second, nil)
				want := int64(1)
				if mode == driver.Alone && !sent {
					want = 0
				}
				if (err == nil) != (want == 1) || errors.Is(err, driver.ErrUncertain) {
					t.Errorf("error is %v after %d runs", err, runs)
				}
				if n := count(t, s, c); n != want {
					t.Errorf("counted to %d, want %d", n, want)
				}
			})
		}
	}
}

// started is a server of the test's own.
func started(t testing.TB) *pgtest.Server {
	t.Helper()
	dsn(t) // skips
	s, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// TestUncertain: if the server is gone for good, nobody knows.
func TestUncertain(t *testing.T) {
	server := started(t)
	s, c := opened(t, server.DSN(), postgres.Options{})
	postgres.Committing(s, time.Second, func(conn *pgx.Conn, after bool) {
		if !after {
			if err := server.Down("immediate"); err != nil {
				t.Error(err)
			}
		}
	})
	err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c)
	if !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("error is %v", err)
	}
	if err := server.Up(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, c); n != 0 {
		t.Errorf("counted to %d", n)
	}
}

// TestRestart: what was acknowledged is there after the server was stopped and after it
// crashed, what was refused is not, fences go on, and sessions of before have ended.
func TestRestart(t *testing.T) {
	server := started(t)
	s, c := opened(t, server.DSN(), postgres.Options{})
	other, oc := opened(t, server.DSN(), postgres.Options{})
	changed, stop, err := other.Watch(oc)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var acknowledged, uncertain int64
	var fence int64
	for _, mode := range []string{"fast", "immediate", "fast"} {
		name, lost, err := s.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var wg sync.WaitGroup
		some := make(chan struct{}, 1000)
		for i := range 8 {
			mode := driver.Shared // so that some are committed together
			if i < 2 {
				mode = []driver.Mode{driver.Alone, driver.Own}[i]
			}
			wg.Go(func() {
				for ctx.Err() == nil {
					st, col := s, c
					if i%2 == 1 {
						st, col = other, oc
					}
					err := st.Update(t.Context(), mode, func(tx driver.Tx) error { return increment(t.Context(), tx, col) }, col)
					mu.Lock()
					switch {
					case err == nil:
						acknowledged++
						select {
						case some <- struct{}{}:
						default:
						}
					case errors.Is(err, driver.ErrUncertain):
						uncertain++
					}
					mu.Unlock()
				}
			})
		}
		for range 20 {
			<-some
		}
		if err := server.Down(mode); err != nil {
			t.Fatal(err)
		}
		<-lost
		if err := server.Up(); err != nil {
			t.Fatal(err)
		}
		for len(some) > 0 {
			<-some
		}
		for range 20 {
			<-some
		}
		cancel()
		wg.Wait()
		if n := count(t, s, c); n < acknowledged || n > acknowledged+uncertain {
			t.Errorf("%s: counted to %d, with %d acknowledged and %d uncertain", mode, n, acknowledged, uncertain)
		}
		before := fence
		if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) (err error) {
			fence, err = tx.Fence(t.Context())
			return err
		}); err != nil || fence <= before {
			t.Errorf("%s: fence %d after %d, %v", mode, fence, before, err)
		}
		next, _, err := s.Session(t.Context())
		if err != nil || next == name {
			t.Errorf("%s: session %q after %q, %v", mode, next, name, err)
		}
		ended, stop, err := other.WatchSession(name)
		if err != nil {
			t.Fatal(err)
		}
		<-ended // at once, or some seconds after a crash
		stop()
		if alive, err := other.Alive(t.Context(), next); !alive || err != nil {
			t.Errorf("%s: the new session: %v, %v", mode, alive, err)
		}
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			t.Errorf("%s: changes are not told any more", mode)
		}
	}
}

// TestListenerEnds: a watch goes on when its connection is cut, and misses nothing.
func TestListenerEnds(t *testing.T) {
	server := started(t)
	s, c := opened(t, server.DSN(), postgres.Options{})
	writer, wc := opened(t, server.DSN(), postgres.Options{})
	changed, stop, err := s.Watch(c)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	a := admin(t, server.DSN())
	for range 5 {
		pids, err := postgres.ListenerBackends(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			run(t, a, `SELECT pg_terminate_backend($1, 10000)`, pid)
		}
		for len(changed) > 0 {
			<-changed
		}
		if err := writer.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, wc) }, wc); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			t.Fatal("a change is not told")
		}
	}
}

// TestSessionEnds: the owner is told of a session whose connection the server ends.
func TestSessionEnds(t *testing.T) {
	dsn := dsn(t)
	s, _ := opened(t, dsn, postgres.Options{})
	name, lost, err := s.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run(t, admin(t, dsn), `SELECT pg_terminate_backend($1, 10000)`, int32(postgres.SessionBackend(s)))
	<-lost
	if alive, err := s.Alive(t.Context(), name); alive || err != nil {
		t.Errorf("Alive is %v, %v", alive, err)
	}
}

// TestFenceAfterFailover: where the data is that of another server, as after a restore,
// fences go on from far behind the last ones.
func TestFenceAfterFailover(t *testing.T) {
	dsn := dsn(t)
	draw := func(s driver.Store) (n int64) {
		if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) (err error) {
			n, err = tx.Fence(t.Context())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	s, _ := opened(t, dsn, postgres.Options{})
	first := draw(s)
	run(t, admin(t, dsn), `UPDATE `+schemaOf(t.Name())+`.meta SET timeline = '00000009'`)
	again, _ := opened(t, dsn, postgres.Options{})
	if n := draw(again); n < first+1<<32 || n > first+1<<32+100 {
		t.Errorf("fence %d after %d", n, first)
	}
	if n := draw(s); n < first+1<<32 || n > first+1<<32+100 {
		t.Errorf("fence %d after %d", n, first)
	}
}

// TestOutOfOrder: transactions that find out by and by which collections they need, in
// opposite orders, all come to their end.
func TestOutOfOrder(t *testing.T) {
	dsn := dsn(t)
	type side struct {
		s    driver.Store
		a, b driver.Collection
	}
	var sides []side
	for range 2 {
		s, a := opened(t, dsn, postgres.Options{})
		b, err := s.Open(t.Context(), "b", driver.Spec{Settings: driver.PersistentSettings()})
		if err != nil {
			t.Fatal(err)
		}
		sides = append(sides, side{s, a, b})
	}
	const each = 25
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			x := sides[i%2]
			first, second := x.a, x.b
			if i/2%2 == 1 {
				first, second = second, first
			}
			for range each {
				if err := x.s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
					if err := increment(t.Context(), tx, first); err != nil {
						return err
					}
					return increment(t.Context(), tx, second)
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, c := range []driver.Collection{sides[0].a, sides[0].b} {
		if n := count(t, sides[0].s, c); n != 8*each {
			t.Errorf("counted to %d, want %d", n, 8*each)
		}
	}
}

// TestCommitOfNothingCut: what has changed nothing needs no COMMIT.
func TestCommitOfNothingCut(t *testing.T) {
	s, c := opened(t, dsn(t), postgres.Options{})
	runs := 0
	postgres.Committing(s, 20*time.Second, func(conn *pgx.Conn, after bool) { conn.PgConn().Conn().Close() })
	err := s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
		runs++
		_, err := tx.Count(t.Context(), c)
		return err
	})
	if err != nil || runs != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

// TestOutOfOrderIsNotCommitted: a run that could not have a collection is not
// committed, whatever its function makes of that.
func TestOutOfOrderIsNotCommitted(t *testing.T) {
	dsn := dsn(t)
	s, a := opened(t, dsn, postgres.Options{})
	b, err := s.Open(t.Context(), "b", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := opened(t, dsn, postgres.Options{})
	ob, err := other.Open(t.Context(), "b", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	holding, let := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- other.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
			close(holding)
			<-let
			return increment(t.Context(), tx, ob)
		}, ob)
	}()
	<-holding
	runs := 0
	err = s.Update(t.Context(), driver.Own, func(tx driver.Tx) error {
		if err := increment(t.Context(), tx, a); err != nil {
			return err
		}
		if runs++; runs == 1 {
			if _, err := tx.Count(t.Context(), b); err == nil {
				t.Error("a collection is used that another transaction has locked")
			}
			close(let)
			return nil
		}
		return increment(t.Context(), tx, b)
	}, a)
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
	for c, want := range map[driver.Collection]int64{a: 1, b: 2} {
		if n := count(t, s, c); n != want {
			t.Errorf("counted to %d, want %d", n, want)
		}
	}
}

// TestGroupCut: members of a group whose COMMIT is cut have happened once, each.
func TestGroupCut(t *testing.T) {
	dsn := dsn(t)
	for _, sent := range []bool{false, true} {
		t.Run(fmt.Sprint(sent), func(t *testing.T) {
			s, c := opened(t, dsn, postgres.Options{})
			holding, let := make(chan struct{}), make(chan struct{})
			first := make(chan error, 1)
			go func() {
				first <- s.Update(t.Context(), driver.Alone, func(driver.Tx) error {
					close(holding)
					<-let
					return nil
				})
			}()
			<-holding
			const members = 20
			var wg sync.WaitGroup
			for range members {
				wg.Go(func() {
					err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c)
					if err != nil {
						t.Error(err)
					}
				})
			}
			postgres.Waiting(s, members-1)
			cuts := 0
			postgres.Committing(s, 20*time.Second, func(conn *pgx.Conn, after bool) {
				if after == sent && cuts < 2 { // the first is that of the one that held all up
					cuts++
					conn.PgConn().Conn().Close()
				}
			})
			close(let)
			if err := <-first; err != nil {
				t.Error(err)
			}
			wg.Wait()
			if n := count(t, s, c); n != members || cuts != 2 {
				t.Errorf("counted to %d, want %d, with %d cuts", n, members, cuts)
			}
		})
	}
}

// TestGroupBroken: a member that makes nothing of an error of the server fails by itself.
func TestGroupBroken(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{})
	a := admin(t, dsn)
	schema := schemaOf(t.Name())
	run(t, a, `CREATE FUNCTION `+schema+`.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`)
	run(t, a, `CREATE TRIGGER refuse BEFORE INSERT ON `+schema+`.entry FOR EACH ROW WHEN (NEW.v = 'bad') EXECUTE FUNCTION `+schema+`.refuse()`)
	holding, let := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Update(t.Context(), driver.Alone, func(driver.Tx) error {
			close(holding)
			<-let
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-holding
	for i := range 2 {
		wg.Go(func() {
			if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c); err != nil {
				t.Error(err)
			}
		})
		if i > 0 {
			postgres.Waiting(s, i)
		}
	}
	wg.Go(func() {
		if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
			_, _ = tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue("bad"), Value: codec.TextValue("bad"), Now: 1})
			return nil
		}, c); err == nil {
			t.Error("no error")
		}
	})
	postgres.Waiting(s, 2)
	close(let)
	wg.Wait()
	if n := count(t, s, c); n != 2 {
		t.Errorf("counted to %d", n)
	}
}

// TestGroupEnds: a member that ends the goroutine of the leader has the others
// run by themselves.
func TestGroupEnds(t *testing.T) {
	s, c := opened(t, dsn(t), postgres.Options{})
	holding, let := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Update(t.Context(), driver.Alone, func(driver.Tx) error {
			close(holding)
			<-let
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-holding
	var ended atomic.Int32
	member := func(fn func(tx driver.Tx) error) {
		wg.Go(func() {
			returned := false
			defer func() {
				if !returned {
					ended.Add(1)
				}
			}()
			err := s.Update(t.Context(), driver.Shared, fn, c)
			if returned = true; err != nil {
				t.Error(err)
			}
		})
	}
	count1 := func(tx driver.Tx) error { return increment(t.Context(), tx, c) }
	// Nobody else has its turn before the one that holds all up has ended.
	member(count1)
	postgres.Leading(s)
	member(func(driver.Tx) error { runtime.Goexit(); return nil })
	postgres.Waiting(s, 1)
	member(count1)
	member(count1)
	postgres.Waiting(s, 3)
	close(let)
	wg.Wait()
	if n := count(t, s, c); n != 2 || ended.Load() != 2 {
		t.Errorf("counted to %d, %d have ended", n, ended.Load())
	}
}

// TestGroupOutOfOrder: a member that needs another collection, and cannot have it in time,
// is told that, and nothing of the order.
func TestGroupOutOfOrder(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{Timeout: time.Second})
	d, err := s.Open(t.Context(), "other", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := opened(t, dsn, postgres.Options{})
	od, err := other.Open(t.Context(), "other", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	holding, let := make(chan struct{}), make(chan struct{})
	held := make(chan error, 2)
	go func() {
		held <- other.Update(t.Context(), driver.Own, func(driver.Tx) error {
			close(holding)
			<-let
			return nil
		}, od)
	}()
	<-holding
	first, letFirst := make(chan struct{}), make(chan struct{})
	go func() {
		held <- s.Update(t.Context(), driver.Own, func(driver.Tx) error {
			close(first)
			<-letFirst
			return nil
		}, c)
	}()
	<-first
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			errs <- s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, d) }, c)
		}()
	}
	postgres.Waiting(s, 1)
	close(letFirst)
	for range 2 {
		if err := <-errs; !errors.Is(err, driver.ErrTimeout) {
			t.Errorf("error is %v", err)
		}
	}
	close(let)
	for range 2 {
		if err := <-held; err != nil {
			t.Error(err)
		}
	}
}

// TestGroupUncertain: nobody runs again of whom it is not known whether it was
// committed.
func TestGroupUncertain(t *testing.T) {
	server := started(t)
	s, c := opened(t, server.DSN(), postgres.Options{})
	holding, let := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- s.Update(t.Context(), driver.Alone, func(driver.Tx) error {
			close(holding)
			<-let
			return nil
		})
	}()
	<-holding
	const members = 5
	errs := make(chan error, members)
	for range members {
		go func() {
			errs <- s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c)
		}()
	}
	postgres.Waiting(s, members-1)
	commits := 0
	postgres.Committing(s, time.Second, func(conn *pgx.Conn, after bool) {
		if commits++; commits == 3 { // before that of the group
			if err := server.Down("fast"); err != nil {
				t.Error(err)
			}
		}
	})
	close(let)
	if err := <-first; err != nil {
		t.Error(err)
	}
	for range members {
		if err := <-errs; !errors.Is(err, driver.ErrUncertain) {
			t.Errorf("error is %v", err)
		}
	}
}

// TestPoolCallbacks: what the owner of a pool does with notifications is not in the way
// of those who watch.
func TestPoolCallbacks(t *testing.T) {
	dsn := dsn(t)
	writer, wc := opened(t, dsn, postgres.Options{})
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	config.ConnConfig.BuildContextWatcherHandler = nil
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schemaOf(t.Name())})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(t.Context(), "test", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	changed, stop, err := s.Watch(c)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for range 5 {
		if err := writer.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, wc) }, wc); err != nil {
			t.Fatal(err)
		}
		<-changed
	}
}

// TestWatchSessionWhileClosing: who begins to watch while the store closes is told.
func TestWatchSessionWhileClosing(t *testing.T) {
	s, _ := opened(t, dsn(t), postgres.Options{})
	name, _, err := s.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ended, stop, err := s.WatchSession(name)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		postgres.Closing(s)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("nobody is told")
		}
	}
}

// TestDropDuringSweep: a collection that is dropped while others are swept leaves
// nothing behind.
func TestDropDuringSweep(t *testing.T) {
	dsn := dsn(t)
	s, _ := opened(t, dsn, postgres.Options{})
	other, _ := opened(t, dsn, postgres.Options{})
	for _, name := range []string{"a", "b"} {
		c, err := other.Open(t.Context(), name, driver.Spec{Settings: driver.PersistentSettings()})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Drop(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for dropped := false; !dropped; { // the store may be sweeping by itself
		err := postgres.Sweep(t.Context(), s, func() {
			dropped = true
			if err := other.Drop(t.Context(), "b"); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var lost int
	if err := admin(t, dsn).QueryRow(t.Context(), `SELECT count(*) FROM `+schemaOf(t.Name())+`.entry e
		WHERE NOT EXISTS (SELECT FROM `+schemaOf(t.Name())+`.collection o WHERE o.c = e.c)`).Scan(&lost); err != nil {
		t.Fatal(err)
	}
	if lost != 0 {
		t.Errorf("%d entries are of no collection", lost)
	}
}

// TestManyValues: values go on after the 2^32nd, are swept only when nobody uses them,
// and then are.
func TestManyValues(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{})
	schema := schemaOf(t.Name())
	a := admin(t, dsn)
	run(t, a, `SELECT setval('`+schema+`.value_id', 4294967293)`)
	text := bytes.Repeat([]byte("x"), 600<<10)
	var last driver.Content
	for i := range int64(5) {
		f, err := s.(driver.Filer).Create(t.Context(), codec.Blob)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Finish(); err != nil {
			t.Fatal(err)
		}
		key := codec.IntegerValue(i)
		err = s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
			_, err := tx.Put(t.Context(), c, driver.Put{Key: key, File: f, Now: 1})
			return err
		}, c)
		f.Discard()
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Get(t.Context(), c, key, driver.Lookup{})
		if err != nil {
			t.Fatal(err)
		}
		ct, err := s.(driver.Filer).OpenFile(t.Context(), c, r)
		if err != nil {
			t.Fatal(err)
		}
		if last != nil {
			last.Close()
		}
		last = ct
	}
	if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
		_, err := tx.Remove(t.Context(), c, driver.Filter{}, 10)
		return err
	}, c); err != nil {
		t.Fatal(err)
	}
	values := func() (n int) {
		t.Helper()
		if err := postgres.Sweep(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
		if err := a.QueryRow(t.Context(), `SELECT count(DISTINCT value) FROM `+schema+`.chunk`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for values() > 1 { // the store may be sweeping by itself
	}
	if n := values(); n != 1 {
		t.Errorf("%d values while one is read", n)
	}
	if got, err := io.ReadAll(last); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	last.Close()
	for values() > 0 {
	}
}

// TestCommitOfLittleCut: also what writes only what reads have left, resets statistics or
// draws a fence is known to be committed, or runs again.
func TestCommitOfLittleCut(t *testing.T) {
	dsn := dsn(t)
	s, c := opened(t, dsn, postgres.Options{})
	settings := driver.DefaultSettings()
	settings.Statistics = true
	counted, err := s.Open(t.Context(), "counted", driver.Spec{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
		_, err := tx.Put(t.Context(), c, driver.Put{Key: counter, Value: counter, Now: 1, Expire: 1e12})
		return errors.Join(err, increment(t.Context(), tx, counted))
	}, c, counted); err != nil {
		t.Fatal(err)
	}
	cuts := 0
	cutting := func(conn *pgx.Conn, after bool) {
		if !after && cuts == 0 {
			cuts++
			conn.PgConn().Conn().Close()
		}
	}
	for _, mode := range []driver.Mode{driver.Alone, driver.Own, driver.Shared} {
		runs := 0
		for name, fn := range map[string]func(driver.Tx) error{
			"slide": func(tx driver.Tx) error {
				_, _, err := tx.Get(t.Context(), c, counter, driver.Lookup{Now: 1, Slide: driver.Instant(2e12 + float64(mode))})
				return err // an instant that no int has room for
			},
			"fence": func(tx driver.Tx) error {
				_, err := tx.Fence(t.Context())
				return err
			},
		} {
			cuts, runs = 0, 0
			postgres.Committing(s, 20*time.Second, cutting)
			err := s.Update(t.Context(), mode, func(tx driver.Tx) error { runs++; return fn(tx) }, c)
			postgres.Committing(s, 20*time.Second, nil)
			if mode == driver.Alone && (err == nil || errors.Is(err, driver.ErrUncertain) != (name == "fence")) || mode != driver.Alone && (err != nil || runs != 2) || cuts != 1 {
				t.Errorf("%s, mode %v: %v after %d runs", name, mode, err, runs)
			}
		}
	}
	for range 3 {
		if _, _, err := s.Get(t.Context(), counted, counter, driver.Lookup{Now: 1}); err != nil {
			t.Fatal(err)
		}
	}
	cuts = 0
	if err := s.Update(t.Context(), driver.Own, func(driver.Tx) error { return nil }, counted); err != nil { // writes them
		t.Fatal(err)
	}
	postgres.Committing(s, 20*time.Second, cutting)
	before, err := s.Stats(t.Context(), counted, true)
	if err != nil {
		t.Fatal(err)
	}
	postgres.Committing(s, 20*time.Second, nil)
	after, err := s.Stats(t.Context(), counted, false)
	if err != nil || before.Hits < 3 || after.Hits != 0 || cuts != 1 {
		t.Errorf("%+v, then %+v, with %d cuts: %v", before, after, cuts, err)
	}
}

// TestDefineCut: a collection whose making is cut is made, once.
func TestDefineCut(t *testing.T) {
	dsn := dsn(t)
	for _, sent := range []bool{false, true} {
		t.Run(fmt.Sprint(sent), func(t *testing.T) {
			s, _ := opened(t, dsn, postgres.Options{})
			cut := false
			postgres.Committing(s, 20*time.Second, func(conn *pgx.Conn, after bool) {
				if !cut && after == sent {
					cut = true
					conn.PgConn().Conn().Close()
				}
			})
			c, err := s.Open(t.Context(), "cut", driver.Spec{Settings: driver.PersistentSettings()})
			postgres.Committing(s, 20*time.Second, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStandbyMissing: a transaction is not acknowledged that no standby has, where one
// has to, also if whoever waited for it was cancelled or its connection cut.
func TestStandbyMissing(t *testing.T) {
	server := started(t)
	s, c := opened(t, server.DSN(), postgres.Options{})
	a := admin(t, server.DSN())
	postgres.Committing(s, 2*time.Second, nil)
	require := func(names string) {
		t.Helper()
		run(t, a, `ALTER SYSTEM SET synchronous_standby_names = '`+names+`'`)
		run(t, a, `SELECT pg_reload_conf()`)
	}
	for _, fn := range []string{"pg_cancel_backend", "pg_terminate_backend"} {
		require("nobody")
		before := count(t, s, c)
		done := make(chan error, 1)
		update := func() {
			done <- s.Update(t.Context(), driver.Own, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c)
		}
		go update()
		for ended := false; !ended; {
			select {
			case err := <-done: // the server has not read its settings yet
				if err != nil {
					t.Fatal(err)
				}
				before++
				go update()
			default:
			}
			if err := a.QueryRow(t.Context(), `SELECT coalesce(bool_or(`+fn+`(pid)), false) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&ended); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; !errors.Is(err, driver.ErrUncertain) {
			t.Errorf("%s: error is %v", fn, err)
		}
		require("")
		if n := count(t, s, c); n != before+1 {
			t.Errorf("%s: counted to %d after %d", fn, n, before)
		}
	}
}

// TestPinsOutlastContexts: a call whose context ends does not unpin the values of others.
func TestPinsOutlastContexts(t *testing.T) {
	dsn := dsn(t)
	s, _ := opened(t, dsn, postgres.Options{})
	other, _ := opened(t, dsn, postgres.Options{})
	f, err := s.(driver.Filer).Create(t.Context(), codec.Blob)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	a := admin(t, dsn)
	schema := schemaOf(t.Name())
	var last int64
	if err := a.QueryRow(t.Context(), `SELECT last_value FROM `+schema+`.value_id`).Scan(&last); err != nil {
		t.Fatal(err)
	}
	one, two := postgres.PinLock(s, last+1)
	run(t, a, `SELECT pg_advisory_lock($1, $2)`, one, two)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.(driver.Filer).Create(ctx, codec.Blob); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	run(t, a, `SELECT pg_advisory_unlock($1, $2)`, one, two)
	if err := postgres.Sweep(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte("x"), 600<<10)); err != nil {
		t.Error(err)
	}
	if err := f.Finish(); err != nil {
		t.Error(err)
	}
}

// TestPinsCut: a writer whose pins are gone is told, leaves nothing behind, and the next
// one writes.
func TestPinsCut(t *testing.T) {
	dsn := dsn(t)
	s, _ := opened(t, dsn, postgres.Options{})
	a := admin(t, dsn)
	schema := schemaOf(t.Name())
	f, err := s.(driver.Filer).Create(t.Context(), codec.Blob)
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("x"), 300<<10)
	if _, err := f.Write(big); err != nil {
		t.Fatal(err)
	}
	run(t, a, `SELECT pg_terminate_backend($1, 10000)`, int32(postgres.PinBackend(s)))
	chunks := func() (n int) {
		t.Helper()
		if err := a.QueryRow(t.Context(), `SELECT count(*) FROM `+schema+`.chunk`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for chunks() > 0 {
		if err := postgres.Sweep(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Write(big); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	if err := f.Finish(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	next, err := s.(driver.Filer).Create(t.Context(), codec.Blob)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Discard()
	f.Discard()
	if n := chunks(); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
	if _, err := next.Write(big); err != nil {
		t.Error(err)
	}
	if err := next.Finish(); err != nil {
		t.Error(err)
	}
}

// slowConn is a connection whose end takes until let is closed.
type slowConn struct {
	net.Conn
	let chan struct{}
}

func (c *slowConn) Close() error {
	<-c.let
	return c.Conn.Close()
}

// TestSlowEnd: whose context ends does not wait until the connection is closed, but
// Close does.
func TestSlowEnd(t *testing.T) {
	dsn := dsn(t)
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	let := make(chan struct{})
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil || ctx.Value(slowConn{}) == nil {
			return c, err
		}
		return &slowConn{c, let}, nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schemaOf(t.Name())})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Open(t.Context(), "test", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		t.Fatal(err)
	}
	postgres.Redial(s)
	a := admin(t, dsn)
	run(t, a, `BEGIN`)
	run(t, a, `LOCK TABLE `+schemaOf(t.Name())+`.entry IN ACCESS EXCLUSIVE MODE`)
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), slowConn{}, true), time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, _, err := s.Get(ctx, c, counter, driver.Lookup{Now: 1})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a Get waits for the end of its connection")
	}
	run(t, a, `ROLLBACK`)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case <-closed:
		t.Error("Close has not waited")
	case <-time.After(100 * time.Millisecond):
	}
	close(let)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
