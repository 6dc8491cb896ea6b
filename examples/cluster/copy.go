package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-diskcache/diskcache/cache/dump"
)

// copyStore copies a store into another one, of whatever kinds they are. It knows
// nothing of what is in them.
func copyStore(ctx context.Context, from, to string, merge bool, stderr io.Writer) (err error) {
	source, err := open(ctx, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := open(ctx, to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	line := newLine(stderr)
	r, err := dump.Copy(ctx, source, target, &dump.Options{
		Merge:    merge,
		Progress: func(name string, r dump.Report) { line.show("%d entries, in %q now", r.Entries, name) },
	})
	line.end()
	switch {
	case errors.Is(err, dump.ErrExists):
		return fmt.Errorf("%w: give an empty store, or -merge", err)
	case err != nil && r.Entries > 0:
		fmt.Fprintf(stderr, "cluster: the copy is not whole; with -merge the next one goes on\n")
		return err
	case err == nil:
		fmt.Fprintf(stderr, "cluster: copied %d entries of %d collections\n", r.Entries, r.Collections)
	}
	return err
}
