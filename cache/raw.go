package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Raw is a key or a value as it is stored, whatever codec has written it. [NewRaw]
// opens a collection of them, for programs that look into stores that are not their
// own or that copy them.
type Raw struct {
	codec.Value

	// Foreign says that another program has encoded it in a way of its own, as
	// Python's pickle: it can be looked at, and not be written. A foreign value that is
	// in a file is Null.
	Foreign bool
}

// Schema is what is stored about a collection, beside its entries.
type Schema struct {
	Keys, Values string // names of the codecs; "" as long as none is stored, as in a directory of Python's
	Settings     Settings
}

// Schema returns what is stored about the collection, as this process has read it
// last: see [Cache.Settings].
func (c *Cache[K, V]) Schema() Schema {
	s := Schema{Settings: c.dc.Settings()}
	if d, ok := c.dc.(driver.Coded); ok {
		s.Keys, s.Values = d.Codecs()
	}
	return s
}

// NewRaw opens the collection that [Cache.Name] calls name, whatever its codecs are.
// If create is nil, the collection has to exist, else that is ErrNotFound, and opening
// it writes nothing: so a read-only store is looked into, and one that others use.
// Otherwise a collection that does not exist is created as create says; of one that
// exists the codecs have to be those, and the settings stay.
//
// To look without leaving a trace, iterate: what [Cache.Get] and its like read counts
// as read, where the collection counts. Prefix of a [Range] takes texts and bytes.
// [Store.Check] goes on decoding with what the collection has been opened with
// otherwise.
func NewRaw(ctx context.Context, st *Store, name string, create *Schema) (*Cache[Raw, Raw], error) {
	c, err := newRaw(ctx, st, name, create)
	if err != nil {
		return nil, WrapError(ctx, "NewRaw", name, err)
	}
	return c, nil
}

func newRaw(ctx context.Context, st *Store, name string, create *Schema) (*Cache[Raw, Raw], error) {
	if st == nil {
		return nil, invalid("nil Store")
	}
	if err := st.outside(ctx); err != nil {
		return nil, err
	}
	spec := driver.Spec{Existing: true}
	if create != nil {
		settings := create.Settings
		normalize(&settings)
		if !settings.Policy.Valid() {
			return nil, invalid("Policy %q is not one of the policies", string(settings.Policy))
		}
		persistent := settings
		keep(&persistent)
		spec.KeyCodec, spec.ValueCodec = create.Keys, create.Values
		spec.Settings, spec.Durable = settings, persistent == settings
	}
	dc, err := st.engine.Open(ctx, name, spec)
	if create != nil && errors.Is(err, ErrNotFound) {
		spec.Existing = false
		spec.Configure = func(s *driver.Settings) { *s = spec.Settings } // for an engine in which the default collection is there before
		dc, err = st.engine.Open(ctx, name, spec)
	}
	if err != nil {
		return nil, err
	}
	return &Cache[Raw, Raw]{
		handle: handle{st: st, dc: dc, shared: &shared{touches: []driver.Collection{dc}, pure: true}},
		keys:   rawCodec{},
		values: rawCodec{},
	}, nil
}

// rawCodec is the codec of what is encoded already.
type rawCodec struct{}

func (rawCodec) Name() string { return "" }

func (rawCodec) Encode(r Raw) (codec.Value, error) {
	if r.Foreign {
		return codec.Value{}, fmt.Errorf("%w: another program has encoded it in a way of its own", codec.ErrEncode)
	}
	return r.Value, nil
}

func (rawCodec) Decode(v codec.Value) (Raw, error) { return Raw{Value: v}, nil }

// foreignTo returns what another program has encoded as a T, if that is Raw.
func foreignTo[T any](v codec.Value, what string) (t T, err error) {
	if raw, ok := any(&t).(*Raw); ok {
		*raw = Raw{Value: v, Foreign: true}
		return t, nil
	}
	return t, foreign(what)
}

// Infos iterates over the entries without reading their values: those of the entries
// are zero. See [Cache.All].
func (r Range[K, V]) Infos(ctx context.Context) iter.Seq2[Entry[K, V], error] {
	if err := r.fail(ctx, "Infos"); err != nil {
		return failed[Entry[K, V]](err)
	}
	s := r.scan
	s.Bare = true
	return func(yield func(Entry[K, V], error) bool) {
		for row, err := range r.c.rows(ctx, s, r.limit) {
			e := Entry[K, V]{}
			if err == nil {
				e.Info = infoOf(row)
				if e.Key, err = r.c.decodeKey(row); err != nil {
					if err = r.c.skipped(ctx, err); err == nil {
						continue
					}
				}
			}
			if err != nil {
				yield(Entry[K, V]{}, r.c.fail(ctx, "Infos", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
