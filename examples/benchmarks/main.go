// Benchmarks compares this project with others that keep entries on one
// machine: Python's DiskCache, Redis, memcached, bbolt, Badger, Pebble, LMDB,
// a cache in memory, and the bare statements on SQLite.
//
//	go run .
//
// runs every engine that the machine has in every workload, which takes about
// ten minutes on two processors, and says which engines it has not. It
// prints a report, and writes that, the figures as JSON and plots to the
// directory results. Progress goes to standard error. Servers are started on
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
	out, dir           string
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
	defer stop()
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		s.findPython()
		if s.list {
			list(s)
			return
		}
		err = run(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	run := f.String("run", "", "only the workloads that match this `regexp`")
	engine := f.String("engine", "", "only the engines that match this `regexp`")
	quick := f.Bool("quick", false, "measure for moments only, with few entries: to see that all works")
	f.DurationVar(&s.duration, "time", 1250*time.Millisecond, "how long each measurement lasts")
	f.IntVar(&s.rows, "rows", 1_000_000, "how far the workload growth goes")
	f.StringVar(&s.out, "o", "results", "`directory` for the report")
	f.StringVar(&s.dir, "dir", "", "`directory` in which the engines keep their files while they are measured, and the program is copied to run from (default a temporary one)")
	f.StringVar(&s.python, "python", "", "`program` of Python (default /usr/bin/python3, or python3 in PATH)")
	f.StringVar(&s.checkout, "diskcache", "", "`directory` of a checkout of Python's DiskCache")
	f.BoolVar(&s.list, "list", false, "list workloads and engines, and do nothing")
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

func list(s *settings) {
	fmt.Println("Workloads:")
	for _, w := range workloads() {
		fmt.Printf("  %-16s %s\n", w.name, w.title)
	}
	fmt.Println("Engines:")
	for _, e := range engines(s) {
		about := e.about
		if e.missing != "" {
			about += "\n                   left out: " + e.missing
		}
		fmt.Printf("  %-16s %s\n", e.name, about)
	}
}

// run carries out what was asked for and writes the report.
func run(ctx context.Context, s *settings) error {
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

	type cell struct {
		w *workload
		e *engine
	}
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
			fmt.Fprintf(os.Stderr, "left out: %s: %s\n", e.Name, e.Missing)
		}
	}
	began := time.Now()
	failed := 0
	for i, c := range cells {
		fmt.Fprintf(os.Stderr, "%3d/%d %4.0f s  %-10s %s\n", i+1, len(cells), time.Since(began).Seconds(), c.w.name, c.e.name)
		results, err := c.w.run(b, c.e)
		r.Results = append(r.Results, results...)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed++
		fmt.Fprintf(os.Stderr, "%s, %s: %v\n", c.w.name, c.e.name, err)
		r.Failures = append(r.Failures, fmt.Sprintf("%s, %s: failed", c.w.name, c.e.name))
	}
	r.Machine.Took = time.Since(began).Round(time.Second).String()
	if err := r.write(s.out); err != nil {
		return err
	}
	fmt.Print(r.markdown(nil))
	fmt.Fprintf(os.Stderr, "written to %s after %s\n", s.out, r.Machine.Took)
	if failed > 0 {
		return fmt.Errorf("%d of %d measurements failed", failed, len(cells))
	}
	return nil
}
