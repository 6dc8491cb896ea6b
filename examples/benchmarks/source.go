package main

import (
	"math/rand/v2"
	"strconv"
)

// source makes the keys and the values of a workload. Values are random bytes,
// which no engine can compress.
type source struct {
	keys       int
	size       int // bytes of a value; 0: 1 to 600, as in DiskCache's benchmark
	rnd        *rand.Rand
	names      []string // keys made before, where there are few
	noise      []byte
	multiplier int
}

// manyKeys is the number of keys from which they are made when they are needed
// and not kept, which would count as the engine's memory.
const manyKeys = 10_000

func newSource(keys, size int, seed uint64) source {
	s := source{keys: keys, size: size, rnd: rand.New(rand.NewPCG(seed, 1)), multiplier: 1}
	if keys <= manyKeys {
		s.names = make([]string, keys)
		for i := range s.names {
			s.names[i] = keyName(i)
		}
	}
	s.noise = make([]byte, 1<<20)
	for i := range s.noise {
		s.noise[i] = byte(s.rnd.Uint32())
	}
	for m := keys*618/1000 | 1; m > 1; m -= 2 {
		if gcd(m, keys) == 1 {
			s.multiplier = m
			break
		}
	}
	return s
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func keyName(i int) string { return "key-" + strconv.Itoa(i) }

// key returns key i.
func (s *source) key(i int) string {
	if i < len(s.names) {
		return s.names[i]
	}
	return keyName(i)
}

// value returns random bytes. They are valid until the source is gone, and not
// to be changed.
func (s *source) value() []byte {
	n := s.size
	if n == 0 {
		n = 1 + s.rnd.IntN(600)
	}
	at := s.rnd.IntN(len(s.noise) - n)
	return s.noise[at : at+n : at+n]
}

// any returns one of the keys, each as likely as any other.
func (s *source) any() int { return s.rnd.IntN(s.keys) }

// scattered returns a number below keys for each i below keys, each number
// once, in an order that no engine has an advantage from.
func (s *source) scattered(i int) int {
	return int(int64(i) * int64(s.multiplier) % int64(s.keys))
}
