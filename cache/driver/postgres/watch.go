package postgres

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// watches are those who wait for changes of collections, in this store. One goroutine
// listens for all of them, on a connection of its own that holds a shared lock for each
// collection that is watched, by which writers know whether to tell anybody.
type watches struct {
	mu        sync.Mutex
	of        map[int32]map[*watcher]struct{}
	listening bool
	interrupt context.CancelFunc // ends the wait for notifications
	requests  []chan error       // of those who wait until what they watch is listened for
}

// watcher waits for changes of one collection.
type watcher struct {
	changed chan struct{}
}

func (ws *watches) init() { ws.of = make(map[int32]map[*watcher]struct{}) }

// channel is the one that notifications about this store are sent to.
func (s *Store) channel() string { return "diskcache_" + strconv.Itoa(int(s.locks)) }

// signal wakes those who watch some collections.
func (s *Store) signal(ids []int32) {
	ws := &s.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, id := range ids {
		for w := range ws.of[id] {
			w.signal()
		}
	}
}

// signal wakes whoever waits. A signal that nobody has taken yet is enough.
func (w *watcher) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (ws *watches) count() (n int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, of := range ws.of {
		n += int64(len(of))
	}
	return n
}

// Watch implements [driver.Store].
func (s *Store) Watch(c driver.Collection) (<-chan struct{}, func(), error) {
	ctx := s.closing
	if err := s.enter(ctx); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return nil, nil, err
	}
	ws := &s.watches
	w := &watcher{changed: make(chan struct{}, 1)}
	heard := make(chan error, 1)
	ws.mu.Lock()
	if ws.of[own.id] == nil {
		ws.of[own.id] = make(map[*watcher]struct{})
	}
	ws.of[own.id][w] = struct{}{}
	ws.requests = append(ws.requests, heard)
	if ws.interrupt != nil {
		ws.interrupt()
	}
	if !ws.listening {
		ws.listening = true
		s.keepers.Go(s.listen)
	}
	ws.mu.Unlock()
	stop := func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		if delete(ws.of[own.id], w); len(ws.of[own.id]) == 0 {
			delete(ws.of, own.id)
		}
	}
	select {
	case err = <-heard:
	case <-s.closing.Done():
		err = driver.ErrClosed
	}
	if err == nil {
		err = s.conns.with(ctx, func(conn *pgx.Conn) error {
			h, err := readHead(ctx, conn, own.id)
			if err == nil && h.dropped {
				err = driver.ErrClosed
			}
			return err
		})
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return w.changed, stop, nil
}

func (ws *watches) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, of := range ws.of {
		for w := range of {
			close(w.changed)
		}
	}
	clear(ws.of)
}

// lookEvery is how often somebody looks for changes that nobody told of, as the
// process that made them died before it could, or the connection was cut.
const lookEvery = time.Second

// listen hears of changes until the store is closed, on one connection after the other.
func (s *Store) listen() {
	for s.closing.Err() == nil {
		l := &listener{store: s, held: make(map[int32]int64)}
		err := l.run(s.closing)
		if s.closing.Err() != nil {
			return
		}
		s.options.Logger.Warn("changes are told late until the server is heard again", "err", err)
		s.watches.answer(err)
		select {
		case <-s.closing.Done():
		case <-time.After(probeEvery):
		}
	}
}

// answer tells those who wait for being listened for.
func (ws *watches) answer(err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, r := range ws.requests {
		r <- err
	}
	ws.requests = nil
}

// listener is a connection that hears of changes.
type listener struct {
	store *Store
	conn  *pgx.Conn
	held  map[int32]int64 // the collections that it has locks for, with how many changes were seen
}

func (l *listener) run(ctx context.Context) (err error) {
	if l.conn, err = l.store.direct.dial(ctx); err != nil {
		return err
	}
	defer l.store.direct.hangUp(l.conn)
	asking, cancel := context.WithTimeout(ctx, followTimeout)
	// A process that is stopped keeps its connection, though it reads no notifications.
	_, err = l.conn.Exec(asking, `SET tcp_user_timeout = 0`)
	if err == nil {
		_, err = l.conn.Exec(asking, `LISTEN `+pgx.Identifier{l.store.channel()}.Sanitize())
	}
	cancel()
	if err != nil {
		return err
	}
	ws := &l.store.watches
	for {
		ws.mu.Lock()
		waiting, cancel := context.WithTimeout(ctx, lookEvery)
		ws.interrupt = cancel
		requests := ws.requests
		ws.requests = nil
		var wanted []int32
		for id := range ws.of {
			wanted = append(wanted, id)
		}
		ws.mu.Unlock()
		err := l.follow(ctx, wanted)
		for _, r := range requests {
			r <- err
		}
		if err != nil {
			cancel()
			return err
		}
		for err == nil { // until there is nothing more to hear, or somebody asks for more
			n, failed := l.conn.WaitForNotification(waiting)
			if err = failed; err == nil {
				if id, err := strconv.Atoi(n.Payload); err == nil {
					l.store.signal([]int32{int32(id)})
				}
			}
		}
		timeout := waiting.Err() != nil
		cancel()
		if ctx.Err() != nil || !timeout || l.conn.IsClosed() {
			return fmt.Errorf("postgres: nothing is heard any more: %w", err)
		}
	}
}

// followTimeout bounds what a listener asks the server for. If it does not answer, another
// connection is made.
const followTimeout = 5 * time.Second

// follow has locks for exactly those collections that are wanted, and signals those
// that have changed since it last looked.
func (l *listener) follow(ctx context.Context, wanted []int32) error {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	number := l.store.locks + lockWatch
	for _, id := range wanted {
		if _, ok := l.held[id]; ok {
			continue
		}
		if _, err := l.conn.Exec(ctx, `SELECT pg_advisory_lock_shared($1, $2)`, number, id); err != nil {
			return err
		}
		l.held[id] = -1
	}
	keep := make(map[int32]bool, len(wanted))
	for _, id := range wanted {
		keep[id] = true
	}
	for id := range l.held {
		if keep[id] {
			continue
		}
		if _, err := l.conn.Exec(ctx, `SELECT pg_advisory_unlock_shared($1, $2)`, number, id); err != nil {
			return err
		}
		delete(l.held, id)
	}
	if len(wanted) == 0 {
		return nil
	}
	rows, err := l.conn.Query(ctx, `SELECT o.c, coalesce(h.seen, 0) FROM `+headTables+` WHERE o.c = ANY($1) AND NOT o.dropped`, wanted)
	if err != nil {
		return err
	}
	defer rows.Close()
	seen := make(map[int32]int64, len(wanted))
	for rows.Next() {
		var id int32
		var n int64
		if err := rows.Scan(&id, &n); err != nil {
			return err
		}
		seen[id] = n
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, id := range wanted {
		if n, ok := seen[id]; !ok || n != l.held[id] {
			// What is listened for from now on may have been so before, on a
			// connection that was cut.
			l.store.signal([]int32{id})
			l.held[id] = n
		}
	}
	return nil
}
