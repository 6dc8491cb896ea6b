package main

import (
	"sync"
	"time"
)

// warmUp is how many operations a goroutine carries out before it is measured.
const warmUp = 500

// runMix carries out random operations on random keys, in several goroutines.
func runMix(s store, j *job, ready func() error) ([]phase, error) {
	if j.Load {
		if err := s.load(newSource(j.Keys, j.Size, j.Seed), 0, j.Keys); err != nil {
			return nil, err
		}
	}
	n := max(j.Goroutines, 1)
	clients := make([]client, n)
	sources := make([]source, n)
	for i := range n {
		var err error
		if clients[i], err = s.client(); err != nil {
			return nil, err
		}
		sources[i] = newSource(j.Keys, j.Size, j.Seed*1000+uint64(i))
		p := &phase{Latencies: tallies{}}
		end := time.Now().Add(j.duration() / 4)
		for range warmUp {
			now, err := p.step(clients[i], &sources[i], sources[i].any(), j)
			if err != nil {
				return nil, err
			}
			if now.After(end) {
				break
			}
		}
	}
	if err := ready(); err != nil {
		return nil, err
	}
	all, start := begin("")
	end := start.Add(j.duration())
	var wg sync.WaitGroup
	phases := make([]phase, n)
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			p, src := &phase{Latencies: tallies{}}, &sources[i]
			for errs[i] == nil {
				var now time.Time
				if now, errs[i] = p.step(clients[i], src, src.any(), j); now.After(end) {
					break
				}
			}
			phases[i] = *p
		})
	}
	wg.Wait()
	for i, p := range phases {
		if errs[i] != nil {
			return nil, errs[i]
		}
		all.add(p)
	}
	return []phase{all.end(start)}, nil
}

// step carries out one operation on key i, as likely as the job says.
func (p *phase) step(c client, src *source, i int, j *job) (time.Time, error) {
	switch r, key := src.rnd.IntN(1000), src.key(i); {
	case r < j.Gets:
		return p.get(c, key)
	case r < j.Gets+j.Sets:
		return p.set(c, key, src.value())
	default:
		return p.delete(c, key)
	}
}

// add adds the counts of another phase.
func (p *phase) add(q phase) {
	p.Operations += q.Operations
	p.Hits += q.Hits
	p.Misses += q.Misses
	p.Latencies.merge(q.Latencies)
}
