// Diskcache looks into a store, while programs use it, and can change, copy and mend
// it: a command for the directories of package cache and of Python's DiskCache.
//
//	go install github.com/go-diskcache/diskcache/examples/diskcache@latest
//	diskcache info /var/lib/app/store
//	diskcache serve /var/lib/app/store
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Diskcache looks into a store while programs use it.

usage: diskcache COMMAND [flags] DIR [arguments]

To look, which changes nothing in DIR:
  info DIR              what is in the store and what it takes
  ls DIR                its collections
  keys DIR              the entries of a collection, without their values
  get DIR KEY           a value, as it is stored
  tags DIR              the tags of a collection, and how many entries have each
  stats DIR             hits and misses, of collections that count them
  top DIR               the largest entries of a collection
  check DIR             look for damage
  watch DIR             a line when the number of entries of a collection changes, by
                        any process, until Ctrl-C; with -c, when that collection
                        may have changed
  queue ls DIR          queues: ready, claimed and delayed items
  queue claims DIR NAME who has claimed items of a queue, alive or dead
  locks ls DIR          locks and semaphores: who holds them, and who waits
  export DIR            all of it as lines of JSON, on standard output
  serve DIR             a web page that shows all this, at http://localhost:8080/

To change:
  set DIR KEY VALUE     store a value; with - as VALUE, standard input
  rm DIR KEY...         remove entries
  check -mend DIR       look for damage and repair it
  compact DIR           give unused space back to the file system
  backup DIR TO         write a copy to the directory TO, which must be empty or new
  import DIR            what export wrote, from standard input; makes DIR if it does
                        not exist
  queue requeue DIR NAME ID...
                        end claims: the items are at the front again
  locks break DIR NAME  take a lock from its holder

Flags, before or behind the arguments:
  -c NAME       the collection, as ls names it; without it, the default one, which
                is Python's Cache. For export and import: only this collection
                (and what belongs to it), else all
  -json         print JSON: an object a line
  -prefix TEXT  only keys (ls, queue, locks: names) that begin with TEXT
  -limit N      at most N lines (keys, top: 100 unless you say otherwise; 0: all)
  -ttl D        set: the entry expires after D, such as 90s or 24h
  -tag TEXT     set: the tag of the entry
  -merge        import: into collections that have entries; equal keys are
                replaced. Without it such a collection is refused
  -addr A       serve: listen on A; without it, on localhost:8080
  -values       serve: show values, too
  -hide-keys    serve: hide keys and tags
  -write        serve: let the reader of the page remove entries, end claims and
                break locks

A KEY is text. In a collection whose keys are integers it is a number; int:7,
real:1.5, hex:00ff and text:int:7 are keys of that kind in any collection.

Any number of programs may use DIR meanwhile. A directory that Python's DiskCache
has made, or FanoutCache, is looked at and left as it is. What Python has pickled is
counted and not decoded: a pickle can run any code. An export holds what was there
throughout, and leaves out locks, which belong to processes. An import that was
interrupted has imported what it said: -merge does the rest.

exit status: 0 done,
             1 done, but: no such key, claim or lock; damage was found; entries
               were left out of an export,
             2 bad usage, or a store that cannot be used,
             130 interrupted
