// Cluster does orders on several machines that share a store in a PostgreSQL
// database: a queue whose items survive the death of whoever works on them, a report
// that one of the machines writes each night, and a slow function that is called once
// for all of them. With a directory as the store it does the same on one machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
)

const usage = `Cluster does orders on several machines that share a PostgreSQL database.

usage: cluster [flags] add N     add N orders to the queue
       cluster [flags] work      do orders, and the report each night, until Ctrl-C;
                                 any number of copies, on any number of machines
       cluster [flags] status    count the orders; who writes the report; the last one
       cluster [-merge] copy FROM TO
                                 copy a store, either way: all collections, with their
                                 order, expiries, tags and queues

  -store WHERE  a database, as postgres://USER:PASSWORD@HOST/NAME, or else a
                directory of this machine; without it, $CLUSTER_STORE
  -host NAME    what this copy calls itself in what it prints; without it, %s
  -at-once N    do N orders at the same time (4)
  -night D      have a night every D, for a look at it: such as 20s (24h)
  -v            print a line for all that happens: what is begun, done and lost
  -merge        copy into a store that is not empty, such as one into which an
                earlier copy was interrupted; equal keys are replaced

To follow a failover, name all servers; the one that can be written to is used:

  postgres://app@db1,db2/app?connect_timeout=2

An order is done when its amount is stored, in the same transaction that takes it off
the queue. If a copy is killed, or its machine is cut off, its orders go to others:
at once, or some ten seconds after. It may have begun them; it cannot end them any
more. No order is lost, and none is done a second time.

A copy goes on trying while the database is away. Ctrl-C gives back what is begun.
Each copy prints a summary at its end.

To move to another store: stop all copies, copy the store, start them with the other one.

exit status: 0 done or interrupted, 1 the store cannot be used, 2 bad usage
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name, err := os.Hostname()
	if err != nil {
		name = "here"
	}
	f := flag.NewFlagSet("cluster", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprintf(stderr, usage, name) }
	where := f.String("store", os.Getenv("CLUSTER_STORE"), "")
	h := &host{out: stdout}
	f.StringVar(&h.name, "host", name, "")
	atOnce := f.Int("at-once", 4, "")
	f.DurationVar(&h.every, "night", 24*time.Hour, "")
	f.BoolVar(&h.verbose, "v", false, "")
	merge := f.Bool("merge", false, "")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}

	if f.Arg(0) == "copy" && f.NArg() == 3 {
		return exit(ctx, stderr, copyStore(ctx, f.Arg(1), f.Arg(2), *merge, stderr))
	}
	var do func(context.Context) error
	switch n, err := strconv.Atoi(f.Arg(1)); {
	case *where == "" || *atOnce < 1 || h.every < time.Second:
	case f.Arg(0) == "add" && f.NArg() == 2 && err == nil && n > 0:
		do = func(ctx context.Context) error { return h.add(ctx, n) }
	case f.Arg(0) == "work" && f.NArg() == 1:
		do = func(ctx context.Context) error {
			defer h.progress(ctx, stderr)()
			h.work(ctx, *atOnce)
			return nil
		}
	case f.Arg(0) == "status" && f.NArg() == 1:
		do = h.status
	}
	if do == nil {
		f.Usage()
		return 2
	}

	st, err := open(ctx, *where)
	if err == nil {
		if err = h.open(ctx, st); err == nil {
			err = do(ctx)
		}
		err = errors.Join(err, st.Close())
	}
	return exit(ctx, stderr, err)
}

// exit returns the exit status.
func exit(ctx context.Context, stderr io.Writer, err error) int {
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "cluster:", err)
		return 1
	}
	return 0
}

// open opens a store: the one line in which several machines differ from one.
func open(ctx context.Context, where string) (*cache.Store, error) {
	if !strings.HasPrefix(where, "postgres://") {
		return cache.OpenStore(ctx, where, nil)
	}
	engine, err := postgres.Open(ctx, where, nil)
	if err != nil {
		return nil, err
	}
	return cache.NewStore(engine, nil), nil
}
