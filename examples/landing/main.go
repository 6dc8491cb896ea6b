// Landing shows what a web site's workers do to a landing page that takes 0.2
// seconds to make and may be a second old: ten workers in five processes, with
// five ways to remember the page. It prints a table, and writes a plot.
//
//	go run ./examples/landing -o landing.svg
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
)

const (
	processes = 5
	workers   = 2 // of each process
	takes     = 200 * time.Millisecond
	ttl       = time.Second
)

// event is a request, or the making of a page, in time since the start.
type event struct {
	Made       bool // a page was made
	Start, End time.Duration
}

const usage = `Landing shows what ten workers in five processes do to a page that takes 0.2
seconds to make and may be a second old, with five ways to remember it.

usage: landing [flags]

  -for D   how long each way is tried; without it, 10s
  -o FILE  write the plot, as SVG, to FILE; without it, to a temporary file,
           which is named at the end

It prints a table with a row for each way. Ctrl-C ends it without a plot.

exit status: 0 done, 1 something failed, 2 bad usage, 130 interrupted
`

func main() {
	out := flag.String("o", "", "")
	lasts := flag.Duration("for", 10*time.Second, "")
	// For the processes of workers:
	way := flag.String("way", "", "how to remember pages")
	dir := flag.String("dir", "", "of the store")
	start := flag.Int64("start", 0, "when to start, in nanoseconds since 1970")
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), usage) }
	flag.Parse()
	if flag.NArg() > 0 || *lasts <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *way != "" {
		err = work(ctx, *way, *dir, time.Unix(0, *start), *lasts)
	} else {
		err = compare(ctx, *out, *lasts)
	}
	if err != nil && ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "landing: interrupted; there is no plot")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "landing:", err)
		os.Exit(1)
	}
}

// compare tries all ways.
func compare(ctx context.Context, out string, lasts time.Duration) error {
	dir, err := os.MkdirTemp("", "landing")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("| %d workers in %d processes, %v | pages made | at once | requests | that waited | worst latency | after the first second |\n", processes*workers, processes, lasts)
	fmt.Println("|---|---:|---:|---:|---:|---:|---:|")
	var runs []run
	for i, w := range ways {
		events, err := try(ctx, w.name, filepath.Join(dir, fmt.Sprint(i)), lasts)
		if err != nil {
			return err
		}
		r := run{w.title, lasts, events}
		runs = append(runs, r)
		fmt.Printf("| %s | %d | %d | %d | %d | %d ms | %d ms |\n", r.title, len(r.made()), r.most(),
			len(r.requests()), r.waited(), r.worst(0).Milliseconds(), r.worst(time.Second).Milliseconds())
	}
	out, err = save(out, plot(runs))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "the plot is", out)
	return nil
}

// save writes a plot to a file, a new temporary one if that is "", and returns its
// path.
func save(file string, plot []byte) (string, error) {
	if file != "" {
		return file, os.WriteFile(file, plot, 0o644)
	}
	f, err := os.CreateTemp("", "landing-*.svg")
	if err != nil {
		return "", err
	}
	_, err = f.Write(plot)
	return f.Name(), errors.Join(err, f.Close())
}

// try runs the processes and collects what they did.
func try(ctx context.Context, way, dir string, lasts time.Duration) ([]event, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx) // one fails: all end
	defer cancel()
	start := time.Now().Add(time.Second)
	type result struct {
		events []event
		err    error
	}
	results := make(chan result, processes)
	for range processes {
		go func() {
			events, err := process(exec.CommandContext(ctx, exe, "-way", way, "-dir", dir,
				"-start", fmt.Sprint(start.UnixNano()), "-for", lasts.String()))
			results <- result{events, err}
		}()
	}
	var all []event
	for range processes {
		r := <-results
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", way, r.err)
		}
		all = append(all, r.events...)
	}
	slices.SortFunc(all, func(a, b event) int { return int(a.Start - b.Start) })
	return all, nil
}

// process runs one process and reads its events.
func process(cmd *exec.Cmd) ([]event, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var events []event
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("a worker says %q: %w", lines.Text(), err)
		}
		events = append(events, e)
	}
	return events, cmd.Wait()
}