`

// Exit statuses.
const (
	exitOK          = 0
	exitIncomplete  = 1
	exitFailed      = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errIncomplete is an outcome with the exit status 1; all that is to be said of it was
// said.
var errIncomplete = errors.New("incomplete")

// misuse is an error in the arguments.
type misuse string

func (m misuse) Error() string { return string(m) + "; -h tells how" }

// tool is one call of the command.
type tool struct {
	flags
	args   []string // behind DIR
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

type flags struct {
	collection, prefix, tag, addr          string
	json, mend, merge, values, hide, write bool
	limit                                  int
	ttl                                    string
	given                                  map[string]bool
}

// command is what can be asked for.
type command struct {
	run       func(ctx context.Context, t *tool, s *store) error
	write     bool
	create    bool // DIR need not exist
	min, max  int  // arguments behind DIR; max -1: any number
	arguments string
}

var commands = map[string]command{
	"info":          {run: info},
	"ls":            {run: ls},
	"keys":          {run: keys},
	"get":           {run: get, min: 1, max: 1, arguments: "KEY"},
	"tags":          {run: tags},
	"stats":         {run: stats},
	"top":           {run: top},
	"check":         {run: check},
	"watch":         {run: watch},
	"export":        {run: export},
	"serve":         {run: serve},
	"queue ls":      {run: queueList},
	"queue claims":  {run: queueClaims, min: 1, max: 1, arguments: "NAME"},
	"queue requeue": {run: queueRequeue, write: true, min: 2, max: -1, arguments: "NAME ID..."},
	"locks ls":      {run: locksList},
	"locks break":   {run: locksBreak, write: true, min: 1, max: 1, arguments: "NAME"},
	"set":           {run: set, write: true, min: 2, max: 2, arguments: "KEY VALUE"},
	"rm":            {run: rm, write: true, min: 1, max: -1, arguments: "KEY..."},
	"compact":       {run: compact, write: true},
	"backup":        {run: backup, min: 1, max: 1, arguments: "TO"},
	"import":        {run: importAll, write: true, create: true},
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := &tool{stdin: stdin, stdout: stdout, stderr: stderr}
	err := t.run(ctx, args)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case errors.Is(err, errIncomplete):
		return exitIncomplete
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "diskcache: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(stderr, "diskcache:", explain(err))
	return exitFailed
}

func (t *tool) run(ctx context.Context, args []string) error {
	words, err := t.parse(args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		fmt.Fprint(t.stderr, usage)
		return misuse("no command")
	}
	name, words := words[0], words[1:]
	if (name == "queue" || name == "locks") && len(words) > 0 {
		name, words = name+" "+words[0], words[1:]
	}
	c, ok := commands[name]
	switch {
	case !ok:
		return misuse(fmt.Sprintf("no command %q", name))
	case len(words) == 0:
		return misuse(name + " needs a DIR")
	case len(words)-1 < c.min:
		return misuse(name + " needs DIR " + c.arguments)
	case c.max >= 0 && len(words)-1 > c.max:
		return misuse(fmt.Sprintf("%s takes no argument %q", name, words[1+c.max]))
	}
	t.args = words[1:]
	write := c.write || name == "check" && t.mend || name == "serve" && t.write
	s, err := open(ctx, words[0], write, c.create)
	if err != nil {
		return err
	}
	return errors.Join(c.run(ctx, t, s), s.Close())
}

// parse reads flags, which may stand anywhere, and returns all else.
func (t *tool) parse(args []string) (words []string, err error) {
	f := flag.NewFlagSet("diskcache", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&t.collection, "c", "", "")
	f.StringVar(&t.prefix, "prefix", "", "")
	f.StringVar(&t.tag, "tag", "", "")
	f.StringVar(&t.addr, "addr", "localhost:8080", "")
	f.StringVar(&t.ttl, "ttl", "", "")
	f.BoolVar(&t.json, "json", false, "")
	f.BoolVar(&t.mend, "mend", false, "")
	f.BoolVar(&t.merge, "merge", false, "")
	f.BoolVar(&t.values, "values", false, "")
	f.BoolVar(&t.hide, "hide-keys", false, "")
	f.BoolVar(&t.write, "write", false, "")
	f.IntVar(&t.limit, "limit", -1, "")
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		if err != nil {
			return nil, misuse(err.Error())
		}
		taken := len(args) - f.NArg()
		if taken > 0 && args[taken-1] == "--" {
			words = append(words, f.Args()...)
			break
		}
		if f.NArg() == 0 {
			break
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
	t.given = map[string]bool{}
	f.Visit(func(f *flag.Flag) { t.given[f.Name] = true })
	return words, nil
}
