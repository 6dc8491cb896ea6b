package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report is all that was found. It is written as JSON as it is.
type report struct {
	Machine   machine        `json:"machine"`
	Engines   []engineLine   `json:"engines"`
	Workloads []workloadLine `json:"workloads"`
	Results   []result       `json:"results"`
	Failures  []string       `json:"failures,omitempty"`
}

type engineLine struct {
	Name       string `json:"name"`
	About      string `json:"about"`
	Durability string `json:"durability"`
	Missing    string `json:"missing,omitempty"`
}

type workloadLine struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	About string `json:"about"`
}

// operations in the order of the report's columns.
var operations = []string{"get", "set", "delete", "insert", "push", "pop", "wake", "lock", "unlock", "hand-over"}

// readReport reads what write has written as results.json.
func readReport(file string) (*report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// write writes the report to a directory: README.md, results.json and plots.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	plots, err := r.plot(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(r.markdown(plots)), 0o644)
}

// markdown returns the report as Markdown. plots are the names of the files of
// plots, by workload and case.
func (r *report) markdown(plots map[[2]string]string) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Benchmarks\n")
	p("Written by `go run .` in examples/benchmarks. All figures are in [results.json](results.json) too.\n")
	for _, f := range r.Failures {
		p("**%s**\n", f)
	}
	r.summaryTable(p)
	r.machineTable(p)
	r.engineTable(p)
	p("Times are in microseconds: median / 90th percentile / 99th percentile / maximum of single calls.")
	p("Memory is the resident memory of all processes at the end, a server's included; in parentheses, what of it")
	p("processes have that have opened nothing. Disk is what the files take after the processes have closed them.")
	for _, w := range r.Workloads {
		p("\n## %s\n\n%s", w.Title, w.About)
		if w.Name == "growth" {
			r.growthTables(p)
			if plot := plots[[2]string{w.Name, ""}]; plot != "" {
				p("\n![Latencies of a growing store](%s)", plot)
			}
			continue
		}
		for _, c := range r.cases(w.Name) {
			p("\n### %s", c)
			r.caseTable(p, w.Name, c)
			if plot := plots[[2]string{w.Name, c}]; plot != "" {
				p("\n![Latencies of %s, %s](%s)", w.Name, c, plot)
			}
		}
	}
	return b.String()
}

// summarized are the engines of the summary, by columns.
var summarized = []struct {
	title   string
	engines []string // the first that has a figure
}{
	{"diskcache", []string{"diskcache"}},
	{"Python's DiskCache", []string{"python-cache", "python-deque", "python-lock"}},
	{"redis-unix", []string{"redis-unix"}},
	{"memcached", []string{"memcached"}},
	{"bbolt-nosync", []string{"bbolt-nosync"}},
	{"badger", []string{"badger"}},
	{"pebble-nosync", []string{"pebble-nosync"}},
	{"lmdb-nosync", []string{"lmdb-nosync"}},
}

// timed are the cases whose figure in the summary is a median. That of others is
// operations/s.
func timed(workload, name string) (op string, ok bool) {
	switch {
	case workload == "growth":
		return "get", true
	case workload == "lock":
		return "hand-over", true
	case workload == "queue" && name == "wake":
		return "wake", true
	}
	return "", false
}

// summaryTable has a row for each case, with the figure that says most, for the
// engines that are compared most often.
func (r *report) summaryTable(p func(string, ...any)) {
	var columns []int
	for i, c := range summarized {
		if slices.ContainsFunc(r.Results, func(x result) bool { return slices.Contains(c.engines, x.Engine) }) {
			columns = append(columns, i)
		}
	}
	if len(columns) == 0 {
		return
	}
	header, rule := "| | |", "|---|---|"
	for _, i := range columns {
		header, rule = header+" "+summarized[i].title+" |", rule+"---:|"
	}
	p("## Summary\n\nWhat a write survives differs: see the engines below. An empty cell was not measured; at - a note below says why there is no figure.\n\n%s\n%s", header, rule)
	for _, w := range r.Workloads {
		cases := r.cases(w.Name)
		if w.Name == "growth" {
			cases = cases[max(0, len(cases)-1):]
		}
		for _, c := range cases {
			figure := "operations/s"
			op, isTime := timed(w.Name, c)
			if isTime {
				figure = op + ", median µs"
			}
			line := fmt.Sprintf("| %s, %s | %s |", w.Title, c, figure)
			rows := r.rows(w.Name, c)
			for _, i := range columns {
				line += " " + summaryCell(rows, summarized[i].engines, op) + " |"
			}
			p("%s", line)
		}
	}
	p("")
}

// summaryCell returns the median of an operation, or operations/s if op is "".
func summaryCell(rows []result, engines []string, op string) string {
	for _, x := range rows {
		switch {
		case !slices.Contains(engines, x.Engine):
		case x.Note != "":
			return "-"
		case op == "":
			return thousands(x.PerSecond)
		case x.Latencies[op].Count > 0:
			return microseconds(x.Latencies[op].P50)
		}
	}
	return ""
}

