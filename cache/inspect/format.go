package inspect

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

func static() fs.FS {
	sub, err := fs.Sub(files, "page/static")
	if err != nil {
		panic(err)
	}
	return sub
}

var functions = template.FuncMap{
	"number": number,
	"ref":    ref,
	"label":  labelOf,
	"size":   size,
	"ago":    ago,
	"count":  count,
	"int64":  func(n int) int64 { return int64(n) },
	"clock":  func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
	"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"float":  func(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) },
	"short": func(s string) string {
		if len(s) > 12 {
			return s[:12] + "…"
		}
		return s
	},
}

// number groups digits.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int64) string {
	if n == math.MaxInt64 {
		return "no limit"
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), 0
	for f >= 999.5 && unit < 6 {
		f, unit = f/1024, unit+1
	}
	digits := 0
	if f < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}[unit]
}

// ago is a duration in its two largest units, without a sign.
func ago(d time.Duration) string {
	d = max(d, -d)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d m %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d m", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%s d %d h", number(int64(d.Hours())/24), int(d.Hours())%24)
}

const shownKey = 200 // runes of a key in a table

// label is a key or a tag for people, in one line.
func label(v codec.Value, limit int) string {
	switch v.Kind() {
	case codec.Text:
		return visible(v.Text(), limit)
	case codec.Blob:
		b := v.Blob()
		if parts, ok := tuple(b); ok {
			return "(" + strings.Join(parts, ", ") + ")"
		}
		more := ""
		if len(b) > limit/2 {
			b, more = b[:limit/2], "…"
		}
		return "0x" + hex.EncodeToString(b) + more
	case codec.Null:
		return "none"
	}
	return v.String()
}

// tuple reads a composite key.
func tuple(b []byte) (parts []string, ok bool) {
	for len(b) > 0 {
		v, rest, err := codec.CutOrdered(b)
		if err != nil || len(parts) == 8 {
			return nil, false
		}
		parts, b = append(parts, label(v, 60)), rest
	}
	return parts, len(parts) > 1
}

// visible replaces what cannot be seen, so that two keys that differ do not look alike.
func visible(s string, limit int) string {
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > limit {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// ref writes a name for a URL or a form, in which not every name is possible, and unref
// reads it.
func ref(name string) string {
	if visible(name, shownKey) == name && !strings.HasPrefix(name, "~") {
		return name
	}
	return "~" + base64.RawURLEncoding.EncodeToString([]byte(name))
}

func unref(s string) string {
	if enc, ok := strings.CutPrefix(s, "~"); ok {
		if name, err := base64.RawURLEncoding.DecodeString(enc); err == nil {
			return string(name)
		}
	}
	return s
}

// writeKey writes a key for a URL, and readKey reads it.
func writeKey(v codec.Value) string {
	switch v.Kind() {
	case codec.Integer:
		return "i" + strconv.FormatInt(v.Integer(), 10)
	case codec.Real:
		return "r" + strconv.FormatUint(math.Float64bits(v.Real()), 16)
	case codec.Text:
		return "t" + base64.RawURLEncoding.EncodeToString([]byte(v.Text()))
	}
	return "b" + base64.RawURLEncoding.EncodeToString(v.Blob())
}

func readKey(s string) (r cache.Raw, ok bool) {
	if s == "" {
		return r, false
	}
	var err error
	var b []byte
	switch kind := s[0]; kind {
	case 'i':
		var n int64
		n, err = strconv.ParseInt(s[1:], 10, 64)
		r.Value = codec.IntegerValue(n)
	case 'r':
		var n uint64
		n, err = strconv.ParseUint(s[1:], 16, 64)
		r.Value = codec.RealValue(math.Float64frombits(n))
	case 't':
		b, err = base64.RawURLEncoding.DecodeString(s[1:])
		r.Value = codec.TextValue(string(b))
	case 'b':
		b, err = base64.RawURLEncoding.DecodeString(s[1:])
		r.Value = codec.BlobValue(b)
	default:
		return r, false
	}
	return r, err == nil && !r.IsNull()
}

const (
	readValue  = 1 << 20  // bytes of the largest value that is read for the page
	shownValue = 16 << 10 // bytes of it that are shown
)

// preview is a value for people, and what it was taken for.
func preview(v codec.Value, codecName string) (text, form string) {
	form = v.Kind().String()
	switch v.Kind() {
	case codec.Text:
		return previewText([]byte(v.Text()), codecName, form)
	case codec.Blob:
		b := v.Blob()
		if inner, ok := strings.CutPrefix(codecName, "zlib("); ok {
			if plain, err := inflate(b); err == nil {
				return previewText(plain, strings.TrimSuffix(inner, ")"), "zlib")
			}
		}
		if parts, ok := tuple(b); ok {
			return strings.Join(parts, "\n"), "tuple"
		}
		if len(b) > 0 && utf8.Valid(b) && !bytes.ContainsRune(b, 0) {
			return previewText(b, codecName, form)
		}
		return cut(hex.Dump(b[:min(len(b), shownValue/5)]), len(b) > shownValue/5), form
	}
	return v.String(), form
}

func previewText(b []byte, codecName, form string) (string, string) {
	if codecName == "json" && json.Valid(b) {
		b, form = indent(b, shownValue+1), form+", JSON"
	}
	more := len(b) > shownValue
	return cut(lines(string(b[:min(len(b), shownValue)])), more), form
}

// indent is json.Indent of valid JSON that stops after a number of bytes: a value that is
// nested deeply would grow to many times its length.
func indent(b []byte, most int) []byte {
	var out []byte
	depth, quoted, opened := 0, false, false
	newline := func() {
		out = append(out, '\n')
		out = append(out, strings.Repeat("  ", min(depth, most))...)
	}
	for i := 0; i < len(b) && len(out) < most; i++ {
		c := b[i]
		switch {
		case quoted:
			if out = append(out, c); c == '\\' {
				i++
				out = append(out, b[i])
			}
			quoted = c != '"'
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			continue
		case c == ']' || c == '}':
			if depth--; !opened {
				newline()
			}
		case opened:
			newline()
		}
		opened = false
		switch out = append(out, c); c {
		case '"':
			quoted = true
		case '[', '{':
			depth, opened = depth+1, true
		case ',':
			newline()
		case ':':
			out = append(out, ' ')
		}
	}
	return out
}

func lines(s string) string {
	all := strings.Split(s, "\n")
	for i := range all {
		all[i] = visible(strings.ReplaceAll(strings.TrimSuffix(all[i], "\r"), "\t", "    "), shownValue)
	}
	return strings.Join(all, "\n")
}

func cut(s string, more bool) string {
	if more {
		s += "\n…"
	}
	return s
}

func inflate(b []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, readValue))
}
