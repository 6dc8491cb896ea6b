// Testlog reads the events of go test -json from standard input and prints
// what a person wants to see of them: the closing line of each package, what
// failed tests printed, the slowest tests, and the tests that were skipped. It
// fails if a test failed, if none ran, or if one was skipped that is not listed.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"
)

const module = "github.com/go-diskcache/diskcache/"

// maxLines is how much of a failed test's output is printed.
const maxLines = 150

// event is one line of go test -json: see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

type test struct{ pkg, name string }

func (t test) String() string {
	return strings.TrimPrefix(t.pkg, module) + " " + t.name
}

type result struct {
	test
	seconds float64
	output  []string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("testlog: ")
	logName := flag.String("log", os.DevNull, "write all output to this `file`")
	skipsName := flag.String("skips", "", "`file` that lists the tests that may be skipped")
	flag.Parse()
	allowed, err := readSkips(*skipsName)
	if err != nil {
		log.Fatal(err)
	}
	file, err := os.Create(*logName)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()

	var r report
	if err := r.read(os.Stdin, file); err != nil {
		log.Fatal(err)
	}
	if !r.summarize(allowed) {
		log.Fatalf("not passed")
	}
}

// report is what has been read.
type report struct {
	running map[test][]string // output of tests that have not ended
	passed  []result
	failed  []result
	skipped []result
	broken  []string // packages that failed
}

func (r *report) read(in io.Reader, full io.Writer) error {
	r.running = map[test][]string{}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
				e = event{Action: "output", Output: line} // not of the test's
			}
			if _, err := io.WriteString(full, e.Output); err != nil {
				return err
			}
			r.add(e)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) add(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "output", "build-output":
		switch {
		case e.Test != "":
			r.running[t] = append(r.running[t], e.Output)
		case e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "=== "):
			fmt.Print(e.Output)
		}
	case "run":
		r.running[t] = nil
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
			return
		}
		res := result{t, e.Elapsed, r.running[t]}
		delete(r.running, t)
		switch e.Action {
		case "pass":
			res.output = nil
			r.passed = append(r.passed, res)
		case "fail":
			r.failed = append(r.failed, res)
			res.print("failed")
		case "skip":
			r.skipped = append(r.skipped, res)
		}
	}
}

// endPackage shows what went on in a package that has failed while tests were
// running, as after a panic.
func (r *report) endPackage(e event) {
	if e.Action != "fail" {
		return
	}
	r.broken = append(r.broken, e.Package)
	for t, output := range r.running {
		if t.pkg == e.Package {
			result{t, 0, output}.print("was running")
			delete(r.running, t)
		}
	}
}

func (r result) print(what string) {
	fmt.Printf("\n*** %s %s\n", r.test, what)
	for i, line := range r.output {
		if i == maxLines {
			fmt.Printf("... %d lines more\n", len(r.output)-i)
			break
		}
		fmt.Print(line)
	}
}

// summarize prints the end of the report and says whether all is well.
func (r *report) summarize(allowed []skip) bool {
	good := true
	slices.SortFunc(r.passed, func(a, b result) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Println("\nslowest:")
	for _, res := range r.passed[:min(8, len(r.passed))] {
		fmt.Printf("%8.2f s  %s\n", res.seconds, res.test)
	}
	for _, res := range r.skipped {
		reason := "NOT LISTED in the file of skips"
		for _, line := range res.output {
			if !strings.Contains(line, "=== ") && !strings.Contains(line, "--- SKIP") {
				reason += ": " + strings.TrimSpace(line)
			}
		}
		i := slices.IndexFunc(allowed, func(s skip) bool { return s.matches(res.test) })
		if i >= 0 {
			reason = allowed[i].reason
		} else {
			good = false
		}
		fmt.Printf("skipped: %s: %s\n", res.test, reason)
	}
	for _, pkg := range r.broken {
		fmt.Println("failed:", pkg)
	}
	for _, res := range r.failed {
		fmt.Println("failed:", res.test)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", len(r.passed), len(r.failed), len(r.skipped))
	return good && len(r.broken)+len(r.failed) == 0 && len(r.passed) > 0
}

// skip is a line of the list of tests that may be skipped.
type skip struct {
	pkg    string
	name   *regexp.Regexp
	reason string
}

func (s skip) matches(t test) bool {
	return module+s.pkg == t.pkg && s.name.MatchString(t.name)
}

func readSkips(name string) ([]skip, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var skips []skip
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s: a line needs a package, a test and a reason: %s", name, line)
		}
		re, err := regexp.Compile("^(?:" + fields[1] + ")$")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		skips = append(skips, skip{fields[0], re, strings.Join(fields[2:], " ")})
	}
	return skips, nil
}
