package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// required are lines that a file must have: headings, and what begins a part of
// a section.
var required = map[string][]string{
	"README.md": {
		"# DiskCache for Go",
		"## Install",
		"## Two commands",
		"## Look into a store",
		"## A first program",
		"## Many collections, one transaction",
		"## Queues, deques and indexes",
		"### Shards",
		"## Locks and memoization",
		"## When your type changes",
		"## When one machine is not enough",
		"## Coming from Python",
		"### Beside a Django site",
		"## What differs",
		"| | DiskCache | here |",
		"| | here | bbolt | Badger | Redis |",
		"## Benchmarks",
		"## Promises and limits",
		"**Promises**",
		"**Limits**",
		"## Performance",
		"| | get | set | delete | operations/s | in 8 processes | in 8 goroutines |",
		"## Licence",
	},
}

// prose returns the lines of a Markdown file. The lines of comments and of blocks
// of code are empty in it, but for the line that begins a block.
func prose(text string) []string {
	var lines []string
	var fence string // the fence of the block that is being read
	comment := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch trimmed := strings.TrimSpace(line); {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
			line = ""
		case comment || strings.HasPrefix(trimmed, "<!--"):
			comment = !strings.Contains(line, "-->")
			line = ""
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:3]
		}
		lines = append(lines, line)
	}
	return lines
}

var (
	heading   = regexp.MustCompile(`^#{1,6} `)
	separator = regexp.MustCompile(`^ *:?-+:? *$`)
	code      = regexp.MustCompile("`[^`]*`")
	link      = regexp.MustCompile(`\]\(<?([^)\s>]+)>?[^)]*\)`)
	scheme    = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)
	markup    = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// problems returns what is wrong with the headings, tables and links of a
// Markdown file, each with its line. Relative links are followed; others are not.
func problems(file, text string) []string {
	var all []string
	lines := prose(text)
	bad := func(n int, format string, args ...any) {
		all = append(all, fmt.Sprintf("%s:%d: %s", file, n+1, fmt.Sprintf(format, args...)))
	}
	checkHeadings(file, lines, bad)
	checkTables(lines, bad)
	checkLinks(file, lines, bad)
	return all
}

func checkHeadings(file string, lines []string, bad func(int, string, ...any)) {
	level := func(line string) int { return len(line) - len(strings.TrimLeft(line, "#")) }
	have := map[string]bool{}
	above, empty := 0, false // the last heading, and whether nothing stands below it yet
	end := "# "              // the end of the file, as a heading of the first level
	for n, line := range append(slices.Clone(lines), end) {
		have[line] = true
		if !heading.MatchString(line) {
			empty = empty && strings.TrimSpace(line) == ""
			continue
		}
		if empty && level(line) <= level(lines[above]) {
			bad(above, "nothing stands below %q", lines[above])
		}
		above, empty = n, true
	}
	for _, line := range required[filepath.ToSlash(file)] {
		if !have[line] {
			bad(0, "the line %q is missing", line)
		}
	}
}

// cells returns the cells of a row of a table.
func cells(row string) []string {
	row = strings.ReplaceAll(strings.TrimSpace(row), `\|`, "")
	row = strings.TrimSuffix(strings.TrimPrefix(row, "|"), "|")
	return strings.Split(row, "|")
}

func isSeparator(row string) bool {
	for _, c := range cells(row) {
		if !separator.MatchString(c) {
			return false
		}
	}
	return true
}

func checkTables(lines []string, bad func(int, string, ...any)) {
	first := -1 // line of the table that is being read
	for n, line := range lines {
		if !strings.HasPrefix(strings.TrimSpace(line), "|") {
			if first >= 0 && n-first < 3 {
				bad(first, "a table of %d lines: a header, a separator and rows were expected", n-first)
			}
			first = -1
			continue
		}
		if first < 0 {
			first = n
			if n > 0 && strings.TrimSpace(lines[n-1]) != "" {
				bad(n, "no empty line above a table")
			}
		}
		if n == first+1 && !isSeparator(line) {
			bad(first, "a table whose header has no separator below it")
		}
		if n != first+1 && isSeparator(line) {
			bad(n, "a separator that is not below a table's header")
		}
		if want, have := len(cells(lines[first])), len(cells(line)); have != want {
			bad(n, "a row of %d cells in a table of %d columns", have, want)
		}
	}
	if first >= 0 && len(lines)-first < 3 {
		bad(first, "a table of %d lines: a header, a separator and rows were expected", len(lines)-first)
	}
}

func checkLinks(file string, lines []string, bad func(int, string, ...any)) {
	for n, line := range lines {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, "``"), -1) {
			if scheme.MatchString(m[1]) {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target, in := file, lines
			if path != "" {
				target = filepath.Join(filepath.Dir(file), filepath.FromSlash(path))
				if _, err := os.Stat(target); err != nil || !filepath.IsLocal(target) {
					bad(n, "the link %q leads to nothing in this repository", m[1])
					continue
				}
			}
			if anchor == "" {
				continue
			}
			if path != "" {
				text, err := os.ReadFile(target)
				if err != nil {
					bad(n, "the link %q: %v", m[1], err)
					continue
				}
				in = prose(string(text))
			}
			if !anchors(in)[anchor] {
				bad(n, "the link %q: %s has no heading with this anchor", m[1], target)
			}
		}
	}
}

// anchors returns the anchors that GitHub gives to headings: their text in small
// letters without punctuation, spaces as hyphens, and a number where there is
// more than one.
func anchors(lines []string) map[string]bool {
	all := map[string]bool{}
	times := map[string]int{}
	for _, line := range lines {
		if !heading.MatchString(line) {
			continue
		}
		text := markup.ReplaceAllString(strings.TrimSpace(strings.TrimLeft(line, "#")), "$1")
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, text)
		if n := times[slug]; n > 0 {
			all[fmt.Sprintf("%s-%d", slug, n)] = true
		} else {
			all[slug] = true
		}
		times[slug]++
	}
	return all
}
