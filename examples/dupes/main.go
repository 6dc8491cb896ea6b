// Dupes finds files with the same content. It keeps the hash of each file that
// it reads in a store under the user's cache directory, so that the next run
// reads only what has changed. Any number of copies may run at once and share
// their hashes.
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
)

const usage = `Dupes finds files with the same content.

usage: dupes [flags] DIR...

  -json         print one JSON object a line for each group of duplicates:
                {"size":..., "sha256":"...", "reclaimable":..., "files":[...]};
                where a name is not UTF-8, also "files_base64":[...]
  -stats        print at the end how many hashes were found in the store (hits),
                how many files were read (misses), and what the store takes on
                disk; with -json as a last line, {"stats":{...}}
  -store DIR    keep the hashes in DIR; without it, in %s

A file is known by its path, size and modification time: a second run reads
only files that are new or changed. The hash of a file that was modified within
the last three seconds is not kept, since it could change again and look the
same. Several copies of dupes may run at once, on the same or on different
directories, and share the store; a file of 1 MiB or more is read by one of them
only. Ctrl-C loses nothing that is done.

Only files that share their size with another are read. Empty files are counted
and not listed. Symbolic links are not followed, except for DIR itself. Hard
links to one file are one file. Files that cannot be read, or change while they
are read, are reported and left out.

exit status: 0 done, 1 done except for files that were left out,
             2 bad usage, a DIR that is not there or a store that cannot be
             used, 130 interrupted
`

// Exit statuses.
const (
	exitOK          = 0
	exitIncomplete  = 1
	exitFailed      = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	store := ""
	dir, noCacheDir := os.UserCacheDir()
	if noCacheDir == nil {
		store = filepath.Join(dir, "dupes")
	}
	flags := flag.NewFlagSet("dupes", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		where := printable(store)
		if where == "" {
			where = "a directory that has to be given here, since there is no $HOME"
		}
		fmt.Fprintf(stderr, usage, where)
	}
	asJSON := flags.Bool("json", false, "")
	withStats := flags.Bool("stats", false, "")
	flags.StringVar(&store, "store", store, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitFailed
	case flags.NArg() == 0:
		flags.Usage()
		return exitFailed
	case store == "":
		fmt.Fprintf(stderr, "dupes: there is no place for the hashes (%v): give a directory with -store\n", noCacheDir)
		return exitFailed
	}
	fail := func(err error) int {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "dupes: interrupted; the hashes so far are kept")
			return exitInterrupted
		}
		fmt.Fprintln(stderr, "dupes:", message(err))
		return exitFailed
	}

	h, err := openHashes(ctx, store)
	if err != nil {
		return fail(err)
	}
	defer h.Close()
	s := search{hashes: h, progress: newProgress(stderr)}
	groups, err := s.run(ctx, flags.Args())
	if err != nil {
		return fail(err)
	}

	st := stats{search: s.counts()}
	if *withStats {
		if st.store, err = h.volume(ctx); err != nil {
			return fail(err)
		}
	}
	if *asJSON {
		err = printJSON(stdout, groups, st, *withStats)
	} else {
		err = printText(stdout, groups, st, *withStats)
	}
	if err == nil {
		err = h.Close()
	}
	switch {
	case err != nil:
		return fail(err)
	case st.search.LeftOut > 0:
		return exitIncomplete
	}
	return exitOK
}
