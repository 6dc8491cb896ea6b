package dump

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

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
