// Adapters shows package adapter with the libraries that it is for, each in a file of
// its own, and [cache.Store.Metrics] as metrics of Prometheus and OpenTelemetry.
//
//	go run . [NAME...]
//
// runs the programs of those names, or all. Each takes a collection, or a store, in a new
// directory, and fails if the library does not do with it what it should.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-diskcache/diskcache/cache"
)

type program struct {
	name string
	run  func(ctx context.Context, st *cache.Store) (string, error)
}

var programs = []program{
	{"scs", sessions},
	{"autocert", certificates},
	{"httpcache", responses},
	{"conn", conn},
	{"fiber", limiter},
	{"httprate", rate},
	{"prometheus", prometheusMetrics},
	{"otel", otelMetrics},
}

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "adapters:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(programs, func(p program) bool { return p.name == name }) {
			return fmt.Errorf("there is no program called %s", name)
		}
	}
	for _, p := range programs {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		said, err := inDir(ctx, p.run)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(w, "%s: %s\n", p.name, said)
	}
	return nil
}

// inDir runs a program with a store in a new directory.
func inDir(ctx context.Context, fn func(context.Context, *cache.Store) (string, error)) (string, error) {
	dir, err := os.MkdirTemp("", "adapters-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	st, err := cache.OpenStore(ctx, dir, nil)
	if err != nil {
		return "", err
	}
	defer st.Close()
	return fn(ctx, st)
}
