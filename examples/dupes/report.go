package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// stats is what -stats shows.
type stats struct {
	search counts
	store  storeStats
}

// printJSON prints each group as a line of JSON, and then the statistics. In a
// path that is not UTF-8, what is wrong is replaced, as encoding/json does it; a group
// with such a path has all of them in base64, too.
func printJSON(w io.Writer, all []group, st stats, withStats bool) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for _, g := range all {
		line := struct {
			group
			Raw [][]byte `json:"files_base64,omitempty"`
		}{group: g}
		if slices.ContainsFunc(g.Files, func(path string) bool { return !utf8.ValidString(path) }) {
			for _, path := range g.Files {
				line.Raw = append(line.Raw, []byte(path))
			}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	if withStats {
		err := enc.Encode(map[string]any{"stats": struct {
			counts
			Store storeStats `json:"store"`
		}{st.search, st.store}})
		if err != nil {
			return err
		}
	}
	return b.Flush()
}

// printText prints the groups for people.
func printText(w io.Writer, all []group, st stats, withStats bool) error {
	b := bufio.NewWriter(w)
	var files, reclaimable int64
	for _, g := range all {
		files += int64(len(g.Files))
		reclaimable += g.Reclaimable
		fmt.Fprintf(b, "%s of %s, sha256 %s\n", people(int64(len(g.Files)), "file"), size(g.Size), hexStart(g.Sum))
		for _, path := range g.Files {
			fmt.Fprintf(b, "  %s\n", printable(path))
		}
		fmt.Fprintln(b)
	}
	if len(all) == 0 {
		fmt.Fprintf(b, "no duplicates in %s\n", people(st.search.Files, "file"))
	} else {
		fmt.Fprintf(b, "%s of duplicates, %s in all; %s could be freed\n",
			people(int64(len(all)), "group"), people(files, "file"), size(reclaimable))
	}
	if withStats {
		c := st.search
		fmt.Fprintf(b, "\n%s looked at, %s empty, %s left out, %s shared their size\n",
			people(c.Files, "file"), number(c.Empty), number(c.LeftOut), number(c.Compared))
		fmt.Fprintf(b, "%s (hashes from the store), %s (files read, %s)\n",
			people(c.Hits, "hit"), plural(c.Misses, "miss", "misses"), size(c.BytesRead))
		fmt.Fprintf(b, "store: %s in %s\n", size(st.store.Volume), printable(st.store.Dir))
	}
	return b.Flush()
}

func hexStart(s sum) string {
	text, _ := s.MarshalText() // never fails
	return string(text[:16])
}

// printable returns a path that cannot do anything to a terminal.
func printable(path string) string {
	if q := strconv.Quote(path); q[1:len(q)-1] != strings.ReplaceAll(path, `\`, `\\`) {
		return q
	}
	return path
}

// message returns the text of an error, in which there may be a path, likewise.
func message(err error) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(err.Error(), "\ufffd") {
		if strconv.IsPrint(r) || r == '\n' {
			b.WriteRune(r)
		} else {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// people returns a count of things: "1 file", "12,345 files".
func people(n int64, thing string) string { return plural(n, thing, thing+"s") }

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// number returns n with commas between the thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size returns a number of bytes for people: "999 B", "1.2 MB".
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	unit := 0
	for v = v / 1000; v >= 999.5; v /= 1000 {
		unit++
	}
	format := "%.0f %cB"
	if v < 9.95 {
		format = "%.1f %cB"
	}
	return fmt.Sprintf(format, v, "kMGTPE"[unit])
}
