//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what the process that is never killed, and the store, take at a moment.
type sample struct {
	at          time.Duration
	operations  int64 // acknowledged since the beginning
	kills       int
	memory      int64 // resident, in bytes
	all         int64 // the same of all processes
	descriptors int64
	goroutines  int64
	disk        int64 // bytes of all files of the store
	log         int64 // of SQLite's log
	files       int64
}

func (s *supervisor) sample() error {
	x := sample{at: time.Since(s.began), kills: s.kills}
	s.mu.Lock()
	x.operations, x.goroutines = s.operations, s.goroutines
	s.mu.Unlock()
	for _, p := range s.processes {
		pid := p.cmd.Process.Pid
		n, err := resident(pid)
		if err != nil {
			continue // it has ended
		}
		x.all += n
		if p.name == s.resident() {
			x.memory = n
			open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			if err != nil {
				continue
			}
			x.descriptors = int64(len(open))
		}
	}
	store := filepath.Join(s.dir(), "store")
	err := filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				x.disk += info.Size()
				x.files++
				if d.Name() == "cache.db-wal" {
					x.log = info.Size()
				}
			}
		}
		if os.IsNotExist(err) && path != store {
			return nil // it was removed just now
		}
		return err
	})
	s.samples = append(s.samples, x)
	return err
}

// resident returns the resident memory of a process.
func resident(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(data, []byte("VmRSS:"))
	f := strings.Fields(string(rest))
	if len(f) == 0 {
		return 0, os.ErrProcessDone
	}
	n, err := strconv.ParseInt(f[0], 10, 64)
	return n << 10, err
}

// charts are what is drawn, and may not grow for ever.
var charts = []struct {
	title string
	value func(sample) float64
	slack float64 // by how much it may grow; 0 if that is of no interest
}{
	{"memory of the process that is never killed, MiB", func(s sample) float64 { return float64(s.memory) / (1 << 20) }, 32},
	{"memory of all processes, MiB", func(s sample) float64 { return float64(s.all) / (1 << 20) }, 128},
	{"descriptors of that process", func(s sample) float64 { return float64(s.descriptors) }, 20},
	{"goroutines of that process", func(s sample) float64 { return float64(s.goroutines) }, 20},
	{"bytes on disk, MiB", func(s sample) float64 { return float64(s.disk) / (1 << 20) }, 64},
	{"of that SQLite's log, MiB", func(s sample) float64 { return float64(s.log) / (1 << 20) }, 64},
	{"files", func(s sample) float64 { return float64(s.files) }, 200},
	{"processes killed", func(s sample) float64 { return float64(s.kills) }, 0},
	{"operations acknowledged, thousands", func(s sample) float64 { return float64(s.operations) / 1000 }, 0},
}

// grown is an error where something has grown from the second quarter of the time to
// the last one, by their medians. Too short a time tells nothing.
func grown(samples []sample) error {
	quarter := len(samples) / 4
	if quarter < 30 {
		return nil
	}
	for _, c := range charts {
		before, after := median(samples[quarter:2*quarter], c.value), median(samples[3*quarter:], c.value)
		if c.slack > 0 && after > before*1.25+c.slack {
			return fmt.Errorf("grown from %.0f to %.0f: %s", before, after, c.title)
		}
	}
	return nil
}

func median(samples []sample, value func(sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, value(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
