//go:build linux

// Soak has processes of Go and Python work on one store for a long time, kills
// them again and again, and sees that the store keeps its promises: what was
// acknowledged is there, and of each process at most the operation that it was at
// is there too; counts are exact; a lock has one holder. It samples memory,
// descriptors, goroutines and bytes on disk, draws them, and fails if they grow.
//
//	go run ./examples/soak -for 1h -kills 10000 -out soak.svg
//
// Where something is wrong it says what, ends, and leaves the store as it is.
// It needs Linux, and Python's DiskCache in /usr/bin/python3 for the processes of
// Python.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const python = "/usr/bin/python3"

// plan is what is to be done.
type plan struct {
	lasts   time.Duration
	kills   int
	out     string
	dir     string
	goes    int // processes of Go, the first of which is never killed
	pythons int
}

const usage = `Soak has processes of Go and Python work on one store, kills them again and again, and fails
if anything is lost or anything grows. Processes of Python need Python's DiskCache in
` + python + `; -python 0 does without.

usage: soak [flags]

exit status: 0 all was well, 1 something is wrong, which it says, or bad usage

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var p plan
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.DurationVar(&p.lasts, "for", time.Minute, "how long it lasts, at least")
	f.IntVar(&p.kills, "kills", 150, "how many processes are killed in that time")
	f.StringVar(&p.out, "out", "", "`file` for the plot, as SVG")
	f.StringVar(&p.dir, "dir", "", "`directory` for the store (default a temporary one)")
	f.IntVar(&p.goes, "go", 6, "how many processes of Go")
	f.IntVar(&p.pythons, "python", 2, "how many processes of Python")
	worker := f.String("worker", "", "internal: be the process with this name")
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		shown := flag.NewFlagSet("", flag.ContinueOnError) // without those for its own processes
		shown.SetOutput(f.Output())
		f.VisitAll(func(x *flag.Flag) {
			if !strings.HasPrefix(x.Usage, "internal: ") {
				shown.Var(x.Value, x.Name, x.Usage)
			}
		})
		shown.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *worker != "" {
		return work(p.dir, *worker)
	}
	if p.goes < 2 || p.pythons < 0 || p.kills < 0 || p.lasts <= 0 {
		return errors.New("it takes some time, and two processes of Go or more")
	}
	temporary := p.dir == ""
	if temporary {
		dir, err := os.MkdirTemp("", "soak-")
		if err != nil {
			return err
		}
		p.dir = dir
	}
	s, err := supervise(ctx, p)
	if s != nil {
		err = errors.Join(err, s.report())
	}
	if err != nil {
		return fmt.Errorf("%w\nthe store is left in %s", err, filepath.Join(p.dir, "store"))
	}
	if temporary {
		return os.RemoveAll(p.dir)
	}
	return nil
}
