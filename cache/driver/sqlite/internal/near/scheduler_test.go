//go:build unix

package near

import "math/rand/v2"

// scheduler runs actors one at a time and decides, as its seed says, who goes
// on whenever one yields. Now and then it leaves one alone for long.
type scheduler struct {
	rng     *rand.Rand
	actors  []*actor
	current *actor
	back    chan struct{}
	over    bool
}

type actor struct {
	resume chan struct{}
	idle   int // up to so many steps go by between two things it does
	mortal int // it dies in one of so many steps; 0: never
	ended  bool
}

// death is what a simulated process panics with when it is killed.
type death struct{}

func newScheduler(seed uint64) *scheduler {
	return &scheduler{rng: rand.New(rand.NewPCG(seed, 1)), back: make(chan struct{})}
}

// start adds an actor, who does fn again and again.
func (s *scheduler) start(fn func(*rand.Rand), idle, mortal int) {
	a := &actor{resume: make(chan struct{}), idle: idle, mortal: mortal}
	s.actors = append(s.actors, a)
	go func() {
		<-a.resume
		for !s.over {
			s.once(fn)
			for range 1 + s.rng.IntN(a.idle+1) {
				s.yieldOf(a, 0)
			}
		}
		a.ended = true
		s.back <- struct{}{}
	}()
}

func (s *scheduler) once(fn func(*rand.Rand)) {
	defer func() {
		if r := recover(); r != nil && r != (death{}) {
			panic(r)
		}
	}()
	fn(s.rng)
}

func (s *scheduler) yield() { s.yieldOf(s.current, s.current.mortal) }

func (s *scheduler) yieldOf(a *actor, mortal int) {
	s.back <- struct{}{}
	<-a.resume
	if mortal > 0 && s.rng.IntN(mortal) == 0 {
		panic(death{})
	}
}

// run goes so many steps, as long as good says so, and lets all come to an end.
func (s *scheduler) run(steps int, good func() bool) {
	var asleep *actor
	wake := 0
	for i := 0; ; i++ {
		s.over = s.over || i >= steps || !good()
		var ready []*actor
		for _, a := range s.actors {
			if !a.ended {
				ready = append(ready, a)
			}
		}
		if len(ready) == 0 {
			return
		}
		if i >= wake {
			asleep, wake = s.actors[s.rng.IntN(len(s.actors))], i+s.rng.IntN(200)
		}
		a := s.current
		if a == nil || a.ended || a == asleep || s.rng.IntN(2) == 0 {
			a = ready[s.rng.IntN(len(ready))]
		}
		if a == asleep && !s.over {
			continue
		}
		s.current = a
		a.resume <- struct{}{}
		<-s.back
	}
}
