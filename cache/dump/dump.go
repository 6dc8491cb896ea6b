// Package dump writes the collections of a store as lines of JSON, and reads them into
// another one, whatever kinds of stores these are: from a directory into a PostgreSQL
// database, or into a directory of a later version. It knows no types, and needs none.
//
// The first line is {"diskcache":1}. Each collection begins with a line that has its
// name, the names of its codecs and its settings, and each line behind that is an
// entry, in insertion order:
//
//	{"collection":"cache/pages","keys":"string","values":"json","policy":"least-recently-stored",...}
//	{"key":"/","value":"{\"Title\": \"Home\"}","expires":"2026-01-02T03:04:05Z","tag":"page"}
//
// Text is a string, an integer a number without a point, and a real one with a point
// or an exponent. Bytes are {"base64":"..."}, text that is not UTF-8 is {"text64":"..."},
// and an infinite real is {"real":"+Inf"}. The last line says how many entries there were:
// where it is missing, the rest is. Some programs round integers of more than 53 bits.
//
// What is not there: entries that have expired; when entries were stored and used; what
// another program has pickled, which Report.Foreign counts; and who holds a lock, since
// nobody does in another store. Items that are claimed come back there, with
// their attempts.
package dump

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

const version = 1

var (
	// ErrExists means that a collection that was to be imported has entries.
	ErrExists = errors.New("the collection has entries already")

	// ErrFormat means that the input is not what Export writes, or not all of it.
	ErrFormat = errors.New("not a whole dump")
)

// Options say what is exported or imported, and how. The zero value of each field is its
// default.
type Options struct {
	// Only says of the name of a collection, see [cache.Cache.Name], whether it is
	// wanted. Defaults to all of them.
	Only func(name string) bool

	// Merge imports into collections that have entries, and replaces those with equal
	// keys: also to go on with an import that was interrupted. Keys of a deque are
	// positions in it, so that items of two deques do not mix. Defaults to ErrExists.
	Merge bool

	// Progress is called now and then with what has been done so far: what it is told
	// of is written, or committed.
	Progress func(collection string, soFar Report)
}

// Report counts what was done.
type Report struct {
	Collections int64
	Entries     int64
	Foreign     int64 // entries that were left out since another program has pickled them
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Only == nil {
		out.Only = func(string) bool { return true }
	}
	if out.Progress == nil {
		out.Progress = func(string, Report) {}
	}
	return out
}

// header begins a dump, a collection or the end.
type header struct {
	Version    int     `json:"diskcache,omitempty"`
	Collection *string `json:"collection,omitempty"`
	Keys       string  `json:"keys,omitempty"`
	Values     string  `json:"values,omitempty"`
	Policy     string  `json:"policy,omitempty"`
	SizeLimit  int64   `json:"size_limit,omitempty"`
	CullLimit  int     `json:"cull_limit,omitempty"`
	MinFile    int64   `json:"min_file_size,omitempty"`
	Statistics bool    `json:"statistics,omitempty"`
	TagIndex   bool    `json:"tag_index,omitempty"`
	End        *int64  `json:"end,omitempty"`
}

