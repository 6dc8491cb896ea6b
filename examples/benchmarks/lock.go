package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// held is how long the workload lock holds the lock.
const held = 50 * time.Microsecond

// runLock takes and gives up a lock that other processes want as well.
func runLock(s store, j *job, ready func() error) ([]phase, error) {
	l, ok := s.(locker)
	if !ok {
		return nil, fmt.Errorf("%s has no lock", j.Engine)
	}
	if err := ready(); err != nil {
		return nil, err
	}
	p, start := begin("")
	for now := start; now.Sub(start) < j.duration(); {
		before := time.Now()
		unlock, err := l.lock()
		if err != nil {
			return nil, err
		}
		locked := time.Now()
		for time.Since(locked) < held {
		}
		unlocking := time.Now()
		if err := unlock(); err != nil {
			return nil, err
		}
		now = time.Now()
		p.Operations++
		p.Latencies.add("lock", locked.Sub(before))
		p.Latencies.add("unlock", now.Sub(unlocking))
		p.Holds = append(p.Holds, [2]int64{locked.UnixNano(), unlocking.UnixNano()})
	}
	return []phase{p.end(start)}, nil
}

// handOvers returns how long it took from giving up the lock in one process to
// having it in another, and reports an error if two processes had it at once.
func handOvers(holds [][][2]int64) (*tally, error) {
	type hold struct {
		process        int
		taken, givenUp int64
	}
	var all []hold
	for process, list := range holds {
		for _, h := range list {
			all = append(all, hold{process, h[0], h[1]})
		}
	}
	slices.SortFunc(all, func(a, b hold) int { return cmp.Compare(a.taken, b.taken) })
	t := newTally()
	for i := 1; i < len(all); i++ {
		before, after := all[i-1], all[i]
		if after.taken < before.givenUp {
			return nil, fmt.Errorf("two processes had the lock at once")
		}
		if before.process != after.process {
			t.add(time.Duration(after.taken - before.givenUp))
		}
	}
	return t, nil
}
