// Crawler visits every page of a site that can be reached from its first one,
// and remembers in a directory what it has seen and what is still to do. It
// can be stopped, or killed, at any moment: started again it goes on where it
// was. Started several times at once, the processes share the work.
//
//	crawler                        # serve and crawl the documentation in GOROOT
//	crawler ~/site                 # serve and crawl a folder of HTML
//	crawler https://example.com/   # crawl a site: be sure that you may
//
// A folder is served on a free port of the loopback interface for as long as
// the crawler runs. Neither links nor redirections to other hosts are followed.
// Crawler does not read robots.txt. It exits with status 1 if it could fetch no
// page at all.
//
// How it works: a [deque.Deque] holds the paths to visit, an [index.Index] what
// is known of each page. A worker claims a path, fetches it, and then, in one
// transaction, stores the page, queues the links that nobody has seen yet, and
// acknowledges the claim. A worker that dies before that has changed nothing,
// and its claim comes back as soon as its process is gone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "stopped; start again to go on")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "crawler:", err)
		os.Exit(1)
	}
}

const usage = `Crawler visits all pages of a site, or of a folder of HTML files, and remembers them. Any
number of copies may crawl one site together, and what is stopped or killed goes on when it
is started again. Without an argument it is the
documentation that comes with Go.

usage: crawler [flags] [folder or URL]

exit status: 0 done, 1 it failed or no page could be fetched, 2 bad usage,
             130 stopped with Ctrl-C

`

// errUsage means that the usage was shown since the arguments make no sense.
var errUsage = errors.New("bad usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("crawler", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	var (
		dir     = flags.String("dir", defaultDir(), "`directory` to remember in; one for each site")
		workers = flags.Int("workers", 4, "how many pages to fetch at once")
		pause   = flags.Duration("pause", -1, "how long each worker rests between two pages (default 0, or 1s for a URL)")
		asJSON  = flags.Bool("json", false, "write a JSON object for each page and one for the sum")
	)
	if err := flags.Parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			err = errUsage // it has been said
		}
		return err
	}
	if flags.NArg() > 1 || *workers < 1 {
		flags.Usage()
		return errUsage
	}
	if *dir == "" {
		return errors.New("this user has no folder for caches; choose a directory with -dir")
	}
	site, err := siteOf(flags.Arg(0))
	if err != nil {
		return err
	}
	defer site.close()
	if *pause < 0 {
		*pause = site.pause
	}
	c, err := openCrawler(ctx, *dir, site)
	if err != nil {
		return err
	}
	c.pause = *pause
	report := &reporter{stdout: stdout, stderr: stderr, json: *asJSON, terminal: isTerminal(stderr)}
	err = c.crawl(ctx, *workers, report)
	sum, serr := c.sum(context.WithoutCancel(ctx))
	if err = errors.Join(err, serr); err == nil || ctx.Err() != nil {
		report.sum(sum)
	}
	if err == nil && sum.Failed == sum.Done {
		err = fmt.Errorf("no page of %s could be fetched (%w); remove %s to begin anew", sum.Site, c.failure(ctx), *dir)
	}
	return errors.Join(err, c.close())
}

// defaultDir returns a directory that is this user's own, or "". In one that
// all users share, such as that for temporary files, another user could have
// made it first.
func defaultDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "diskcache-crawler")
}

// reporter tells the user what happens.
type reporter struct {
	stdout, stderr io.Writer
	json           bool
	terminal       bool // stderr is one: there is a progress line
	began          bool
}

// page tells of a page that this process has visited.
func (r *reporter) page(p page) {
	if r.json {
		r.encode(p)
	}
}

// progress writes the progress line.
func (r *reporter) progress(s sum) {
	if !r.terminal {
		return
	}
	r.began = true
	fmt.Fprintf(r.stderr, "\r%d of %d pages, %d failed, %d KiB ", s.Done, s.Known, s.Failed, s.Bytes>>10)
}

func (r *reporter) sum(s sum) {
	if r.began {
		fmt.Fprintln(r.stderr)
	}
	if r.json {
		r.encode(s)
		return
	}
	fmt.Fprintf(r.stdout, "%d of %d pages visited, %d failed, %d bytes\n", s.Done, s.Known, s.Failed, s.Bytes)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (r *reporter) encode(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err) // the types are our own
	}
	fmt.Fprintf(r.stdout, "%s\n", line)
}
