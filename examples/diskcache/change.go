package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/dump"
	"github.com/go-diskcache/diskcache/codec"
)

func set(ctx context.Context, t *tool, s *store) error {
	c, err := t.raw(ctx, s)
	if err != nil {
		return err
	}
	k, err := key(c, t.args[0])
	if err != nil {
		return err
	}
	text := t.args[1]
	if text == "-" {
		b, err := io.ReadAll(t.stdin)
		if err != nil {
			return err
		}
		text = string(b)
	}
	v, err := encode(c.Schema().Values, text)
	if err != nil {
		return err
	}
	var options []cache.Option
	if t.ttl != "" {
		d, err := time.ParseDuration(t.ttl)
		if err != nil || d <= 0 {
			return misuse(fmt.Sprintf("-ttl %q is no duration such as 90s or 24h", t.ttl))
		}
		options = append(options, cache.TTL(d))
	}
	if t.given["tag"] {
		options = append(options, cache.Tag(t.tag))
	}
	return c.Set(ctx, k, cache.Raw{Value: v}, options...)
}

// encode makes of a text what the codec of a collection would write, where that is
// known.
func encode(name, text string) (codec.Value, error) {
	switch name {
	case "", "string", "text":
		return codec.TextValue(text), nil
	case "bytes":
		return codec.BlobValue([]byte(text)), nil
	case "json":
		if !json.Valid([]byte(text)) {
			return codec.Value{}, errors.New("values of this collection are JSON, and this is none")
		}
		return codec.TextValue(text), nil
	case "int", "uint":
		return value("int", strings.TrimSpace(text))
	case "float":
		return value("real", strings.TrimSpace(text))
	}
	return codec.Value{}, fmt.Errorf("values of this collection have the codec %q, which this command cannot write", name)
}

func rm(ctx context.Context, t *tool, s *store) error {
	c, err := t.raw(ctx, s)
	if err != nil {
		return err
	}
	missing := 0
	for _, a := range t.args {
		k, err := key(c, a)
		if err != nil {
			return err
		}
		ok, err := c.Delete(ctx, k)
		if err != nil {
			return err
		}
		if !ok {
			missing++
			fmt.Fprintf(t.stderr, "diskcache: no such key: %s\n", printable(a))
		}
	}
	if missing > 0 {
		return errIncomplete
	}
	return nil
}

func compact(ctx context.Context, t *tool, s *store) error {
	before, err := s.Volume(ctx)
	if err != nil {
		return err
	}
	if err := s.Compact(ctx); err != nil {
		return err
	}
	after, err := s.Volume(ctx)
	if err != nil {
		return err
	}
	if t.json {
		return json.NewEncoder(t.stdout).Encode(map[string]int64{"before": before.Total, "after": after.Total})
	}
	_, err = fmt.Fprintf(t.stdout, "%s, now %s\n", size(before.Total), size(after.Total))
	return err
}

func backup(ctx context.Context, t *tool, s *store) error {
	p := t.progress()
	p.show("copying")
	err := s.Backup(ctx, t.args[0])
	p.end()
	return err
}

// only is what export and import are to take: the collection of the flag -c. What a queue
// keeps beside its items goes with it.
func (t *tool) only() func(string) bool {
	if !t.given["c"] {
		return nil
	}
	return func(n string) bool { return n == t.collection }
}

func export(ctx context.Context, t *tool, s *store) error {
	if isTerminal(t.stdout) {
		return misuse("an export is for a file or a pipe, not for a terminal")
	}
	p := t.progress()
	out := bufio.NewWriterSize(t.stdout, 1<<16)
	r, err := dump.Export(ctx, s.Store, out, &dump.Options{Only: t.only(), Progress: func(n string, r dump.Report) {
		p.show("%s: %s entries", name(n), number(r.Entries))
	}})
	p.end()
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(t.stderr, "diskcache: exported %s entries of %s collections\n", number(r.Entries), number(r.Collections))
	if r.Foreign > 0 {
		fmt.Fprintf(t.stderr, "diskcache: left out %s entries that Python has pickled\n", number(r.Foreign))
		return errIncomplete
	}
	return nil
}

func importAll(ctx context.Context, t *tool, s *store) error {
	p := t.progress()
	r, err := dump.Import(ctx, s.Store, t.stdin, &dump.Options{Only: t.only(), Merge: t.merge, Progress: func(n string, r dump.Report) {
		p.show("%s: %s entries", name(n), number(r.Entries))
	}})
	p.end()
	fmt.Fprintf(t.stderr, "diskcache: imported %s entries into %s collections\n", number(r.Entries), number(r.Collections))
	switch {
	case errors.Is(err, dump.ErrExists):
		return fmt.Errorf("%w: -merge replaces entries of equal keys and keeps all others", err)
	case err != nil && r.Entries > 0:
		return fmt.Errorf("%w: what was imported stays; with -merge an import goes on", err)
	}
	return err
}
