package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cellsUntil returns cells that measure, but for one that ends ctx as Ctrl-C does.
func cellsUntil(interrupted int, cancel func()) []cell {
	var cells []cell
	for i := range 4 {
		w := &workload{name: "published", run: func(*bench, *engine) ([]result, error) {
			r := exampleReport().Results[:1]
			if i == interrupted {
				cancel()
				return nil, context.Canceled
			}
			return r, nil
		}}
		cells = append(cells, cell{w, &engine{name: "a"}})
	}
	return cells
}

func TestInterrupt(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp) // of Windows
	for interrupted, want := range []string{"there is no report", "1 of 4", "2 of 4", "3 of 4", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		r := exampleReport()
		r.Results = nil
		b := &bench{ctx: ctx, settings: &settings{out: filepath.Join(tmp, "out", want)}}
		var stdout, stderr strings.Builder
		err := b.run(r, cellsUntil(interrupted, cancel), &stdout, &stderr)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Fatalf("%d: error %v, want %q", interrupted, err, want)
		}
		if len(r.Results) != interrupted {
			t.Errorf("%d: %d results", interrupted, len(r.Results))
		}
		text, err := os.ReadFile(filepath.Join(b.settings.out, "README.md"))
		if interrupted == 0 {
			if !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a report of nothing: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), "interrupted: "+want+" measurements were done"); got != (want != "") {
			t.Errorf("%d: says that it was interrupted: %v", interrupted, got)
		}
	}
}

// Without -o no report is written over.
func TestDefaultDirectory(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp) // of Windows
	t.Chdir(t.TempDir())
	s, err := parse(nil, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		var stdout, stderr strings.Builder
		if err := (&bench{ctx: t.Context(), settings: s}).run(exampleReport(), cellsUntil(-1, nil), &stdout, &stderr); err != nil {
			t.Fatal(err)
		}
		reports, err := filepath.Glob(filepath.Join(tmp, "*", "results.json"))
		if err != nil || len(reports) != n {
			t.Errorf("reports %q after %d runs, error %v", reports, n, err)
		}
		if !strings.Contains(stderr.String(), filepath.Dir(reports[len(reports)-1])) && !strings.Contains(stderr.String(), filepath.Dir(reports[0])) {
			t.Errorf("no report is named: %s", stderr.String())
		}
	}
	if here, err := os.ReadDir("."); err != nil || len(here) > 0 {
		t.Errorf("in the current directory: %v, error %v", here, err)
	}
}

func TestStatus(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for args, want := range map[string]struct {
		status int
		text   string
	}{
		"-h":                              {0, "usage: benchmarks [flags]"},
		"-x":                              {2, "benchmarks: flag provided but not defined: -x"},
		"more":                            {2, `unexpected argument "more"`},
		"-run (":                          {2, "error parsing regexp"},
		"-run nothing":                    {130, "no workload and engine"},
		"-quick -engine ^otter$ -run lru": {130, "benchmarks: interrupted; 0 of 1 measurements were done: there is no report"},
	} {
		var stdout, stderr strings.Builder
		if status := start(ctx, strings.Fields(args), &stdout, &stderr); status != want.status || !strings.Contains(stderr.String(), want.text) {
			t.Errorf("%s: exit status %d: %s", args, status, stderr.String())
		}
	}
}
