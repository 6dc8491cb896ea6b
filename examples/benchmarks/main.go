// Benchmarks compares this project with others that keep entries on one
// machine: Python's DiskCache, Redis, memcached, bbolt, Badger, Pebble, LMDB,
// a cache in memory, and the bare statements on SQLite.
//
//	go run .
//
// runs every engine that the machine has in every workload, which takes about
// ten minutes on two processors, and says which engines it has not. It
// prints a report, and writes that, the figures as JSON and plots to a new
// directory, which it names at the end. Progress goes to standard error; Ctrl-C
// writes what was measured so far. Servers are started on
// the loopback interface, with a directory of their own, and ended; nothing is
// left behind. Each measurement runs in processes of its own, which are a copy
// of this program.
//
//	go run . -list                         what there is
//	go run . -quick -engine '^diskcache$'  some figures in seconds
//	go run . -run growth -rows 10000000    up to ten million entries
//	go run -tags cgo_engines .             with SQLite in C and LMDB, too
//
// Latencies are of single calls, as seen by the caller, and contain that of
// reading the clock twice, which the report tells. Run it on a machine that
// does nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// settings are what the command line says, and what was found on the machine.
type settings struct {
	workloads, engines *regexp.Regexp
	duration           time.Duration
	keys, million      int
	rows               int
	out, from, dir     string
	list               bool

	python, checkout             string
	pythonVersion, pythonMissing string
}

