package dump

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

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
