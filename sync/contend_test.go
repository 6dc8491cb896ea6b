//go:build linux

package sync_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	dsync "github.com/go-diskcache/diskcache/sync"
)

func init() {
	// hold takes a lock, says so, and unlocks it when told to.
	helpers["hold"] = func(ctx context.Context, p *peer) error {
		l, err := dsync.NewLock(ctx, p.st, "l", nil)
		if err != nil {
			return err
		}
		p.say("ready")
		p.hear()
		g, err := l.Lock(ctx)
		if err != nil {
			return err
		}
		p.say("held")
		p.hear()
		return g.Unlock()
	}
	// lose holds a lock until it is lost.
	helpers["lose"] = func(ctx context.Context, p *peer) error {
		l, err := dsync.NewLock(ctx, p.st, "l", nil)
		if err != nil {
			return err
		}
		g, err := l.Lock(ctx)
		if err != nil {
			return err
		}
		lost := g.Context()
		p.say("held")
		<-lost.Done()
		p.say("%v", errors.Is(context.Cause(lost), dsync.ErrLost))
		return nil
	}
	// holdmany holds ten locks.
	helpers["holdmany"] = func(ctx context.Context, p *peer) error {
		for i := range 10 {
			l, err := dsync.NewLock(ctx, p.st, strconv.Itoa(i), nil)
			if err != nil {
				return err
			}
			if _, err := l.Lock(ctx); err != nil {
				return err
			}
		}
		p.say("held")
		p.hear()
		return nil
	}
	// permits is hold with two permits of a semaphore.
	helpers["permits"] = func(ctx context.Context, p *peer) error {
		s, err := dsync.NewSemaphore(ctx, p.st, "s", 3, nil)
		if err != nil {
			return err
		}
		permit, err := s.AcquireN(ctx, 2)
		if err != nil {
			return err
		}
		p.say("held")
		p.hear()
		return permit.Release()
	}
	// contend locks and unlocks, and reports each step, until its input ends.
	helpers["contend"] = func(ctx context.Context, p *peer) error {
		l, err := dsync.NewLock(ctx, p.st, "l", nil)
		if err != nil {
			return err
		}
		p.say("ready")
		p.hear()
		stop := make(chan struct{})
		go func() {
			p.hear()
			close(stop)
		}()
		var out sync.Mutex
		var all sync.WaitGroup
		errs := make(chan error, contenders)
		for range contenders {
			all.Go(func() { errs <- contend(ctx, l, p, &out, stop) })
		}
		all.Wait()
		for range contenders {
			if err := <-errs; err != nil {
				return err
			}
		}
		return nil
	}
	// handover locks and unlocks until its input ends, and tells only then. It
	// holds the lock for the time that it is told.
	helpers["handover"] = func(ctx context.Context, p *peer) error {
		l, err := dsync.NewLock(ctx, p.st, "l", nil)
		if err != nil {
			return err
		}
		p.say("ready")
		hold, err := time.ParseDuration(p.hear())
		if err != nil {
			return err
		}
		stop := make(chan struct{})
		go func() {
			p.hear()
			close(stop)
		}()
		var lines []string
		for {
			select {
			case <-stop:
				p.say("%s", strings.Join(lines, "\n"))
				return nil
			default:
			}
			g, err := l.Lock(ctx)
			if err != nil {
				return err
			}
			locked := monotonic()
			if hold > 0 {
				time.Sleep(hold)
			}
			unlocking := monotonic()
			if err := g.Unlock(); err != nil {
				return err
			}
			lines = append(lines, fmt.Sprint(g.Token(), locked, unlocking, monotonic()))
		}
	}
	// count locks and unlocks, says so after the first time, and goes on until
	// it is told two moments. It says how often it had the lock in between.
	helpers["count"] = func(ctx context.Context, p *peer) error {
		l, err := dsync.NewLock(ctx, p.st, "l", nil)
		if err != nil {
			return err
		}
		p.say("ready")
		p.hear()
		stop := make(chan string, 1)
		go func() { stop <- p.hear() }()
		var had []int64
		for {
			g, err := l.Lock(ctx)
			if err != nil {
				return err
			}
			had = append(had, monotonic())
			if err := g.Unlock(); err != nil {
				return err
			}
			if len(had) == 1 {
				p.say("begun")
			}
			select {
			case s := <-stop:
				var from, to int64
				if _, err := fmt.Sscan(s, &from, &to); err != nil {
					return err
				}
				n := 0
				for _, t := range had {
					if from <= t && t < to {
						n++
					}
				}
				p.say("%d", n)
				return nil
			default:
			}
		}
	}
}

const contenders = 2 // goroutines of each process

func contend(ctx context.Context, l *dsync.Lock, p *peer, out *sync.Mutex, stop chan struct{}) error {
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		p.say(format, args...)
	}
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		call := monotonic()
		g, err := l.Lock(ctx)
		if err != nil {
			return err
		}
		say("lock %d %d %d", g.Token(), call, monotonic())
		call = monotonic()
		say("unlocking %d %d", g.Token(), call)
		if err := g.Unlock(); err != nil {
			return err
		}
		say("unlock %d %d", g.Token(), monotonic())
	}
}