func (r *report) machineTable(p func(string, ...any)) {
	m := r.Machine
	p("## What was measured\n\n| | |\n|---|---|")
	p("| date | %s, took %s, %s each |", m.Date, m.Took, m.Phase)
	p("| processor | %s, %d cores |", m.CPU, m.Cores)
	if m.Memory > 0 {
		p("| memory | %.0f GiB |", float64(m.Memory)/(1<<30))
	}
	p("| system | %s |", m.System)
	if m.FileSystem != "" {
		p("| file system | %s |", m.FileSystem)
	}
	p("| Go | %s |", m.Go)
	p("| reading the clock twice | %d ns, contained in every latency of Go |", m.Clock)
	var names []string
	for name := range m.Versions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p("| %s | %s |", name, m.Versions[name])
	}
	p("")
}

func (r *report) engineTable(p func(string, ...any)) {
	p("| engine | what it is | what a write that has returned survives |\n|---|---|---|")
	var missing []engineLine
	for _, e := range r.Engines {
		if e.Missing != "" {
			missing = append(missing, e)
			continue
		}
		p("| %s | %s | %s |", e.Name, e.About, e.Durability)
	}
	p("")
	for _, e := range missing {
		p("- Left out: %s (%s): %s", e.Name, e.About, e.Missing)
	}
	if len(missing) > 0 {
		p("")
	}
}

// cases returns the cases of a workload in the order in which they came up.
func (r *report) cases(workload string) []string {
	var out []string
	for _, x := range r.Results {
		if x.Workload == workload && !slices.Contains(out, x.Case) {
			out = append(out, x.Case)
		}
	}
	return out
}

// rows returns the results of a case.
func (r *report) rows(workload, name string) []result {
	var out []result
	for _, x := range r.Results {
		if x.Workload == workload && x.Case == name {
			out = append(out, x)
		}
	}
	return out
}

// measured returns those operations that any of the results has.
func measured(rows []result) []string {
	return slices.DeleteFunc(slices.Clone(operations), func(op string) bool {
		return !slices.ContainsFunc(rows, func(x result) bool { return x.Latencies[op].Count > 0 })
	})
}

func (r *report) caseTable(p func(string, ...any), workload, name string) {
	rows := r.rows(workload, name)
	ops := measured(rows)
	hits := workload == "lru"
	header, rule := "| engine | operations/s |", "|---|---:|"
	for _, op := range ops {
		header += " " + op + " |"
		rule += "---:|"
	}
	if hits {
		header, rule = header+" hits |", rule+"---:|"
	}
	p("\n%s memory, MiB | disk, MiB |\n%s---:|---:|", header, rule)
	for _, x := range rows {
		if x.Note != "" {
			rest := strings.Repeat(" |", strings.Count(rule, "|")-1) // empty cells
			p("| %s | %s |%s", x.Engine, x.Note, rest)
			continue
		}
		line := fmt.Sprintf("| %s | %s |", x.Engine, thousands(x.PerSecond))
		for _, op := range ops {
			line += " " + percentiles(x.Latencies[op]) + " |"
		}
		if hits {
			line += fmt.Sprintf(" %.1f %% |", 100*x.Hits)
		}
		p("%s %s | %s |", line, memory(x), mebibytes(x.Disk))
	}
}

// growthTables have a table for each operation, with a column for each number
// of rows.
func (r *report) growthTables(p func(string, ...any)) {
	cases := r.cases("growth")
	var engines []string
	var all []result
	for _, x := range r.Results {
		if x.Workload == "growth" {
			all = append(all, x)
			if !slices.Contains(engines, x.Engine) {
				engines = append(engines, x.Engine)
			}
		}
	}
	table := func(title string, cell func(x result) string) {
		p("\n%s:\n", title)
		p("| engine | %s |", strings.Join(cases, " | "))
		p("|---|%s", strings.Repeat("---:|", len(cases)))
		for _, e := range engines {
			line := "| " + e + " |"
			for _, c := range cases {
				text := ""
				for _, x := range all {
					if x.Engine == e && x.Case == c {
						text = cell(x)
					}
				}
				line += " " + text + " |"
			}
			p("%s", line)
		}
	}
	for _, op := range measured(all) {
		table(op, func(x result) string { return percentiles(x.Latencies[op]) })
	}
	table("memory, MiB", memory)
	table("disk, MiB", func(x result) string { return mebibytes(x.Disk) })
}

func percentiles(s summary) string {
	if s.Count == 0 {
		return ""
	}
	return microseconds(s.P50) + " / " + microseconds(s.P90) + " / " + microseconds(s.P99) + " / " + microseconds(s.Max)
}

// microseconds returns a time with three digits or so.
func microseconds(ns int64) string {
	us := float64(ns) / 1000
	switch {
	case us < 10:
		return fmt.Sprintf("%.2f", us)
	case us < 100:
		return fmt.Sprintf("%.1f", us)
	default:
		return fmt.Sprintf("%.0f", us)
	}
}

func thousands(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func mebibytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(n)/(1<<20))
}

func memory(x result) string {
	if x.Resident == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f (%.0f)", float64(x.Resident)/(1<<20), float64(x.Base)/(1<<20))
}