// entry is a line.
type entry struct {
	Key     *Value     `json:"key,omitempty"`
	Value   *Value     `json:"value,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	Tag     *Value     `json:"tag,omitempty"`
}

// inLocks are the collections of locks, which are about processes.
func inLocks(name string) bool { return name == "sync/leases" || name == "sync/broadcasts" }

// inFlight reports whether a collection has the claimed and delayed items of a deque:
// its keys are numbers of Tx.Fence.
func inFlight(name string) bool {
	return strings.HasPrefix(name, "deque-inflight/") || name == "deque-default/inflight"
}

const dequeSettings = "deque-settings/all"

// Export writes collections of a store to w. Each collection is as of some moments
// during the call: others may write meanwhile, and what is there throughout is written
// once. Collections that are dropped meanwhile are left out. It changes nothing.
func Export(ctx context.Context, st *cache.Store, w io.Writer, o *Options) (r Report, err error) {
	opts := o.withDefaults()
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(header{Version: version}); err != nil {
		return r, err
	}
	names, err := st.Collections(ctx)
	if err != nil {
		return r, err
	}
	for _, name := range names {
		if inLocks(name) || !opts.Only(name) {
			continue
		}
		c, err := cache.NewRaw(ctx, st, name, nil)
		if errors.Is(err, cache.ErrNotFound) {
			continue
		}
		if err != nil {
			return r, err
		}
		if err := export(ctx, c, enc, &r, func() { opts.Progress(name, r) }); err != nil {
			return r, err
		}
	}
	if err := enc.Encode(header{End: &r.Entries}); err != nil {
		return r, err
	}
	return r, out.Flush()
}

func export(ctx context.Context, c *cache.Cache[cache.Raw, cache.Raw], enc *json.Encoder, r *Report, progress func()) error {
	name, s := c.Name(), c.Schema()
	err := enc.Encode(header{
		Collection: &name, Keys: s.Keys, Values: s.Values, Policy: string(s.Settings.Policy), SizeLimit: s.Settings.SizeLimit,
		CullLimit: s.Settings.CullLimit, MinFile: s.Settings.MinFileSize, Statistics: s.Settings.Statistics, TagIndex: s.Settings.TagIndex,
	})
	if err != nil {
		return err
	}
	r.Collections++
	for e, err := range c.All(ctx) {
		if errors.Is(err, cache.ErrClosed) && ctx.Err() == nil {
			if _, gone := cache.NewRaw(ctx, c.Store(), name, nil); errors.Is(gone, cache.ErrNotFound) {
				return nil // dropped meanwhile
			}
		}
		if err != nil {
			return err
		}
		if e.Key.Foreign || e.Value.Foreign {
			r.Foreign++
			continue
		}
		line := entry{Key: &Value{e.Key.Value}, Value: &Value{e.Value.Value}}
		if !e.Expiry.IsZero() {
			t := e.Expiry.UTC()
			line.Expires = &t
		}
		if !e.Tag.IsNull() {
			line.Tag = &Value{e.Tag.Value}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
		if r.Entries++; r.Entries%256 == 0 {
			progress()
		}
	}
	progress()
	return nil
}

const (
	batchEntries = 500
	batchBytes   = 4 << 20
)

// Import reads what Export has written into a store, in transactions of a few hundred
// entries: after an error, or the death of the process, what Progress was told of is
// there, and a further Import with Merge does the rest. A collection that does not
// exist is made, with its codecs and settings. One that has entries is ErrExists,
// unless Merge says otherwise, and one with other codecs cache.ErrCodecMismatch. Entries
// whose time has come are left out. A collection that is at its size limit evicts, as
// with any other write.
func Import(ctx context.Context, st *cache.Store, r io.Reader, o *Options) (Report, error) {
	in := &importer{ctx: ctx, st: st, opts: o.withDefaults()}
	if err := in.run(bufio.NewReaderSize(r, 1<<16)); err != nil {
		if in.line > 0 {
			err = fmt.Errorf("line %d: %w", in.line, err)
		}
		return in.report, err
	}
	return in.report, nil
}

type importer struct {
	ctx    context.Context
	st     *cache.Store
	opts   Options
	line   int
	read   int64 // entries
	report Report

	c       *cache.Cache[cache.Raw, cache.Raw] // nil: of a collection that is not wanted
	name    string
	pending []entry
	bytes   int
}

func (in *importer) run(r *bufio.Reader) error {
	begun := false
	for {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(bytes.TrimSpace(text)) == 0 {
			if !begun {
				return fmt.Errorf("%w: nothing to read", ErrFormat)
			}
			return errors.Join(in.flush(), fmt.Errorf("%w: its last line is missing", ErrFormat))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(in.flush(), err)
		}
		in.line++
		if begun && bytes.HasPrefix(text, []byte(`{"key"`)) {
			if err := in.entry(text); err != nil {
				return err
			}
			continue
		}
		var h header
		if err := json.Unmarshal(text, &h); err != nil {
			return fmt.Errorf("%w: no line of JSON", ErrFormat)
		}
		switch {
		case !begun && h.Version == 0:
			return fmt.Errorf("%w: it does not begin with {\"diskcache\":%d}", ErrFormat, version)
		case !begun && h.Version != version:
			return fmt.Errorf("%w: of version %d", cache.ErrNewerFormat, h.Version)
		case !begun:
			begun = true
		case h.End != nil:
			if err := in.flush(); err != nil {
				return err
			}
			if *h.End != in.read {
				return fmt.Errorf("%w: %d of %d entries", ErrFormat, in.read, *h.End)
			}
			return nil
		case h.Collection != nil:
			if err := in.collection(&h); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: neither a collection nor an entry", ErrFormat)
		}
	}
}

func (in *importer) collection(h *header) error {
	if err := in.flush(); err != nil {
		return err
	}
	in.name, in.c = *h.Collection, nil
	if inLocks(in.name) || !in.opts.Only(in.name) {
		return nil
	}
	s := cache.Schema{Keys: h.Keys, Values: h.Values, Settings: cache.Settings{
		Policy: cache.Policy(h.Policy), SizeLimit: h.SizeLimit, CullLimit: h.CullLimit, MinFileSize: h.MinFile, Statistics: h.Statistics, TagIndex: h.TagIndex,
	}}
	c, err := cache.NewRaw(in.ctx, in.st, in.name, &s)
	if err != nil {
		return err
	}
	n, err := c.Len(in.ctx)
	switch {
	case err != nil:
		return err
	case n > 0 && !in.opts.Merge:
		return fmt.Errorf("%q: %w", in.name, ErrExists)
	case n == 0 && c.Settings() != s.Settings: // the default collection is there before
		if _, err := c.Configure(in.ctx, func(have *cache.Settings) { *have = s.Settings }); err != nil {
			return err
		}
	}
	in.c = c
	in.report.Collections++
	return nil
}

func (in *importer) entry(text []byte) error {
	var e entry
	if err := json.Unmarshal(text, &e); err != nil || e.Key == nil || e.Value == nil {
		return fmt.Errorf("%w: no entry", ErrFormat)
	}
	in.read++
	if in.c == nil {
		return nil
	}
	in.pending = append(in.pending, e)
	if in.bytes += len(text); len(in.pending) == batchEntries || in.bytes >= batchBytes {
		return in.flush()
	}
	return nil
}

// flush commits what was read.
func (in *importer) flush() error {
	if in.c == nil || len(in.pending) == 0 {
		return nil
	}
	n := int64(0)
	err := in.st.Update(in.ctx, func(tx *cache.Tx) error {
		c, now := in.c.In(tx), in.st.Now()
		last := int64(0)
		for i := range in.pending {
			e := &in.pending[i]
			if e.Expires != nil && !e.Expires.After(now) {
				continue
			}
			options := []cache.Option{cache.NoExpiry()}
			if e.Expires != nil {
				options[0] = cache.ExpireAt(*e.Expires)
			}
			if e.Tag != nil {
				options = append(options, cache.TagValue{Value: e.Tag.Value})
			}
			key, value := cache.Raw{Value: e.Key.Value}, cache.Raw{Value: e.Value.Value}
			if in.name == dequeSettings {
				if err := joined(in.ctx, c, key, &value); err != nil {
					return err
				}
			}
			if err := c.Set(in.ctx, key, value, options...); err != nil {
				return err
			}
			last = max(last, key.Integer())
			n++
		}
		// Numbers of items that come later have to be greater.
		for next := int64(0); inFlight(in.name) && next < last; {
			var err error
			if next, err = tx.Fence(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	in.pending, in.bytes = in.pending[:0], 0
	in.report.Entries += n
	in.opts.Progress(in.name, in.report)
	return nil
}

// joined keeps what the settings of a deque that is there say, and adds that there are
// items in flight, or with an expiry, where the other one has them.
func joined(ctx context.Context, c *cache.Cache[cache.Raw, cache.Raw], key cache.Raw, value *cache.Raw) error {
	e, ok, err := c.GetEntry(ctx, key)
	if err != nil || !ok {
		return err
	}
	var had, has map[string]any
	if json.Unmarshal([]byte(e.Value.Text()), &had) != nil || json.Unmarshal([]byte(value.Text()), &has) != nil {
		return fmt.Errorf("%w: the settings of a deque", cache.ErrCorrupt)
	}
	for _, flag := range []string{"inflight", "expires"} {
		if has[flag] == true {
			had[flag] = true
		}
	}
	b, err := codec.JSON[map[string]any]().Encode(had)
	value.Value = b
	return err
}

// Value is a key, a value or a tag in JSON, in the form that Export writes.
type Value struct{ codec.Value }

// MarshalJSON implements json.Marshaler.
func (i Value) MarshalJSON() ([]byte, error) {
	switch i.Kind() {
	case codec.Integer:
		return strconv.AppendInt(nil, i.Integer(), 10), nil
	case codec.Real:
		f := i.Real()
		if math.IsInf(f, 0) {
			return fmt.Appendf(nil, `{"real":"%+v"}`, f), nil
		}
		b := strconv.AppendFloat(nil, f, 'g', -1, 64)
		if !bytes.ContainsAny(b, ".e") {
			b = append(b, ".0"...)
		}
		return b, nil
	case codec.Text:
		s := i.Text()
		if !utf8.ValidString(s) {
			return json.Marshal(map[string]string{"text64": base64.StdEncoding.EncodeToString([]byte(s))})
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(s)
		return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
	case codec.Blob:
		return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(i.Blob())})
	}
	return []byte("null"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *Value) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0:
		return ErrFormat
	case b[0] == '"':
		var s string
		err := json.Unmarshal(b, &s)
		i.Value = codec.TextValue(s)
		return err
	case b[0] == '{':
		var form struct {
			Base64 []byte  `json:"base64"`
			Text64 []byte  `json:"text64"`
			Real   *string `json:"real"`
		}
		if err := json.Unmarshal(b, &form); err != nil {
			return err
		}
		switch {
		case form.Base64 != nil:
			i.Value = codec.BlobValue(form.Base64)
		case form.Text64 != nil:
			i.Value = codec.TextValue(string(form.Text64))
		case form.Real != nil:
			f, err := strconv.ParseFloat(*form.Real, 64)
			i.Value = codec.RealValue(f)
			return err
		default:
			return ErrFormat
		}
	case string(b) == "null":
		i.Value = codec.Value{}
	case bytes.ContainsAny(b, ".eE"):
		f, err := strconv.ParseFloat(string(b), 64)
		i.Value = codec.RealValue(f)
		return err
	default:
		n, err := strconv.ParseInt(string(b), 10, 64)
		i.Value = codec.IntegerValue(n)
		return err
	}
	return nil
}
