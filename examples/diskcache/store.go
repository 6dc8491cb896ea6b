package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

type rawCache = cache.Cache[cache.Raw, cache.Raw]

// store is the opened store.
type store struct {
	*cache.Store
	dir    string
	shards int
}

// open opens the store in a directory. To look it is opened for reading only; to write,
// it has to be a store already, unless create says that it may be made.
func open(ctx context.Context, dir string, write, create bool) (*store, error) {
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) && !create {
		return nil, fmt.Errorf("%s: no such directory", printable(dir))
	}
	made := err == nil
	s := &store{dir: dir, shards: shardsOf(dir)}
	o := &cache.StoreOptions{Shards: s.shards, ReadOnly: true, MaxValueSize: -1}
	if made && !create || !write {
		if s.Store, err = cache.OpenStore(ctx, dir, o); err != nil || !write {
			return s, err
		}
		if err := s.Close(); err != nil { // it is a store: to open it for writing makes nothing
			return nil, err
		}
	}
	o.ReadOnly = false
	s.Store, err = cache.OpenStore(ctx, dir, o)
	return s, err
}

// shardsOf returns how many databases a FanoutCache has in a directory, and 0 if it is
// none.
func shardsOf(dir string) (n int) {
	for n < 1000 {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%03d", n), "cache.db")); err != nil {
			break
		}
		n++
	}
	return n
}

// explain makes of an error what a user of the command can do.
func explain(err error) string {
	var advice string
	switch {
	case errors.Is(err, cache.ErrNewerFormat):
		advice = "install a newer version of this command"
	case errors.Is(err, cache.ErrNotStore):
		advice = "there is no store here; is it the right directory?"
	case errors.Is(err, cache.ErrPermission):
		advice = "run it as the user who owns the store"
	case errors.Is(err, cache.ErrCorrupt):
		advice = "diskcache check tells more, and with -mend repairs what it can"
	case errors.Is(err, cache.ErrTimeout):
		advice = "another process has kept the store busy"
	}
	text := printable(err.Error())
	if advice != "" {
		text += ": " + advice
	}
	return text
}

// raw opens the collection that the flag -c names.
func (t *tool) raw(ctx context.Context, s *store) (*rawCache, error) {
	c, err := cache.NewRaw(ctx, s.Store, t.collection, nil)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, fmt.Errorf("there is no collection %q: diskcache ls tells their names", t.collection)
	}
	return c, err
}

// entries are those of a collection that the flags ask for.
func (t *tool) entries(c *rawCache) cache.Range[cache.Raw, cache.Raw] {
	r := c.Sorted()
	if t.prefix != "" {
		r = r.Prefix(cache.Raw{Value: codec.TextValue(t.prefix)})
	}
	return r
}

// most returns how many lines are wanted, 0 for all of them.
func (t *tool) most(unless int) int {
	if t.limit < 0 {
		return unless
	}
	return t.limit
}

// key reads a KEY.
func key(c *rawCache, s string) (cache.Raw, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || !slices.Contains([]string{"int", "real", "hex", "text"}, kind) {
		kind, rest = "text", s
		switch c.Schema().Keys {
		case "int", "uint":
			kind = "int"
		case "bytes":
			return cache.Raw{Value: codec.BlobValue([]byte(s))}, nil
		}
	}
	v, err := value(kind, rest)
	return cache.Raw{Value: v}, err
}

func value(kind, s string) (v codec.Value, err error) {
	switch kind {
	case "int":
		var n int64
		n, err = strconv.ParseInt(s, 10, 64)
		v = codec.IntegerValue(n)
	case "real":
		var f float64
		f, err = strconv.ParseFloat(s, 64)
		v = codec.RealValue(f)
	case "hex":
		b := make([]byte, 0, len(s)/2)
		_, err = fmt.Sscanf(s+" ", "%x", &b)
		v = codec.BlobValue(b)
	default:
		v = codec.TextValue(s)
	}
	if err != nil {
		return v, misuse(fmt.Sprintf("%q is not of the kind %s", s, kind))
	}
	return v, nil
}
