package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/inspect"
	"github.com/go-diskcache/diskcache/deque"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func alive(ok bool) string {
	if ok {
		return "alive"
	}
	return "dead"
}

func queueList(ctx context.Context, t *tool, s *store) error {
	names, err := s.Collections(ctx)
	if err != nil {
		return err
	}
	out := t.table(t.most(0), "QUEUE", "READY", "CLAIMED", "DELAYED", "OLDEST")
	for _, n := range names {
		q, ok := strings.CutPrefix(n, "deque/")
		if n == "deque-default/leases" {
			q, ok = "", true
		}
		if !ok || !strings.HasPrefix(q, t.prefix) {
			continue
		}
		l, err := deque.Look(ctx, s.Store, q)
		if errors.Is(err, cache.ErrNotFound) {
			continue // dropped meanwhile
		}
		if err != nil {
			return err
		}
		if err := out.line(map[string]any{"queue": q, "ready": l.Ready, "claimed": l.Claimed, "delayed": l.Delayed, "age_seconds": l.Age.Seconds(), "max": l.MaxLen},
			name(q), number(l.Ready), number(l.Claimed), number(l.Delayed), l.Age.Round(time.Millisecond).String()); err != nil {
			return err
		}
	}
	return out.end()
}

// queueName is what package deque calls a queue, which ls calls deque/NAME.
func queueName(s string) string {
	if s == "(default)" {
		return ""
	}
	return strings.TrimPrefix(s, "deque/")
}

func queueClaims(ctx context.Context, t *tool, s *store) error {
	l, err := deque.Look(ctx, s.Store, queueName(t.args[0]))
	if err != nil {
		return err
	}
	out := t.table(t.most(0), "ID", "HOLDER", "SESSION", "ATTEMPT", "ENDS IN")
	for _, c := range l.Claims {
		object := map[string]any{"id": c.ID, "session": c.Session, "alive": c.Alive, "attempt": c.Attempt}
		ends := "with the process"
		if !c.Until.IsZero() {
			object["until"], ends = c.Until.UTC(), until(c.Until, s.Now())
		}
		if err := out.line(object, strconv.FormatInt(c.ID, 10), alive(c.Alive), printable(c.Session), strconv.FormatInt(c.Attempt, 10), ends); err != nil {
			return err
		}
	}
	return out.end()
}

func queueRequeue(ctx context.Context, t *tool, s *store) error {
	over := false
	for _, a := range t.args[1:] {
		id, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			return misuse(fmt.Sprintf("%q is no ID of a claim", a))
		}
		err = deque.Requeue(ctx, s.Store, queueName(t.args[0]), id)
		if errors.Is(err, deque.ErrLost) {
			fmt.Fprintf(t.stderr, "diskcache: claim %d is over already\n", id)
			over = true
			continue
		}
		if err != nil {
			return err
		}
	}
	if over {
		return errIncomplete
	}
	return nil
}

func locksList(ctx context.Context, t *tool, s *store) error {
	out := t.table(t.most(0), "LOCK", "WHO", "HOLDER", "SESSION", "PERMITS", "FOR")
	print := func(kind string, l dsync.LockState) error {
		if !strings.HasPrefix(l.Name, t.prefix) {
			return nil
		}
		if t.json {
			return out.line(map[string]any{"kind": kind, "name": l.Name, "size": l.Size, "holders": l.Holders, "waiters": l.Waiters})
		}
		label := printable(l.Name)
		if kind == "semaphore" {
			label += fmt.Sprintf(" (%d)", l.Size)
		}
		if len(l.Holders)+len(l.Waiters) == 0 {
			return out.line(nil, label, "free", "-", "-", "-", "-")
		}
		for _, u := range l.Holders {
			if err := out.line(nil, label, "holds", alive(u.Alive), printable(u.Session), strconv.FormatInt(u.Permits, 10), s.Now().Sub(u.Since).Round(time.Millisecond).String()); err != nil {
				return err
			}
		}
		for _, u := range l.Waiters {
			if err := out.line(nil, label, "waits", alive(u.Alive), printable(u.Session), strconv.FormatInt(u.Permits, 10), "-"); err != nil {
				return err
			}
		}
		return nil
	}
	for l, err := range dsync.Locks(ctx, s.Store) {
		if err == nil {
			err = print("lock", l)
		}
		if err != nil {
			return err
		}
	}
	for l, err := range dsync.Semaphores(ctx, s.Store) {
		if err == nil {
			err = print("semaphore", l)
		}
		if err != nil {
			return err
		}
	}
	return out.end()
}

func locksBreak(ctx context.Context, t *tool, s *store) error {
	l, err := dsync.NewLock(ctx, s.Store, t.args[0], nil)
	if err != nil {
		return err
	}
	ok, err := l.Break(ctx)
	if err == nil && !ok {
		fmt.Fprintln(t.stderr, "diskcache: nobody holds this lock")
		return errIncomplete
	}
	return err
}

// serve serves the page until the context ends.
func serve(ctx context.Context, t *tool, s *store) error {
	l, err := net.Listen("tcp", t.addr)
	if err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(t.addr)
	o := &inspect.Options{ShowValues: t.values, HideKeys: t.hide, AllowWrite: t.write}
	if l.Addr().(*net.TCPAddr).IP.IsLoopback() {
		o.Hosts = []string{"localhost", "127.0.0.1", "::1", host}
	} else {
		fmt.Fprintln(t.stderr, "diskcache: WARNING: other machines can reach this page, and whoever does sees what it shows; it asks for no password")
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	url := "http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port) + "/"
	if t.json {
		err = json.NewEncoder(t.stdout).Encode(map[string]string{"url": url})
	} else {
		_, err = fmt.Fprintf(t.stdout, "serving %s until Ctrl-C\n", url)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{Handler: inspect.Handler(s.Store, o), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}
