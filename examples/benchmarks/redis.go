package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

const redisServer = "redis-server"

// redisEngines are Redis, by client and by what it saves.
func redisEngines() []*engine {
	missing := notFound(redisServer, redisServer)
	variant := func(name, about string, save, socket, tracking bool, does ...string) *engine {
		durability := "gone with the server"
		if save {
			durability = "`appendonly` with `everysec`: the server may die; a power cut undoes up to two seconds"
		}
		return &engine{
			name: name, about: about, durability: durability, does: does, missing: missing,
			processes: true, policies: []string{"lru"},
			serve: func(dir string, limit int64) (*server, error) { return serveRedis(dir, limit, save) },
			open:  func(ctx context.Context, j *job) (store, error) { return openRedis(ctx, j, socket, tracking) },
		}
	}
	return []*engine{
		variant("redis", "Redis over TCP, rueidis", true, false, false, "published"),
		variant("redis-unix", "Redis over a Unix socket, rueidis; its lock is a list with one token, which is lost with its holder", true, true, false,
			append([]string{"lru", "queue", "lock"}, mapLoads...)...),
		variant("redis-tracking", "Redis over a Unix socket, rueidis with client-side caching", true, true, true,
			"published", "keys", "lru"),
		variant("redis-memory", "Redis over a Unix socket, rueidis; nothing is saved", false, true, false, "published", "keys"),
	}
}

func serveRedis(dir string, limit int64, save bool) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), socket: socketIn(dir)}
	args := []string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--unixsocket", s.socket,
		"--dir", dir, "--daemonize", "no", "--save", "", "--loglevel", "warning",
	}
	if save {
		args = append(args, "--appendonly", "yes", "--appendfsync", "everysec")
	}
	if limit > 0 {
		args = append(args, "--maxmemory", strconv.FormatInt(limit, 10), "--maxmemory-policy", "allkeys-lru")
	}
	return serve(s, redisServer, args...)
}

type redisStore struct {
	ctx      context.Context
	conn     rueidis.Client
	tracking bool
}

func openRedis(ctx context.Context, j *job, socket, tracking bool) (store, error) {
	o := rueidis.ClientOption{InitAddress: []string{j.Address}, DisableCache: !tracking, ForceSingleClient: true}
	if socket {
		o.InitAddress = []string{j.Socket}
		o.DialCtxFn = func(ctx context.Context, path string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		}
	}
	s := &redisStore{ctx: ctx, tracking: tracking}
	var err error
	if s.conn, err = rueidis.NewClient(o); err != nil {
		return nil, err
	}
	if j.Kind == "lock" {
		// The first one makes the token.
		made, err := s.conn.Do(ctx, s.conn.B().Setnx().Key(redisLock+"-made").Value("1").Build()).AsBool()
		if err == nil && made {
			err = s.putToken()
		}
		if err != nil {
			s.conn.Close()
			return nil, err
		}
	}
	return s, nil
}

func (s *redisStore) client() (client, error) { return s, nil }

func (s *redisStore) load(src source, from, to int) error {
	const batch = 500
	cmds := make([]rueidis.Completed, 0, batch)
	for ; from < to; from += batch {
		cmds = cmds[:0]
		for i := from; i < min(from+batch, to); i++ {
			cmds = append(cmds, s.setCommand(src.key(i), src.value()))
		}
		for _, r := range s.conn.DoMulti(s.ctx, cmds...) {
			if err := r.Error(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *redisStore) setCommand(key string, value []byte) rueidis.Completed {
	return s.conn.B().Set().Key(key).Value(rueidis.BinaryString(value)).Build()
}

// kept bounds how long the client keeps what it has read. It is told of what
// others change.
const kept = time.Hour

func (s *redisStore) get(key string) ([]byte, bool, error) {
	var r rueidis.RedisResult
	if s.tracking {
		r = s.conn.DoCache(s.ctx, s.conn.B().Get().Key(key).Cache(), kept)
	} else {
		r = s.conn.Do(s.ctx, s.conn.B().Get().Key(key).Build())
	}
	return found(r.AsBytes())
}

func found(b []byte, err error) ([]byte, bool, error) {
	if rueidis.IsRedisNil(err) {
		return nil, false, nil
	}
	return b, err == nil, err
}

func (s *redisStore) set(key string, value []byte) error {
	return s.conn.Do(s.ctx, s.setCommand(key, value)).Error()
}

func (s *redisStore) delete(key string) error {
	return s.conn.Do(s.ctx, s.conn.B().Del().Key(key).Build()).Error()
}

const redisQueue = "queue"

func (s *redisStore) push(b []byte) error {
	return s.conn.Do(s.ctx, s.conn.B().Rpush().Key(redisQueue).Element(rueidis.BinaryString(b)).Build()).Error()
}

func (s *redisStore) pop() ([]byte, bool, error) {
	return found(s.conn.Do(s.ctx, s.conn.B().Lpop().Key(redisQueue).Build()).AsBytes())
}

func (s *redisStore) popWait() ([]byte, error) {
	items, err := s.conn.Do(s.ctx, s.conn.B().Blpop().Key(redisQueue).Timeout(0).Build()).AsStrSlice()
	if err != nil {
		return nil, err
	}
	if len(items) != 2 {
		return nil, fmt.Errorf("BLPOP returned %d items", len(items))
	}
	return []byte(items[1]), nil
}

// The lock is a list with one token: whoever has taken it has the lock. That is
// as quick as Redis can wake somebody. If its holder dies, nobody ever gets it;
// locks that expire, such as rueidislock's, are slower.
const redisLock = "lock"

func (s *redisStore) putToken() error {
	return s.conn.Do(s.ctx, s.conn.B().Rpush().Key(redisLock).Element("token").Build()).Error()
}

func (s *redisStore) lock() (func() error, error) {
	err := s.conn.Do(s.ctx, s.conn.B().Blpop().Key(redisLock).Timeout(0).Build()).Error()
	return s.putToken, err
}

func (s *redisStore) close() error {
	s.conn.Close()
	return nil
}
