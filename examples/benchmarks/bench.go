package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// bench carries out workloads.
type bench struct {
	ctx      context.Context
	settings *settings
	dir      string // for the engines' files
	program  string // what jobs run
	places   int
}

// result is one row of the report: an engine in a case of a workload.
type result struct {
	Workload string `json:"workload"`
	Case     string `json:"case"`
	Engine   string `json:"engine"`

	Note string `json:"note,omitempty"` // why there are no figures

	Processes  int                `json:"processes,omitempty"`
	Goroutines int                `json:"goroutines,omitempty"`
	Operations int64              `json:"operations,omitempty"`
	PerSecond  float64            `json:"operations_per_second,omitempty"`
	Latencies  map[string]summary `json:"latencies,omitempty"`
	Hits       float64            `json:"hit_ratio,omitempty"`
	Resident   int64              `json:"resident_bytes,omitempty"` // of all processes together, the server's included
	Server     int64              `json:"server_resident_bytes,omitempty"`
	Base       int64              `json:"base_bytes,omitempty"` // of Resident, what processes have that have opened nothing
	Disk       int64              `json:"disk_bytes,omitempty"`
}

// place is where an engine keeps its data: a directory of its own, and a
// server if it needs one.
type place struct {
	dir    string
	server *server
}

// place makes one. limit is the size limit of its server, or 0.
func (b *bench) place(e *engine, limit int64) (*place, error) {
	b.places++
	p := &place{dir: filepath.Join(b.dir, fmt.Sprintf("%s-%d", e.name, b.places))}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	if e.serve != nil {
		var err error
		if p.server, err = e.serve(p.dir, limit); err != nil {
			os.RemoveAll(p.dir)
			return nil, err
		}
	}
	return p, nil
}

// remove ends the server and removes the files.
func (p *place) remove() {
	if p.server != nil {
		p.server.stop()
	}
	os.RemoveAll(p.dir)
}

// serverResident returns the memory of the server, or 0 if there is none.
func (p *place) serverResident() int64 {
	if p.server == nil {
		return 0
	}
	return resident(p.server.cmd.Process.Pid)
}

// job returns a job at this place.
func (b *bench) job(e *engine, p *place, kind string) *job {
	j := &job{
		Engine: e.name, Kind: kind, Dir: p.dir,
		Nanoseconds: int64(b.settings.duration), Seed: 1,
		program: b.program,
	}
	if p.server != nil {
		j.Address, j.Socket = p.server.addr, p.server.socket
	}
	return j
}

// load stores all keys of a job in a process of its own, except in an engine
// that would forget them with the process; there the job itself does.
func (b *bench) load(e *engine, p *place, jobs ...*job) error {
	if e.memory {
		for _, j := range jobs {
			j.Load = true
		}
		return nil
	}
	j := *jobs[0]
	j.Kind, j.Goroutines, j.Role = "load", 0, ""
	_, err := together(b.ctx, e, &j)
	syncDisks() // or what loading left to be written is written while others are measured
	return err
}

// measure carries out jobs at the same time and returns a result for each of
// their phases.
func (b *bench) measure(e *engine, p *place, workload string, jobs ...*job) ([]result, []*outcome, error) {
	outs, err := together(b.ctx, e, jobs...)
	if err != nil {
		return nil, nil, err
	}
	server := p.serverResident()
	var results []result
	for i := range outs[0].Phases {
		r := result{
			Workload: workload, Case: outs[0].Phases[i].Name, Engine: e.name,
			Processes: len(jobs), Goroutines: max(jobs[0].Goroutines, 1), Server: server, Resident: server,
		}
		all := tallies{}
		var hits, reads int64
		var longest time.Duration
		for _, o := range outs {
			ph := o.Phases[i]
			all.merge(ph.Latencies)
			r.Operations += ph.Operations
			r.Resident += ph.Resident
			r.Base += o.Base
			r.Disk = max(r.Disk, ph.Disk)
			hits += ph.Hits
			reads += ph.Hits + ph.Misses
			longest = max(longest, time.Duration(ph.Nanoseconds))
		}
		r.PerSecond = float64(r.Operations) / longest.Seconds()
		if reads > 0 {
			r.Hits = float64(hits) / float64(reads)
		}
		r.Latencies = all.summaries()
		if r.Disk == 0 && !e.memory && (p.server == nil || i == len(outs[0].Phases)-1) {
			r.Disk = onDisk(p.dir)
		}
		results = append(results, r)
	}
	return results, outs, nil
}
