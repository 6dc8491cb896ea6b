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
// where it is missing, the rest is. Some programs round integers of more than 53 bits. A
// value that is null is one that has no other form, such as a NaN of codec.Float.
//
// What is not there: entries that have expired; when entries were stored and used; what
// another program has pickled, which Report.Foreign counts; and who holds a lock, since
// nobody does in another store. Items that are claimed come back there, with
// their attempts. What a deque keeps beside its ready items are collections of their own,
// in which the items in flight are numbered from 1, in the order in which they were claimed
// or delayed.
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
	"io/fs"
	"iter"
	"math"
	"slices"
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
	// wanted. What a deque keeps beside its ready items is wanted with the deque, and
	// not asked for. Defaults to all of them.
	Only func(name string) bool

	// Merge imports into collections that have entries, and replaces those with equal
	// keys: also to go on with an import that was interrupted. Keys of a deque are
	// positions in it, so that items of two deques do not mix, nor those of two dumps of
	// one. Defaults to ErrExists.
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
	Value   field      `json:"value"`
	Expires *time.Time `json:"expires,omitempty"`
	Tag     *Value     `json:"tag,omitempty"`
}

// field is a value that may be null, and knows whether it is there.
type field struct {
	Value
	is bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *field) UnmarshalJSON(b []byte) error {
	f.is = true
	return f.Value.UnmarshalJSON(b)
}

// inLocks are the collections of locks, which are about processes.
func inLocks(name string) bool { return name == "sync/leases" || name == "sync/broadcasts" }

// Collections of deques are called deque/NAME, deque-inflight/NAME and deque-leases/NAME;
// those of the default one "", deque-default/inflight and deque-default/leases.
const (
	inFlight      = "inflight" // the values of claimed and delayed items, by number
	leases        = "leases"   // until when they are, by keys that end with their numbers
	dequeSettings = "deque-settings/all"
)

// beside returns the name of a collection that a deque keeps beside its ready items.
func beside(deque, kind string) string {
	if deque == "" {
		return "deque-default/" + kind
	}
	return "deque-" + kind + "/" + strings.TrimPrefix(deque, "deque/")
}

// dequeOf is the inverse of beside.
func dequeOf(name string) (deque, kind string, ok bool) {
	for _, kind := range []string{inFlight, leases} {
		if name == beside("", kind) {
			return "", kind, true
		}
		if n, ok := strings.CutPrefix(name, "deque-"+kind+"/"); ok {
			return "deque/" + n, kind, true
		}
	}
	return "", "", false
}

// heldBytes is how much of a deque is held in memory until all of it was read.
const heldBytes = 64 << 20

// Export writes collections of a store to w. Each collection is as of some moments
// during the call: others may write meanwhile, and what is there throughout is written
// once. A deque is as of one moment, so that an item which is claimed, or comes back,
// meanwhile is written once, too: as long as it is written, it keeps the store's log from
// being cut back, see [cache.Store.View]. Where it is of more than 64 MiB, and another
// process removes a large item of it meanwhile, Export fails with fs.ErrNotExist: do it
// again. An item that moves from one deque to another meanwhile may be left out or
// written twice. Collections that are dropped meanwhile are left out. It changes nothing.
func Export(ctx context.Context, st *cache.Store, w io.Writer, o *Options) (Report, error) {
	out := bufio.NewWriter(w)
	x := &exporter{ctx: ctx, st: st, opts: o.withDefaults(), out: out}
	err := x.run()
	if err == nil {
		err = out.Flush()
	}
	return x.report, err
}

type exporter struct {
	ctx    context.Context
	st     *cache.Store
	opts   Options
	out    io.Writer
	report Report
}

type rawCache = cache.Cache[cache.Raw, cache.Raw]

