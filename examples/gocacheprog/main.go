// Gocacheprog is a build cache for the go command that keeps to a size: a program
// for the environment variable GOCACHEPROG. Any number of go commands share its
// directory.
//
//	go install github.com/go-diskcache/diskcache/examples/gocacheprog@latest
//	GOCACHEPROG="gocacheprog -size 10GiB" go build ./...
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

const usage = `Gocacheprog is a build cache for the go command that keeps to a size.

usage: GOCACHEPROG="gocacheprog [flags]" go build ./...
       go env -w GOCACHEPROG="gocacheprog [flags]"
       gocacheprog [-dir DIR] -stats

  -dir DIR      keep the cache in DIR; without it, in %s
  -size SIZE    remove what was used the longest ago when the cache takes more
                than SIZE: a number and B, kB, MB, GB, TB (powers of 1000), KiB,
                MiB, GiB or TiB (powers of 1024); without it, %s
  -stats        print what the cache holds and how often it had what go commands
                asked for, and exit

The go command starts it and ends it. Any number of them may use one DIR at
once; it has the size that was given to the one that began last. A run's paths
to what it uses are hard links in DIR/runs: nothing that is removed from the
cache is missing in a build that uses it. They are gone at the end, but those of
go list, whose output names some, stay for an hour.

If the cache cannot be used or has no room, go commands build what they would
have found, and one line on standard error says why.

exit status: 0 done, 2 bad usage or a cache that cannot be shown,
             143 ended by SIGTERM
`

// Exit statuses.
const (
	exitOK         = 0
	exitFailed     = 2
	exitTerminated = 143
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	// A terminal sends these to the go command too. That may go on nevertheless, as
	// go run does, and else the end of it is the end of the input.
	var heard atomic.Bool
	terminal := make(chan os.Signal, 1)
	signal.Notify(terminal, os.Interrupt, syscall.SIGQUIT, syscall.SIGHUP)
	go func() {
		for range terminal {
			if !heard.Load() { // there is no go command
				stop()
			}
		}
	}()
	signal.Ignore(syscall.SIGPIPE) // to end in order when the go command is dead
	os.Exit(run(ctx, os.Args[1:], &noting{os.Stdin, &heard}, os.Stdout, os.Stderr))
}

// noting notes that something was read.
type noting struct {
	io.Reader
	heard *atomic.Bool
}

func (n *noting) Read(p []byte) (int, error) {
	read, err := n.Reader.Read(p)
	n.heard.Store(true)
	return read, err
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	dir := ""
	if user, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(user, "gocacheprog")
	}
	size := byteSize(10 << 30)
	flags := flag.NewFlagSet("gocacheprog", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprintf(stderr, usage, dir, size) }
	flags.StringVar(&dir, "dir", dir, "")
	flags.Var(&size, "size", "")
	stats := flags.Bool("stats", false, "")
	fail := func(err error) int {
		fmt.Fprintln(stderr, "gocacheprog:", err)
		return exitFailed
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitFailed
	case flags.NArg() > 0:
		return fail(fmt.Errorf("argument %q is none of the flags; -h tells them", flags.Arg(0)))
	case dir == "":
		return fail(errors.New("this user has no directory for caches; give -dir"))
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fail(err)
	}
	if *stats {
		if err := printStats(ctx, stdout, dir); err != nil {
			return fail(err)
		}
		return exitOK
	}

	say := &complaints{w: stderr}
	b := newBuilds(dir, int64(size), say)
	s := &server{in: stdin, out: stdout, builds: b}
	switch err := s.serve(ctx); {
	case errors.Is(err, context.Canceled):
		return exitTerminated
	case err != nil:
		return fail(err)
	}
	return exitOK
}
