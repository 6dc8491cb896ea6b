package memo

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"slices"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// removals is what Clear and Evict have removed from a Memo, by any process, so
// that what is being computed meanwhile is not stored. There is a row for each
// Memo of the store.
type removals struct {
	name string
	rows *cache.Cache[string, removed] // nil: a read-only store that has none
}

// removed numbers the removals of a Memo. A computation notes Last before it
// begins; it must not be stored if All, or the number of its tag, is higher
// then.
type removed struct {
	Last int64        // number of the last one, 0 for none
	All  int64        // number of the last one that counts for every tag
	Tags []removedTag `json:",omitempty"` // later ones, in their order
}

type removedTag struct {
	Tag uint64 // its hash: for a collision something is computed again
	N   int64
}

// maxTags bounds the row. That of one more tag counts for every tag: it keeps
// only what was begun before that from being stored.
const maxTags = 64

func openRemovals(ctx context.Context, st *cache.Store, name string) (removals, error) {
	rows, err := cache.New(ctx, st, "all", &cache.Options[string, removed]{Family: "memo-removals", Persistent: true})
	if st.ReadOnly() && errors.Is(err, cache.ErrReadOnly) {
		return removals{name: name}, nil // nothing is stored either
	}
	return removals{name, rows}, err
}

// get returns the removals as tx sees them.
func (r *removals) get(ctx context.Context, tx *cache.Tx) (v removed, ok bool, err error) {
	if r.rows == nil {
		return v, false, nil
	}
	return r.rows.In(tx).Get(ctx, r.name)
}

// last returns the number of the last removal.
func (r *removals) last(ctx context.Context) (int64, error) {
	if r.rows == nil {
		return 0, nil
	}
	v, _, err := r.rows.Get(ctx, r.name)
	return v.Last, err
}

// add notes a removal of everything with a tag, or of everything with Null.
func (r *removals) add(ctx context.Context, tag codec.Value) error {
	if r.rows == nil {
		return cache.ErrReadOnly
	}
	_, _, err := r.rows.Modify(ctx, r.name, func(v removed, _ bool) (removed, bool, error) {
		v.Last++
		if tag.IsNull() {
			v.All, v.Tags = v.Last, nil
			return v, true, nil
		}
		h := hash(tag)
		v.Tags = slices.DeleteFunc(v.Tags, func(t removedTag) bool { return t.Tag == h })
		v.Tags = append(v.Tags, removedTag{h, v.Last})
		if len(v.Tags) > maxTags {
			v.All = v.Tags[0].N
			v.Tags = v.Tags[1:]
		}
		return v, true, nil
	})
	return err
}

// since reports whether something with a tag was removed after the removal
// numbered began.
func (v *removed) since(began int64, tag codec.Value) bool {
	if v.All > began {
		return true
	}
	if tag.IsNull() || v.Last <= began {
		return false
	}
	h := hash(tag)
	return slices.ContainsFunc(v.Tags, func(t removedTag) bool { return t.Tag == h && t.N > began })
}

// hash is the same for equal tags: 1 and 1.0 are.
func hash(tag codec.Value) uint64 {
	switch tag.Kind() {
	case codec.Integer:
		return math.Float64bits(float64(tag.Integer()))
	case codec.Real:
		return math.Float64bits(tag.Real() + 0) // -0 is 0
	}
	h := fnv.New64a()
	if tag.Kind() == codec.Text {
		h.Write([]byte("t" + tag.Text()))
	} else {
		h.Write([]byte("b"))
		h.Write(tag.Blob())
	}
	return h.Sum64()
}
