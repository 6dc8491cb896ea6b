//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/cache/driver/postgres/internal/pgtest"
)

// pooled starts PgBouncer before a server, in one of its modes, and returns how to
// connect to it.
func pooled(t *testing.T, dsn, mode string) string {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil && os.Getenv(pgtest.Required) == "" {
			t.Skip("there is no PgBouncer: install it (Debian: pgbouncer)")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "diskcache-pool-") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "ini")
	if err := os.WriteFile(config, fmt.Appendf(nil, `[databases]
* = %s
[pgbouncer]
listen_addr =
listen_port = 6543
unix_socket_dir = %s
auth_type = any
pool_mode = %s
max_client_conn = 100
default_pool_size = 50
`, strings.Replace(dsn, "sslmode=disable", "", 1), dir, mode), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, config)
	if os.Getuid() == 0 { // it does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 1000 {
		if _, err := os.Stat(filepath.Join(dir, ".s.PGSQL.6543")); err == nil {
			return "host=" + dir + " port=6543 user=postgres dbname=postgres sslmode=disable"
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("PgBouncer does not start: %s", said.String())
	return ""
}

// TestPooler: a pooler that gives each transaction another connection is refused. One
// that pools sessions is not, and with a DirectURL what lives long goes past it.
func TestPooler(t *testing.T) {
	dsn := dsn(t)
	_, err := postgres.Open(t.Context(), pooled(t, dsn, "transaction"), &postgres.Options{Schema: schemaOf(t.Name())})
	if !errors.Is(err, postgres.ErrServer) || !strings.Contains(err.Error(), "pool sessions") {
		t.Errorf("transactions are pooled: %v", err)
	}
	url := pooled(t, dsn, "session")
	opened(t, dsn, postgres.Options{})
	s, c := opened(t, url, postgres.Options{DirectURL: dsn})
	for range 3 {
		if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s, c); n != 3 {
		t.Errorf("counted to %d", n)
	}
	if _, _, err := s.Session(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, stop, err := s.Watch(c); err != nil {
		t.Error(err)
	} else {
		defer stop()
	}
	var real bool // PgBouncer has numbers of its own
	pid := int32(postgres.SessionBackend(s))
	if err := admin(t, dsn).QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)`, pid).Scan(&real); err != nil || !real {
		t.Errorf("the session goes through the pooler: %v", err)
	}
	// Who loses its COMMIT finds the backend that had it, not the pooler's number.
	cut := false
	postgres.Committing(s, 20*time.Second, func(conn *pgx.Conn, after bool) {
		if !cut && !after {
			cut = true
			conn.PgConn().Conn().Close()
		}
	})
	if err := s.Update(t.Context(), driver.Own, func(tx driver.Tx) error { return increment(t.Context(), tx, c) }, c); err != nil || !cut {
		t.Errorf("cut is %v: %v", cut, err)
	}
	postgres.Committing(s, 20*time.Second, nil)
	if n := count(t, s, c); n != 4 {
		t.Errorf("counted to %d", n)
	}
}

// TestDirectElsewhere: a DirectURL of another database is refused.
func TestDirectElsewhere(t *testing.T) {
	dsn := dsn(t)
	a := admin(t, dsn)
	run(t, a, `CREATE DATABASE elsewhere`)
	t.Cleanup(func() {
		if _, err := a.Exec(context.Background(), `DROP DATABASE elsewhere`); err != nil {
			t.Error(err)
		}
	})
	elsewhere := strings.Replace(dsn, "dbname=postgres", "dbname=elsewhere", 1)
	for range 2 { // without a store, and with one
		_, err := postgres.Open(t.Context(), dsn, &postgres.Options{Schema: schemaOf(t.Name()), DirectURL: elsewhere})
		if !errors.Is(err, postgres.ErrServer) {
			t.Errorf("error is %v", err)
		}
		s, err := postgres.Open(t.Context(), elsewhere, &postgres.Options{Schema: schemaOf(t.Name())})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if _, err := postgres.Open(t.Context(), dsn, &postgres.Options{DirectURL: "port=many password=hush"}); !errors.Is(err, driver.ErrInvalid) || strings.Contains(err.Error(), "hush") {
		t.Errorf("not to be read: %v", err)
	}
}

// otherConn has the server asked something else, of the same length.
type otherConn struct {
	net.Conn
	old, other []byte
}

func (c *otherConn) Write(b []byte) (int, error) {
	return c.Conn.Write(bytes.ReplaceAll(b, c.old, c.other))
}

// TestOtherServers: servers that cannot keep a store are refused, for their reason.
func TestOtherServers(t *testing.T) {
	dsn := dsn(t)
	schema := schemaOf(t.Name())
	a := admin(t, dsn)
	run(t, a, `CREATE SCHEMA IF NOT EXISTS `+schema)
	run(t, a, `CREATE OR REPLACE FUNCTION `+schema+`.pg_all_advisory_xact_lock(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true'`)
	for _, other := range []struct{ old, now, reason string }{
		{`server_version_num`, `my.version_numbers`, "PostgreSQL 14"},
		{`pg_try_advisory_xact_lock`, `pg_all_advisory_xact_lock`, "locks do not exclude"},
	} {
		config, err := pgxpool.ParseConfig(dsn + ` options='-c my.version_numbers=140012'`)
		if err != nil {
			t.Fatal(err)
		}
		dial := config.ConnConfig.DialFunc
		config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			return &otherConn{c, []byte(other.old), []byte(other.now)}, err
		}
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		_, err = postgres.New(t.Context(), pool, &postgres.Options{Schema: schema})
		if !errors.Is(err, postgres.ErrServer) || !strings.Contains(err.Error(), other.reason) {
			t.Errorf("%s: %v", other.old, err)
		}
	}
}
