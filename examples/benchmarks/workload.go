package main

import "fmt"

// workload is one of the things that engines are compared at.
type workload struct {
	name  string
	title string
	about string
	run   func(b *bench, e *engine) ([]result, error)
}

// workloads in the order of the report.
func workloads() []*workload {
	return []*workload{
		{
			name: "published", title: "DiskCache's published workload",
			about: "100 keys, values of 1 to 600 random bytes, 90 % get, 9 % set, 1 % delete, in one process (P=1)," +
				" in eight at once (P=8), and in eight goroutines or threads of one (G=8).",
			run: runPublished,
		},
		{
			name: "keys", title: "100,000 entries of 1 KiB",
			about: "One client reads and sets at 1:1 and at 10:1. Cold: each key once, in a process that has just opened the store" +
				" (the operating system may have its files in memory). Hot: 1,000 of the keys over and over.",
			run: func(b *bench, e *engine) ([]result, error) { return runSized(b, e, "keys", b.settings.keys) },
		},
		{
			name: "million", title: "1,000,000 entries of 1 KiB",
			about: "The same with ten times as many entries.",
			run:   func(b *bench, e *engine) ([]result, error) { return runSized(b, e, "million", b.settings.million) },
		},
		{
			name: "lru", title: "Least recently used",
			about: "Reads: only gets of 10,000 entries of 1 KiB, some far more often read than others, with the engine's default" +
				" policy of eviction and with LRU. Pressure: the same keys with a size limit of 8 MiB; what is not found is set.",
			run: runPolicies,
		},
		{
			name: "queue", title: "Queues",
			about: "Alone: one process pushes and pops items of 100 bytes in turn. Stream: one process pushes as fast as it can," +
				" another one waits for items and pops them; operations are items popped. Wake: the same, but one push every 3 ms," +
				" so that the consumer waits; wake is the time from before the push to the item in the other process.",
			run: runQueues,
		},
		{
			name: "lock", title: "A lock between processes",
			about: "Processes take a lock, hold it for 50 µs, give it up and want it again. Hand-over is the time from giving it up" +
				" in one process to having it in another.",
			run: runLocks,
		},
		{
			name: "growth", title: "Growth",
			about: "One client on entries of 100 bytes, more and more of them: 70 % get, 30 % set of random ones, and now and then" +
				" a delete and an insert of the same key. Disk is what the files take while the engine has them open, logs included.",
			run: runGrowing,
		},
	}
}

