package main

import (
	"math/rand/v2"
	"time"
)

// skew is the exponent of the distribution by which the workload lru chooses
// keys: key k, counted from 0, is chosen in proportion to 1/(1+k)^skew.
const skew = 1.1

// runLRU is a cache in front of something slow: it reads keys, some far more
// often than others, and stores those that are not there. Without a limit, all
// are there.
func runLRU(s store, j *job, ready func() error) ([]phase, error) {
	src := newSource(j.Keys, j.Size, j.Seed)
	if j.Load {
		if err := s.load(src, 0, j.Keys); err != nil {
			return nil, err
		}
	}
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	zipf := rand.NewZipf(src.rnd, skew, 1, uint64(j.Keys-1))
	run := func(p *phase, start time.Time, d time.Duration) error {
		for now := start; now.Sub(start) < d; {
			// Scattered, so that those that are read most are not those that
			// were stored first.
			key := src.key(src.scattered(int(zipf.Uint64())))
			misses := p.Misses
			var err error
			if now, err = p.get(c, key); err == nil && p.Misses > misses {
				now, err = p.set(c, key, src.value())
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	// Fill it until it evicts.
	if j.Limit > 0 {
		if err := run(&phase{Latencies: tallies{}}, time.Now(), j.duration()); err != nil {
			return nil, err
		}
	}
	if err := ready(); err != nil {
		return nil, err
	}
	p, start := begin("")
	if err := run(p, start, j.duration()); err != nil {
		return nil, err
	}
	return []phase{p.end(start)}, nil
}
