package main

import (
	"context"
	"errors"
	"net"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const memcachedServer = "memcached"

// memcachedEngine is memcached, over TCP.
func memcachedEngine() *engine {
	return &engine{
		name: "memcached", about: "memcached over TCP, gomemcache", durability: "gone with the server",
		missing: notFound(memcachedServer, memcachedServer),
		does:    []string{"published", "keys", "million", "lru"}, processes: true, policies: []string{"lru"},
		serve: serveMemcached,
		open: func(_ context.Context, j *job) (store, error) {
			c := memcache.New(j.Address)
			c.Timeout = 10 * time.Second
			c.MaxIdleConns = 16
			return &memcachedStore{c}, nil
		},
	}
}

func serveMemcached(dir string, limit int64) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = 4 << 30 // no less than any workload stores
	}
	args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "0", "-m", strconv.FormatInt(limit>>20, 10)}
	if u, err := user.Current(); err == nil && u.Uid == "0" {
		args = append(args, "-u", u.Username) // it refuses to be root unless told
	}
	s := &server{dir: dir, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	return serve(s, memcachedServer, args...)
}

type memcachedStore struct{ conn *memcache.Client }

func (s *memcachedStore) client() (client, error) { return s, nil }

// load stores with several connections, since the protocol of this client
// answers each set.
func (s *memcachedStore) load(src source, from, to int) error {
	const workers = 8
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		own := newSource(src.keys, src.size, uint64(from+w))
		wg.Go(func() {
			for i := from + w; i < to && errs[w] == nil; i += workers {
				errs[w] = s.set(own.key(i), own.value())
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *memcachedStore) get(key string) ([]byte, bool, error) {
	it, err := s.conn.Get(key)
	if errors.Is(err, memcache.ErrCacheMiss) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return it.Value, true, nil
}

func (s *memcachedStore) set(key string, value []byte) error {
	return s.conn.Set(&memcache.Item{Key: key, Value: value})
}

func (s *memcachedStore) delete(key string) error {
	if err := s.conn.Delete(key); !errors.Is(err, memcache.ErrCacheMiss) {
		return err
	}
	return nil
}

func (s *memcachedStore) close() error { return s.conn.Close() }