// runPublished is DiskCache's benchmark.
func runPublished(b *bench, e *engine) ([]result, error) {
	var all []result
	for _, c := range []struct {
		name                  string
		processes, goroutines int
	}{{"P=1", 1, 1}, {"P=8", 8, 1}, {"G=8", 1, 8}} {
		if c.processes > 1 && !e.processes {
			all = append(all, result{Workload: "published", Case: c.name, Engine: e.name, Note: onlyOne(e)})
			continue
		}
		err := b.with(e, 0, func(p *place) error {
			jobs := make([]*job, c.processes)
			for i := range jobs {
				j := b.job(e, p, "mix")
				j.Keys, j.Gets, j.Sets, j.Goroutines, j.Seed = 100, 900, 90, c.goroutines, uint64(i+1)
				jobs[i] = j
			}
			if err := b.load(e, p, jobs...); err != nil {
				return err
			}
			rs, _, err := b.measure(e, p, "published", jobs...)
			all = append(all, named(c.name, rs)...)
			return err
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func onlyOne(e *engine) string {
	if e.memory {
		return "in the memory of one process"
	}
	return "one process at a time can open it"
}

// with makes a place for the time of a call.
func (b *bench) with(e *engine, limit int64, fn func(p *place) error) error {
	p, err := b.place(e, limit)
	if err != nil {
		return err
	}
	defer p.remove()
	return fn(p)
}

// named gives results the name of their case, before that of their phase.
func named(name string, rs []result) []result {
	for i := range rs {
		if rs[i].Case == "" {
			rs[i].Case = name
		} else {
			rs[i].Case = name + ", " + rs[i].Case
		}
	}
	return rs
}

func runSized(b *bench, e *engine, name string, keys int) ([]result, error) {
	var all []result
	err := b.with(e, 0, func(p *place) error {
		for i, c := range []struct {
			name string
			gets int
		}{{"1:1", 500}, {"10:1", 909}} {
			j := b.job(e, p, "keys")
			j.Keys, j.Size, j.Gets, j.Sets = keys, 1024, c.gets, 1000-c.gets
			if i == 0 || e.memory {
				if err := b.load(e, p, j); err != nil {
					return err
				}
			}
			rs, _, err := b.measure(e, p, name, j)
			if err != nil {
				return err
			}
			all = append(all, named(c.name, rs)...)
		}
		return nil
	})
	return all, err
}

// runPolicies compares policies of eviction.
func runPolicies(b *bench, e *engine) ([]result, error) {
	const keys, size = 10_000, 1024
	var all []result
	for _, pressure := range []bool{false, true} {
		for _, policy := range e.policies {
			name, limit := "reads", int64(0)
			if pressure {
				// Less than the values alone. What each engine counts beside them
				// differs, and so does what finds room.
				name, limit = "pressure", 8<<20
			}
			if policy == "" {
				name += ", default policy"
			} else {
				name += ", LRU"
			}
			err := b.with(e, limit, func(p *place) error {
				j := b.job(e, p, "lru")
				j.Keys, j.Size, j.Policy, j.Limit, j.Load = keys, size, policy, limit, !pressure
				rs, _, err := b.measure(e, p, "lru", j)
				all = append(all, named(name, rs)...)
				return err
			})
			if err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

func runQueues(b *bench, e *engine) ([]result, error) {
	var all []result
	for _, c := range []struct {
		name  string
		roles []string
	}{
		{"alone", []string{roleAlone}},
		{"stream", []string{roleConsumer, roleProducer}},
		{"wake", []string{roleConsumer, roleCaller}},
	} {
		err := b.with(e, 0, func(p *place) error {
			var jobs []*job
			for _, role := range c.roles {
				j := b.job(e, p, "queue")
				j.Role = role
				jobs = append(jobs, j)
			}
			rs, _, err := b.measure(e, p, "queue", jobs...)
			for i := range rs {
				rs[i].Case = c.name
				if c.name == "stream" {
					// How long an item of a backlog waits says nothing.
					delete(rs[i].Latencies, "wake")
				}
			}
			all = append(all, rs...)
			return err
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func runLocks(b *bench, e *engine) ([]result, error) {
	var all []result
	for _, processes := range []int{2, 8} {
		err := b.with(e, 0, func(p *place) error {
			var jobs []*job
			for range processes {
				jobs = append(jobs, b.job(e, p, "lock"))
			}
			rs, outs, err := b.measure(e, p, "lock", jobs...)
			if err != nil {
				return err
			}
			var holds [][][2]int64
			for _, o := range outs {
				holds = append(holds, o.Phases[0].Holds)
			}
			t, err := handOvers(holds)
			if err != nil {
				return err
			}
			rs[0].Latencies["hand-over"] = t.summary()
			all = append(all, named(fmt.Sprintf("P=%d", processes), rs)...)
			return nil
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func runGrowing(b *bench, e *engine) ([]result, error) {
	var all []result
	err := b.with(e, 0, func(p *place) error {
		j := b.job(e, p, "growth")
		j.Keys, j.Size, j.Gets, j.Sets = b.settings.rows, 100, 700, 300
		rs, _, err := b.measure(e, p, "growth", j)
		all = rs
		return err
	})
	return all, err
}

// rowsName is the case of a growing store that has so many entries.
func rowsName(rows int) string { return fmt.Sprintf("rows=%d", rows) }
