// Landing shows what a web site's workers do to a landing page that takes 0.2
// seconds to make and may be a second old: ten workers in five processes, with
// five ways to remember the page. It writes a plot, and prints a table.
//
//	go run ./examples/landing -out landing.svg
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
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

const usage = `Landing shows what ten workers in five processes do to a page that takes 0.2 seconds to
make, with five ways to remember it. It takes a minute or so, writes a plot to -out, in the
current directory unless that says otherwise, and prints a table.

usage: landing [flags]

`

func main() {
	out := flag.String("out", "landing.svg", "file for the plot")
	lasts := flag.Duration("for", 10*time.Second, "how long each way is tried")
	way := flag.String("way", "", "internal: be a process of workers that remember pages in this way")
	dir := flag.String("dir", "", "internal: directory of the store")
	start := flag.Int64("start", 0, "internal: when to start, in nanoseconds since 1970")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		shown := flag.NewFlagSet("", flag.ContinueOnError) // without those for its own processes
		shown.SetOutput(flag.CommandLine.Output())
		flag.VisitAll(func(x *flag.Flag) {
			if !strings.HasPrefix(x.Usage, "internal: ") {
				shown.Var(x.Value, x.Name, x.Usage)
			}
		})
		shown.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *way != "" {
		err = work(ctx, *way, *dir, time.Unix(0, *start), *lasts)
	} else {
		err = compare(ctx, *out, *lasts)
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
	if err := os.WriteFile(out, plot(runs), 0o644); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "wrote", out)
	return nil
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
