package main

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The roles of the workload queue.
const (
	roleAlone    = "alone"    // pushes and pops in turn, with a hundred items in the queue
	roleProducer = "producer" // pushes as fast as it can
	roleCaller   = "caller"   // pushes now and then, when the consumer waits
	roleConsumer = "consumer" // waits for items until it gets the last one
)

// An item is 100 bytes: the moment of the push, in nanoseconds, and a 1 if it
// is the last one.
const itemSize = 100

func item(last bool) []byte {
	b := make([]byte, itemSize)
	binary.BigEndian.PutUint64(b, uint64(time.Now().UnixNano()))
	if last {
		b[8] = 1
	}
	return b
}

// pushed returns when an item was pushed and whether it was the last one.
func pushed(b []byte) (time.Time, bool, error) {
	if len(b) != itemSize {
		return time.Time{}, false, fmt.Errorf("an item of %d bytes came out of the queue", len(b))
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))), b[8] == 1, nil
}

// runQueue plays one role.
func runQueue(s store, j *job, ready func() error) ([]phase, error) {
	q, ok := s.(queuer)
	if !ok {
		return nil, fmt.Errorf("%s has no queue", j.Engine)
	}
	if j.Role == roleAlone {
		for range 100 {
			if err := q.push(item(false)); err != nil {
				return nil, err
			}
		}
	}
	if err := ready(); err != nil {
		return nil, err
	}
	p, start := begin(j.Role)
	var err error
	switch j.Role {
	case roleAlone:
		err = p.pushAndPop(q, start.Add(j.duration()))
	case roleConsumer:
		err = p.consume(q)
	default:
		err = p.produce(q, start.Add(j.duration()), j.Role == roleCaller)
	}
	if err != nil {
		return nil, err
	}
	return []phase{p.end(start)}, nil
}

func (p *phase) push(q queuer, b []byte) (time.Time, error) {
	start := time.Now()
	err := q.push(b)
	now := time.Now()
	p.Latencies.add("push", now.Sub(start))
	return now, err
}

func (p *phase) pushAndPop(q queuer, end time.Time) error {
	for {
		start, err := p.push(q, item(false))
		if err != nil {
			return err
		}
		b, ok, err := q.pop()
		now := time.Now()
		if err != nil {
			return err
		}
		if _, _, err := pushed(b); err != nil || !ok {
			return fmt.Errorf("popping from a queue that has items: %v, %w", ok, err)
		}
		p.Latencies.add("pop", now.Sub(start))
		p.Operations++
		if now.After(end) {
			return nil
		}
	}
}

func (p *phase) produce(q queuer, end time.Time, slowly bool) error {
	for {
		if slowly {
			time.Sleep(3 * time.Millisecond)
		}
		now, err := p.push(q, item(false))
		if err != nil {
			return err
		}
		if now.After(end) {
			return q.push(item(true))
		}
	}
}

func (p *phase) consume(q queuer) error {
	for {
		b, err := q.popWait()
		if err != nil {
			return err
		}
		at, last, err := pushed(b)
		if err != nil || last {
			return err
		}
		p.Latencies.add("wake", time.Since(at))
		p.Operations++
	}
}
