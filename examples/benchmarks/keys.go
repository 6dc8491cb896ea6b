package main

import "time"

// runKeys reads and writes a store of many entries that was filled before and
// has just been opened: first each key once ("cold"), then a hundredth of them,
// at most a thousand, over and over ("hot").
func runKeys(s store, j *job, ready func() error) ([]phase, error) {
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
	if err := ready(); err != nil {
		return nil, err
	}

	cold, start := begin("cold")
	first := src.any()
	for i := range j.Keys {
		now, err := cold.step(c, &src, src.scattered((first+i)%j.Keys), j)
		if err != nil {
			return nil, err
		}
		if now.Sub(start) > j.duration() {
			break
		}
	}
	phases := []phase{cold.end(start)}

	some := min(max(j.Keys/100, 1), 1000)
	for i := range some {
		if _, _, err := c.get(src.key(src.scattered(i))); err != nil {
			return nil, err
		}
	}
	hot, start := begin("hot")
	for {
		now, err := hot.step(c, &src, src.scattered(src.rnd.IntN(some)), j)
		if err != nil {
			return nil, err
		}
		if now.Sub(start) > j.duration() {
			break
		}
	}
	return append(phases, hot.end(start)), nil
}

// firstRows is how many entries there are when a growing store is measured for
// the first time.
const firstRows = 1000

// runGrowth measures a store as it grows, by a power of ten at a time.
func runGrowth(s store, j *job, ready func() error) ([]phase, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	if err := ready(); err != nil {
		return nil, err
	}
	var phases []phase
	have := 0
	for rows := firstRows; rows <= j.Keys; rows *= 10 {
		src := newSource(rows, j.Size, j.Seed)
		if err := s.load(src, have, rows); err != nil {
			return nil, err
		}
		have = rows
		p, start := begin(rowsName(rows))
		for now := start; now.Sub(start) < j.duration(); {
			i := src.any()
			key := src.key(i)
			if now, err = p.step(c, &src, i, j); err != nil {
				return nil, err
			}
			// A tenth of the time a row goes and comes back as a new one.
			if src.rnd.IntN(10) == 0 {
				if _, err = p.delete(c, key); err != nil {
					return nil, err
				}
				before := time.Now()
				if err = c.set(key, src.value()); err != nil {
					return nil, err
				}
				now = time.Now()
				p.Latencies.add("insert", now.Sub(before))
				p.Operations++
			}
		}
		done := p.end(start)
		if j.Address == "" && j.Socket == "" {
			done.Disk = onDisk(j.Dir)
		}
		phases = append(phases, done)
	}
	return phases, nil
}
