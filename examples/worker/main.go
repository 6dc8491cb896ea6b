// Worker runs jobs from a queue that any number of its processes share. It can
// be started several times at once; killing any of them loses no job.
//
//	go run ./examples/worker -dir jobs -add 100
//	go run ./examples/worker -dir jobs &
//	go run ./examples/worker -dir jobs -drain
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

const usage = `Worker works on jobs from a queue that any number of workers share, and that keeps them
when a worker dies.

usage: worker -dir DIR [flags]

exit status: 0 done or stopped with Ctrl-C, 1 it failed, or bad usage

`

func run(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("worker", flag.ContinueOnError)
	dir := f.String("dir", "", "directory of the jobs")
	add := f.Int("add", 0, "add so many jobs and end")
	drain := f.Bool("drain", false, "end when no job is left")
	every := f.Duration("every", time.Minute, "how often the scheduler adds a job")
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case *dir == "":
		return errors.New("-dir is missing; -h tells what it is")
	}
	st, err := cache.OpenStore(ctx, *dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	r, err := newRunner(ctx, st)
	if err != nil {
		return err
	}
	switch {
	case *add > 0:
		if err := r.add(ctx, *add); err != nil {
			return err
		}
		fmt.Printf("%d jobs added\n", *add)
		return nil
	case *drain:
		err = r.drain(ctx)
	default:
		err = r.work(ctx, *every)
	}
	if ctx.Err() != nil { // asked to stop
		err = nil
	}
	return errors.Join(err, r.report(context.WithoutCancel(ctx)))
}
