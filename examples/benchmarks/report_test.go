package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The summary has one figure of each case, and columns for those that were measured.
func TestSummary(t *testing.T) {
	r := exampleReport()
	for i := range r.Results {
		r.Results[i].Engine = map[string]string{"a": "diskcache", "c": "badger"}[r.Results[i].Engine]
	}
	lock := summary{Count: 1, P50: 158_000}
	r.Results = append(r.Results, result{Workload: "lock", Case: "P=2", Engine: "python-lock", Latencies: map[string]summary{"hand-over": lock}})
	r.Workloads = append(r.Workloads, workloadLine{"lock", "A lock", "What it is."})
	const want = `
| | | diskcache | Python's DiskCache | badger |
|---|---|---:|---:|---:|
| Published, P=1 | operations/s | 1,234,567 |  |  |
| Published, P=8 | operations/s | 1,234,567 |  | - |
| LRU, reads | operations/s | 1,234,567 |  |  |
| Growth, rows=10000 | get, median µs | 0.90 |  |  |
| A lock, P=2 | hand-over, median µs |  | 158 |  |

`
	if got := r.markdown(nil); !strings.Contains(got, want) {
		t.Errorf("%s\nhas no\n%s", got, want)
	}
}

// -from writes the same report again.
func TestFrom(t *testing.T) {
	dir := t.TempDir()
	first, again := filepath.Join(dir, "first"), filepath.Join(dir, "again")
	if err := exampleReport().write(first); err != nil {
		t.Fatal(err)
	}
	args := []string{"-from", filepath.Join(first, "results.json"), "-o", again}
	if status := start(t.Context(), args, io.Discard, io.Discard); status != exitOK {
		t.Fatalf("exit status %d", status)
	}
	files, err := os.ReadDir(first)
	if err != nil || len(files) != 6 {
		t.Errorf("%d files, error %v", len(files), err)
	}
	for _, f := range files {
		want, _ := os.ReadFile(filepath.Join(first, f.Name()))
		if got, err := os.ReadFile(filepath.Join(again, f.Name())); !bytes.Equal(got, want) {
			t.Errorf("%s differs, error %v", f.Name(), err)
		}
	}
}

func exampleReport() *report {
	fast := summary{Count: 10, P50: 900, P90: 1500, P99: 45_600, Max: 1_234_567}
	row := func(workload, name, engine string) result {
		return result{
			Workload: workload, Case: name, Engine: engine, Operations: 10, PerSecond: 1234567,
			Latencies: map[string]summary{"get": fast, "set": fast}, Hits: 0.5, Resident: 30 << 20, Base: 20 << 20,
		}
	}
	return &report{
		Machine: machine{Date: "2026-01-02", CPU: "a processor", Cores: 2, System: "linux/amd64", Go: "go1.26", Versions: map[string]string{"x": "1"}},
		Engines: []engineLine{{"a", "engine a", "all", ""}, {"b", "engine b", "none", "it is not here"}},
		Workloads: []workloadLine{
			{"published", "Published", "What it is."}, {"lru", "LRU", "What it is."}, {"growth", "Growth", "What it is."},
		},
		Results: []result{
			row("published", "P=1", "a"),
			row("published", "P=8", "a"),
			{Workload: "published", Case: "P=8", Engine: "c", Note: "only one process"},
			row("lru", "reads", "a"),
			row("growth", "rows=1000", "a"),
			row("growth", "rows=10000", "a"),
		},
	}
}

func TestReport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	r := exampleReport()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| processor | a processor, 2 cores |",
		"| a | engine a | all |",
		"Left out: b (engine b): it is not here",
		"### P=8\n\n| engine | operations/s | get | set | memory, MiB | disk, MiB |\n|---|---:|---:|---:|---:|---:|\n",
		"| a | 1,234,567 | 0.90 / 1.50 / 45.6 / 1235 | 0.90 / 1.50 / 45.6 / 1235 | 30 (20) | - |",
		"| c | only one process |",
		"| 50.0 % |",
		"| engine | rows=1000 | rows=10000 |",
		"](published-P-1.svg)",
		"](growth.svg)",
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("README.md has no %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}

	for _, name := range []string{"published-P-1.svg", "published-P-8.svg", "lru-reads.svg", "growth.svg"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		defer f.Close()
		d := xml.NewDecoder(f)
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}

	data, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Results) != len(r.Results) || back.Results[0].Latencies["get"] != r.Results[0].Latencies["get"] {
		t.Error("the JSON has other results")
	}
}

// What engines say of themselves goes into cells of tables.
func TestEngines(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range engines(&settings{}) {
		if seen[e.name] {
			t.Errorf("two engines are called %s", e.name)
		}
		seen[e.name] = true
		if e.about == "" || e.durability == "" || strings.ContainsAny(e.about+e.durability+e.missing, "|\n") {
			t.Errorf("%s: %q, %q, %q", e.name, e.about, e.durability, e.missing)
		}
		if e.missing == "" && e.open == nil && e.command == nil {
			t.Errorf("%s cannot be opened", e.name)
		}
		for _, name := range e.does {
			known := false
			for _, w := range workloads() {
				known = known || w.name == name
			}
			if !known {
				t.Errorf("%s does %q, which is no workload", e.name, name)
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%v) is %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{57: "0.06", 9_990: "9.99", 12_345: "12.3", 1_234_567: "1235"} {
		if got := microseconds(n); got != want {
			t.Errorf("microseconds(%v) is %s, want %s", n, got, want)
		}
	}
	if got := fileName("lru", "pressure, default policy"); got != "lru-pressure-default-policy.svg" {
		t.Error(got)
	}
}
