package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/go-diskcache/diskcache/cache/dump"
	"github.com/go-diskcache/diskcache/codec"
)

// printable returns s with everything quoted that a terminal would not show as it is.
func printable(s string) string {
	q := strconv.QuoteToGraphic(s)
	if plain := q[1 : len(q)-1]; plain == s || plain == strings.ReplaceAll(s, `"`, `\"`) {
		return s
	}
	return q
}

// shown is a key or a tag in one line, of up to 120 characters.
func shown(v codec.Value) string {
	var s string
	switch v.Kind() {
	case codec.Text:
		s = printable(v.Text())
	case codec.Blob:
		s = "hex:" + fmt.Sprintf("%x", v.Blob())
	case codec.Null:
		return ""
	default:
		s = v.String()
	}
	if r := []rune(s); len(r) > 120 {
		s = string(r[:119]) + "…"
	}
	return s
}

func name(collection string) string {
	if collection == "" {
		return "(default)"
	}
	return printable(collection)
}

func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), 0
	for f >= 1024 && unit < 6 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "BKMGTPE"[unit])
}

// until is how long it is to a time, for people.
func until(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := t.Sub(now)
	if d > time.Minute || d < -time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

// table prints lines with aligned columns, or objects.
type table struct {
	t    *tool
	w    *tabwriter.Writer
	enc  *json.Encoder
	most int
	n    int
}

// table begins with the names of columns.
func (t *tool) table(most int, columns ...string) *table {
	out := &table{t: t, most: most}
	if t.json {
		out.enc = json.NewEncoder(t.stdout)
		out.enc.SetEscapeHTML(false)
		return out
	}
	out.w = tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out.w, strings.Join(columns, "\t"))
	return out
}

// full reports whether no line more is wanted.
func (t *table) full() bool { return t.most > 0 && t.n >= t.most }

// line prints a line: an object, or what it is for people.
func (t *table) line(object any, cells ...string) error {
	if t.full() {
		return nil
	}
	t.n++
	if t.enc != nil {
		return t.enc.Encode(object)
	}
	_, err := fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	return err
}

func (t *table) end() error {
	if t.w == nil {
		return nil
	}
	return t.w.Flush()
}

// jsonValue is a value in the form of an export, nil for none.
func jsonValue(v codec.Value) *dump.Value {
	if v.IsNull() {
		return nil
	}
	return &dump.Value{Value: v}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress is a line on a terminal that tells how far long work is.
type progress struct {
	mu    sync.Mutex
	w     io.Writer // nil: no terminal
	last  time.Time
	shown bool
}

func (t *tool) progress() *progress {
	if !isTerminal(t.stderr) {
		return &progress{}
	}
	return &progress{w: t.stderr}
}

func (p *progress) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil || time.Since(p.last) < 200*time.Millisecond {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