// line writes a line.
func (x *exporter) line(v any) error {
	enc := json.NewEncoder(x.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (x *exporter) run() error {
	if err := x.line(header{Version: version}); err != nil {
		return err
	}
	names, err := x.st.Collections(x.ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, _, ok := dequeOf(name); ok || name == dequeSettings || inLocks(name) || !x.opts.Only(name) {
			continue
		}
		if err := x.collection(name); err != nil {
			return err
		}
	}
	if err := x.settings(); err != nil { // last: they say whether there are items in flight
		return err
	}
	return x.line(header{End: &x.report.Entries})
}

// collection writes the collection called name, with what belongs to it if it is that of
// a deque.
func (x *exporter) collection(name string) error {
	c, err := cache.NewRaw(x.ctx, x.st, name, nil)
	if errors.Is(err, cache.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var parts [2]*rawCache
	for i, kind := range []string{inFlight, leases} {
		if name != "" && !strings.HasPrefix(name, "deque/") {
			break
		}
		parts[i], err = cache.NewRaw(x.ctx, x.st, beside(name, kind), nil)
		if err != nil && !errors.Is(err, cache.ErrNotFound) {
			return err
		}
	}
	if parts[0] == nil || parts[1] == nil {
		return x.entries(c, c.All(x.ctx), nil)
	}
	out, before := x.out, x.report
	defer func() { x.out = out }()
	for try := 1; ; try++ {
		h := &held{w: out}
		x.out, x.report = h, before
		err := x.st.View(x.ctx, func(tx *cache.Tx) error { return x.deque(c.In(tx), parts[0].In(tx), parts[1].In(tx)) })
		if errors.Is(err, fs.ErrNotExist) {
			if !h.through && try < 20 {
				continue // the item has gone, or moved
			}
			return fmt.Errorf("%w: export again, and if that does not help, check the store", err)
		}
		if err == nil {
			err = h.flush()
		}
		if err == nil {
			x.opts.Progress(name, x.report)
		}
		return err
	}
}

// held is a writer that keeps up to heldBytes to itself.
type held struct {
	w       io.Writer
	b       []byte
	through bool
}

func (h *held) Write(p []byte) (int, error) {
	if !h.through && len(h.b)+len(p) <= heldBytes {
		h.b = append(h.b, p...)
		return len(p), nil
	}
	if err := h.flush(); err != nil {
		return 0, err
	}
	return h.w.Write(p)
}

func (h *held) flush() error {
	_, err := h.w.Write(h.b)
	h.b, h.through = nil, true
	return err
}

// deque writes the collections of a deque, in a View.
func (x *exporter) deque(ready, items, times *rawCache) error {
	var numbers []int64
	err := x.entries(items, items.Sorted().All(x.ctx), func(e *entry) bool {
		numbers = append(numbers, e.Key.Integer())
		e.Key = &Value{codec.IntegerValue(int64(len(numbers)))}
		return true
	})
	if err != nil {
		return err
	}
	err = x.entries(times, times.All(x.ctx), func(e *entry) bool {
		key := e.Key.Text()
		if !strings.HasPrefix(key, "claim-") && !strings.HasPrefix(key, "delay-") {
			return true // a session that has claimed
		}
		at := strings.LastIndexByte(key, '-') + 1
		n, err := strconv.ParseInt(key[at:], 16, 64)
		i, ok := slices.BinarySearch(numbers, n)
		e.Key = &Value{codec.TextValue(fmt.Sprintf("%s%016x", key[:at], i+1))}
		return ok && err == nil // else there is no item
	})
	if err != nil {
		return err
	}
	return x.entries(ready, ready.All(x.ctx), nil)
}

// settings writes what is stored about the deques that are wanted.
func (x *exporter) settings() error {
	c, err := cache.NewRaw(x.ctx, x.st, dequeSettings, nil)
	if errors.Is(err, cache.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	keys, err := cache.Collect(c.Keys(x.ctx))
	if err != nil || !slices.ContainsFunc(keys, func(k cache.Raw) bool { return x.opts.Only(k.Text()) }) {
		return err
	}
	return x.entries(c, c.All(x.ctx), func(e *entry) bool { return x.opts.Only(e.Key.Text()) })
}

// entries writes a collection. change, if it is not nil, may change an entry, or say that
// it is none.
func (x *exporter) entries(c *rawCache, all iter.Seq2[cache.Entry[cache.Raw, cache.Raw], error], change func(*entry) bool) error {
	name, s, r := c.Name(), c.Schema(), &x.report
	err := x.line(header{
		Collection: &name, Keys: s.Keys, Values: s.Values, Policy: string(s.Settings.Policy), SizeLimit: s.Settings.SizeLimit,
		CullLimit: s.Settings.CullLimit, MinFile: s.Settings.MinFileSize, Statistics: s.Settings.Statistics, TagIndex: s.Settings.TagIndex,
	})
	if err != nil {
		return err
	}
	progress := func() {
		if h, ok := x.out.(*held); !ok || h.through {
			x.opts.Progress(name, *r)
		}
	}
	r.Collections++
	for e, err := range all {
		if errors.Is(err, cache.ErrClosed) && x.ctx.Err() == nil {
			if _, gone := cache.NewRaw(x.ctx, x.st, name, nil); errors.Is(gone, cache.ErrNotFound) {
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
		line := entry{Key: &Value{e.Key.Value}, Value: field{Value: Value{e.Value.Value}}}
		if !e.Expiry.IsZero() {
			t := e.Expiry.UTC()
			line.Expires = &t
		}
		if !e.Tag.IsNull() {
			line.Tag = &Value{e.Tag.Value}
		}
		if change != nil && !change(&line) {
			continue
		}
		if err := x.line(line); err != nil {
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
// unless Merge says otherwise, and one with other codecs cache.ErrCodecMismatch. A deque
// that exists keeps its maximum length. Entries whose time has come are left out. A
// collection that is at its size limit evicts, as with any other write.
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

// Copy is Export from one store and Import into another one at the same time, without
// anything in between. The report is that of the import, with the entries that the export
// has left out.
func Copy(ctx context.Context, from, into *cache.Store, o *Options) (Report, error) {
	r, w := io.Pipe()
	opts := o.withDefaults()
	exported := make(chan Report, 1)
	go func() {
		e, err := Export(ctx, from, w, &Options{Only: opts.Only})
		w.CloseWithError(err)
		exported <- e
	}()
	report, err := Import(ctx, into, r, o)
	r.CloseWithError(err) // has the export end, where the import has not read it all
	report.Foreign = (<-exported).Foreign
	return report, err
}

type importer struct {
	ctx    context.Context
	st     *cache.Store
	opts   Options
	line   int
	read   int64 // entries
	report Report

	c       *rawCache // nil: of a collection that is not wanted
	name    string
	kind    string  // of a collection beside a deque
	later   *header // of the settings of deques, until one of them is wanted
	count   int64   // entries of the collection that were read
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
	in.name, in.c, in.later, in.count = *h.Collection, nil, nil, 0
	deque, kind, beside := dequeOf(in.name)
	if in.kind = kind; !beside {
		deque = in.name
	}
	switch {
	case in.name == dequeSettings:
		in.later = h
		return nil
	case inLocks(in.name) || !in.opts.Only(deque):
		return nil
	}
	return in.open(h)
}

// open opens the collection that is to be imported.
func (in *importer) open(h *header) error {
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
	case n > 0 && !in.opts.Merge && in.name != dequeSettings:
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
	if err := json.Unmarshal(text, &e); err != nil || e.Key == nil || e.Key.IsNull() || !e.Value.is {
		return fmt.Errorf("%w: no entry", ErrFormat)
	}
	in.read++
	in.count++
	if in.kind == inFlight && (e.Key.Kind() != codec.Integer || e.Key.Integer() != in.count) {
		return fmt.Errorf("%w: items in flight have other numbers than 1, 2, 3", ErrFormat)
	}
	if in.name == dequeSettings {
		if !in.opts.Only(e.Key.Text()) {
			return nil
		}
		if h := in.later; h != nil {
			in.later = nil
			if err := in.open(h); err != nil {
				return err
			}
		}
	}
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
			key, value := cache.Raw{Value: e.Key.Value}, cache.Raw{Value: e.Value.Value.Value}
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
		for next := int64(0); in.kind == inFlight && next < last; {
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
func joined(ctx context.Context, c *rawCache, key cache.Raw, value *cache.Raw) error {
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
