package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/dump"
	"github.com/go-diskcache/diskcache/codec"
)

// collections calls fn with those whose names begin with the flag -prefix.
func (t *tool) collections(ctx context.Context, s *store, fn func(c *rawCache) error) error {
	names, err := s.Collections(ctx)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !strings.HasPrefix(n, t.prefix) || t.given["c"] && n != t.collection {
			continue
		}
		c, err := cache.NewRaw(ctx, s.Store, n, nil)
		if err == nil {
			err = fn(c)
		}
		if errors.Is(err, cache.ErrNotFound) || errors.Is(err, cache.ErrClosed) {
			continue // dropped meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func info(ctx context.Context, t *tool, s *store) error {
	v, err := s.Volume(ctx)
	if err != nil {
		return err
	}
	var collections int
	var entries int64
	err = t.collections(ctx, s, func(c *rawCache) error {
		n, err := c.Len(ctx)
		collections++
		entries += n
		return err
	})
	if err != nil {
		return err
	}
	if t.json {
		return json.NewEncoder(t.stdout).Encode(map[string]any{
			"dir": s.dir, "shards": s.shards, "collections": collections, "entries": entries, "bytes": v.Total, "parts": v.Parts,
		})
	}
	fmt.Fprintf(t.stdout, "directory    %s\n", printable(s.dir))
	if s.shards > 0 {
		fmt.Fprintf(t.stdout, "shards       %d\n", s.shards)
	}
	fmt.Fprintf(t.stdout, "collections  %s\nentries      %s\nvolume       %s\n", number(int64(collections)), number(entries), size(v.Total))
	for _, p := range slices.Sorted(maps.Keys(v.Parts)) {
		fmt.Fprintf(t.stdout, "  %-10s %s\n", p, size(v.Parts[p]))
	}
	return nil
}

func limitOf(s cache.Settings) string {
	if s.Policy == cache.NoEviction || s.SizeLimit > 1<<60 {
		return "none"
	}
	return size(s.SizeLimit)
}

func ls(ctx context.Context, t *tool, s *store) error {
	out := t.table(t.most(0), "COLLECTION", "ENTRIES", "KEYS", "VALUES", "POLICY", "LIMIT")
	err := t.collections(ctx, s, func(c *rawCache) error {
		n, err := c.Len(ctx)
		if err != nil {
			return err
		}
		m := c.Schema()
		return out.line(map[string]any{
			"collection": c.Name(), "entries": n, "keys": m.Keys, "values": m.Values, "policy": m.Settings.Policy, "size_limit": m.Settings.SizeLimit,
		}, name(c.Name()), number(n), cmp.Or(printable(m.Keys), "-"), cmp.Or(printable(m.Values), "-"), string(m.Settings.Policy), limitOf(m.Settings))
	})
	return errors.Join(err, out.end())
}

// infoLine prints what is known about an entry.
func (t *tool) infoLine(out *table, e cache.Entry[cache.Raw, cache.Raw], now time.Time) error {
	k := shown(e.Key.Value)
	object := map[string]any{"key": jsonValue(e.Key.Value), "size": e.Size, "stored": e.Stored.UTC()}
	if e.Key.Foreign {
		k = "(pickled by Python)"
		object["key"], object["pickled"] = nil, true
	}
	if !e.Expiry.IsZero() {
		object["expires"] = e.Expiry.UTC()
	}
	if !e.Tag.IsNull() {
		object["tag"] = jsonValue(e.Tag.Value)
	}
	return out.line(object, size(e.Size), until(e.Expiry, now), cmp.Or(shown(e.Tag.Value), "-"), k)
}

func keys(ctx context.Context, t *tool, s *store) error {
	c, err := t.raw(ctx, s)
	if err != nil {
		return err
	}
	out := t.table(t.most(100), "SIZE", "EXPIRES IN", "TAG", "KEY")
	more := false
	for e, err := range t.entries(c).Infos(ctx) {
		if err != nil {
			return err
		}
		if more = out.full(); more {
			break
		}
		if err := t.infoLine(out, e, s.Now()); err != nil {
			return err
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	if more && t.limit < 0 {
		fmt.Fprintf(t.stderr, "diskcache: these are the first %d; -limit 0 prints all\n", out.n)
	}
	return nil
}

func get(ctx context.Context, t *tool, s *store) error {
	c, err := t.raw(ctx, s)
	if err != nil {
		return err
	}
	k, err := key(c, t.args[0])
	if err != nil {
		return err
	}
	for e, err := range c.Sorted().From(k).To(k).All(ctx) {
		if err != nil {
			return err
		}
		if e.Key.Foreign {
			continue
		}
		if e.Value.Foreign {
			return errors.New("the value is pickled by Python; a pickle can run any code, so it is not decoded")
		}
		return t.printValue(e)
	}
	fmt.Fprintln(t.stderr, "diskcache: no such key")
	return errIncomplete
}

func (t *tool) printValue(e cache.Entry[cache.Raw, cache.Raw]) error {
	v := e.Value.Value
	if t.json {
		object := map[string]any{"key": &dump.Value{Value: e.Key.Value}, "value": &dump.Value{Value: v}, "size": e.Size}
		if !e.Expiry.IsZero() {
			object["expires"] = e.Expiry.UTC()
		}
		if !e.Tag.IsNull() {
			object["tag"] = jsonValue(e.Tag.Value)
		}
		enc := json.NewEncoder(t.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(object)
	}
	b := append([]byte(v.Text()), v.Blob()...)
	if v.Kind() == codec.Integer || v.Kind() == codec.Real {
		b = []byte(v.String() + "\n")
	}
	if isTerminal(t.stdout) { // whose escapes the value shall not be
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		for i, l := range lines {
			lines[i] = printable(l)
		}
		b = []byte(strings.Join(lines, "\n") + "\n")
	}
	_, err := t.stdout.Write(b)
	return err
}

func tags(ctx context.Context, t *tool, s *store) error {
	c, err := t.raw(ctx, s)
	if err != nil {
		return err
	}
	type counted struct {
		tag      codec.Value
		n, bytes int64
	}
	all := map[string]*counted{}
	p := t.progress()
	n := int64(0)
	for e, err := range t.entries(c).Infos(ctx) {
		if err != nil {
			p.end()
			return err
		}
		id := e.Tag.Kind().String() + e.Tag.Value.String()
		if all[id] == nil {
			all[id] = &counted{tag: e.Tag.Value}
		}
		all[id].n++
		all[id].bytes += e.Size
		n++
		p.show("%s entries", number(n))
	}
	p.end()
	out := t.table(t.most(0), "ENTRIES", "SIZE", "TAG")
	for _, c := range slices.SortedFunc(maps.Values(all), func(a, b *counted) int { return cmp.Or(cmp.Compare(b.n, a.n), codec.Compare(a.tag, b.tag)) }) {
		if err := out.line(map[string]any{"tag": jsonValue(c.tag), "entries": c.n, "size": c.bytes}, number(c.n), size(c.bytes), cmp.Or(shown(c.tag), "-")); err != nil {
			return err
		}
	}
	return out.end()
}

func stats(ctx context.Context, t *tool, s *store) error {
	out := t.table(t.most(0), "COLLECTION", "HITS", "MISSES", "HIT RATE")
	err := t.collections(ctx, s, func(c *rawCache) error {
		if !c.Settings().Statistics {
			return nil
		}
		n, err := c.Stats(ctx)
		if err != nil {
			return err
		}
		rate := "-"
		if sum := n.Hits + n.Misses; sum > 0 {
			rate = fmt.Sprintf("%.1f %%", float64(n.Hits)*100/float64(sum))
		}
		return out.line(map[string]any{"collection": c.Name(), "hits": n.Hits, "misses": n.Misses}, name(c.Name()), number(n.Hits), number(n.Misses), rate)
	})
	if err := errors.Join(err, out.end()); err != nil {
		return err
	}
	if out.n == 0 {
		fmt.Fprintln(t.stderr, "diskcache: no collection counts; Options.Statistics turns it on")
	}
	return nil
}

func top(ctx context.Context, t *tool, s *store) error {
	c, err := t.raw(ctx, s)
	if err != nil {
		return err
	}
	most := t.most(100)
	var all []cache.Entry[cache.Raw, cache.Raw]
	larger := func(a, b cache.Entry[cache.Raw, cache.Raw]) int { return cmp.Compare(b.Size, a.Size) }
	p := t.progress()
	n := int64(0)
	for e, err := range t.entries(c).Infos(ctx) {
		if err != nil {
			p.end()
			return err
		}
		all = append(all, e)
		if most > 0 && len(all) >= 2*most+1000 { // the rest is not among the largest
			slices.SortStableFunc(all, larger)
			all = all[:most]
		}
		n++
		p.show("%s entries", number(n))
	}
	p.end()
	slices.SortStableFunc(all, larger)
	out := t.table(most, "SIZE", "EXPIRES IN", "TAG", "KEY")
	for _, e := range all {
		if err := t.infoLine(out, e, s.Now()); err != nil {
			return err
		}
	}
	return out.end()
}

func check(ctx context.Context, t *tool, s *store) error {
	p := t.progress()
	r, err := s.Check(ctx, &cache.CheckOptions{Mend: t.mend, Progress: func(r cache.Report) {
		p.show("%d problems so far", len(r.Problems))
	}})
	p.end()
	if r == nil {
		return err
	}
	left := 0
	if len(r.Problems) > 0 {
		out := t.table(t.most(0), "PROBLEM", "COLLECTION", "STATE", "DETAIL")
		for _, p := range r.Problems {
			state := "damage"
			switch {
			case p.Mended:
				state = "mended"
			case p.Harmless():
				state = "harmless"
			}
			if !p.Mended {
				left++
			}
			line := map[string]any{"problem": fmt.Sprint(p.Kind), "collection": p.Collection, "path": p.Path, "row": p.Row, "detail": p.Detail, "mended": p.Mended, "harmless": p.Harmless()}
			if err := out.line(line, printable(fmt.Sprint(p.Kind)), name(p.Collection), state, printable(strings.TrimSpace(p.Path+" "+p.Detail))); err != nil {
				return err
			}
		}
		if err := out.end(); err != nil {
			return err
		}
	} else if !t.json && err == nil {
		fmt.Fprintln(t.stdout, "no problem found")
	}
	if err == nil && left > 0 {
		err = errIncomplete
	}
	return err
}

// watch prints a line for each change, until the context ends or the limit is reached.
func watch(ctx context.Context, t *tool, s *store) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	changed := make(chan *rawCache)
	watched := map[string]bool{}
	told := map[string]int64{} // entries
	look := func() error {
		return t.collections(ctx, s, func(c *rawCache) error {
			if watched[c.Name()] {
				return nil
			}
			ch, stop, err := c.Watch()
			if err != nil {
				return err
			}
			watched[c.Name()] = true
			if told[c.Name()], err = c.Len(ctx); err != nil {
				return err
			}
			all.Go(func() {
				defer stop()
				for {
					select {
					case _, ok := <-ch:
						if !ok {
							cancel()
							return
						}
						select {
						case changed <- c:
						case <-ctx.Done():
							return
						}
					case <-ctx.Done():
						return
					}
				}
			})
			return nil
		})
	}
	if err := look(); err != nil {
		return err
	}
	fmt.Fprintf(t.stderr, "diskcache: watching %d collections\n", len(watched))
	if t.given["c"] && len(watched) == 0 {
		fmt.Fprintf(t.stderr, "diskcache: there is no collection %q yet\n", t.collection)
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for n := 0; t.limit < 1 || n < t.limit; {
		select {
		case c := <-changed:
			entries, err := c.Len(ctx)
			if errors.Is(err, cache.ErrClosed) {
				continue
			}
			if err != nil {
				return err
			}
			if n, known := told[c.Name()]; known && n == entries && !t.given["c"] {
				continue // perhaps woken by a commit to another collection
			}
			told[c.Name()] = entries
			now := s.Now()
			if t.json {
				err = json.NewEncoder(t.stdout).Encode(map[string]any{"time": now.UTC(), "collection": c.Name(), "entries": entries})
			} else {
				_, err = fmt.Fprintf(t.stdout, "%s  %s  %s entries\n", now.Format("15:04:05.000"), name(c.Name()), number(entries))
			}
			if err != nil {
				return err
			}
			n++
		case <-tick.C:
			if err := look(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