func main() {
	if text := os.Getenv(jobEnv); text != "" {
		if err := child(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(start(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// start is the program; it returns the exit status.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "benchmarks:", err)
		return exitUsage
	}
	s.findPython()
	if s.list {
		list(s, stdout)
		return exitOK
	}
	switch err := run(ctx, s, stdout, stderr); {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(stderr, "benchmarks: interrupted;", err)
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(stderr, "benchmarks:", err)
		return exitFailed
	}
	return exitOK
}

// Exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

const usage = `Benchmarks compares this project with others that keep entries on one machine.

usage: benchmarks [flags]

  -run REGEXP     only the workloads whose names match REGEXP
  -engine REGEXP  only the engines whose names match REGEXP
  -list           list workloads and engines, and do nothing
  -quick          measure for moments only, with few entries: to see that all
                  works; the figures mean nothing
  -time D         how long each measurement lasts; without it, 1.25s
  -rows N         how far the workload growth goes; without it, 1000000
  -o DIR          write the report to DIR, over one that is there; without it, to
                  a new temporary directory, which is named at the end
  -from FILE      measure nothing, and write the report of FILE, a results.json
  -dir DIR        keep the files of the engines that are measured, and a copy of
                  this program, below DIR; without it, below %s
  -python PROG    Python; without it, /usr/bin/python3, or python3 in PATH
  -diskcache DIR  a checkout of Python's DiskCache; without it, the one that
                  Python has installed

All engines in all workloads take about ten minutes. Those that the machine
does not have are left out, which the report says. The report is README.md, with
a plot for each table, and results.json has all figures. Progress goes to
standard error.

Ctrl-C ends the measurement that is running, and writes a report of those that
are done.

exit status: 0 done, 1 some measurement failed, which the report says, or none
             could be made, 2 bad usage, 130 interrupted
`

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	f.SetOutput(io.Discard) // start prints the error
	f.Usage = func() { fmt.Fprintf(stderr, usage, os.TempDir()) }
	run := f.String("run", "", "")
	engine := f.String("engine", "", "")
	quick := f.Bool("quick", false, "")
	f.DurationVar(&s.duration, "time", 1250*time.Millisecond, "")
	f.IntVar(&s.rows, "rows", 1_000_000, "")
	f.StringVar(&s.out, "o", "", "")
	f.StringVar(&s.from, "from", "", "")
	f.StringVar(&s.dir, "dir", "", "")
	f.StringVar(&s.python, "python", "", "")
	f.StringVar(&s.checkout, "diskcache", "", "")
	f.BoolVar(&s.list, "list", false, "")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var err error
	if s.workloads, err = regexp.Compile(*run); err != nil {
		return nil, err
	}
	if s.engines, err = regexp.Compile(*engine); err != nil {
		return nil, err
	}
	s.keys, s.million = 100_000, 1_000_000
	if *quick {
		s.duration, s.keys, s.million, s.rows = 100*time.Millisecond, 2000, 5000, min(s.rows, 10_000)
	}
	if s.rows < firstRows {
		return nil, fmt.Errorf("-rows must be %d or more", firstRows)
	}
	return s, nil
}

func list(s *settings, w io.Writer) {
	fmt.Fprintln(w, "Workloads:")
	for _, x := range workloads() {
		fmt.Fprintf(w, "  %-16s %s\n", x.name, x.title)
	}
	fmt.Fprintln(w, "Engines:")
	for _, e := range engines(s) {
		about := e.about
		if e.missing != "" {
			about += "\n                   left out: " + e.missing
		}
		fmt.Fprintf(w, "  %-16s %s\n", e.name, about)
	}
}

// cell is a measurement: an engine in a workload.
type cell struct {
	w *workload
	e *engine
}

// run carries out what was asked for and writes the report, also where ctx ends
// before all is done.
func run(ctx context.Context, s *settings, stdout, stderr io.Writer) error {
	if s.from != "" {
		r, err := readReport(s.from)
		if err != nil {
			return err
		}
		return s.write(r, stdout, stderr)
	}
	dir, err := os.MkdirTemp(s.dir, "diskcache-benchmarks-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := install(dir)
	if err != nil {
		return err
	}
	b := &bench{ctx: ctx, settings: s, dir: dir, program: program}
	r := &report{Machine: describe(s, dir)}

	var cells []cell
	for _, e := range selected(engines(s), s.engines) {
		r.Engines = append(r.Engines, engineLine{e.name, e.about, e.durability, e.missing})
	}
	for _, w := range workloads() {
		if !s.workloads.MatchString(w.name) {
			continue
		}
		r.Workloads = append(r.Workloads, workloadLine{w.name, w.title, w.about})
		for _, e := range selected(engines(s), s.engines) {
			if e.missing == "" && e.can(w.name) {
				cells = append(cells, cell{w, e})
			}
		}
	}
	if len(cells) == 0 {
		return errors.New("no workload and engine matches that this machine has")
	}
	for _, e := range r.Engines {
		if e.Missing != "" {
			fmt.Fprintf(stderr, "left out: %s: %s\n", e.Name, e.Missing)
		}
	}
	return b.run(r, cells, stdout, stderr)
}

// run makes measurements, and writes the report of those that are done.
func (b *bench) run(r *report, cells []cell, stdout, stderr io.Writer) error {
	began := time.Now()
	var failed error
	failures, done := 0, 0
	for i, c := range cells {
		fmt.Fprintf(stderr, "%3d/%d %4.0f s  %-10s %s\n", i+1, len(cells), time.Since(began).Seconds(), c.w.name, c.e.name)
		results, err := c.w.run(b, c.e)
		if b.ctx.Err() != nil {
			break
		}
		done++
		r.Results = append(r.Results, results...)
		if err == nil {
			continue
		}
		failures++
		failed = fmt.Errorf("%d of %d measurements failed", failures, len(cells))
		fmt.Fprintf(stderr, "%s, %s: %v\n", c.w.name, c.e.name, err)
		r.Failures = append(r.Failures, fmt.Sprintf("%s, %s: failed", c.w.name, c.e.name))
	}
	if done < len(cells) {
		failed = fmt.Errorf("%d of %d measurements were done", done, len(cells))
		r.Failures = append(r.Failures, "interrupted: "+failed.Error())
	}
	if done == 0 {
		return fmt.Errorf("%w: there is no report", failed)
	}
	r.Machine.Took = time.Since(began).Round(time.Second).String()
	if err := b.settings.write(r, stdout, stderr); err != nil {
		return err
	}
	return failed
}

// write writes a report to where the command line says, and prints it.
func (s *settings) write(r *report, stdout, stderr io.Writer) error {
	out := s.out
	if out == "" {
		var err error
		if out, err = os.MkdirTemp("", "diskcache-report-"); err != nil {
			return err
		}
	}
	if err := r.write(out); err != nil {
		return err
	}
	fmt.Fprint(stdout, r.markdown(nil))
	fmt.Fprintf(stderr, "the report is in %s; measuring took %s\n", out, r.Machine.Took)
	return nil
}
