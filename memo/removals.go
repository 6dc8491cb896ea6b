package memo

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"slices"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// removals tells a process that has computed a result whether Clear, Evict or a method
// of Bound, in any process, has removed results like it meanwhile. Then the process
// does not store the result. There is a row for each Memo of the store.
type removals struct {
	name string
	rows *cache.Cache[string, removed] // nil: a read-only store that has none
}

// removed numbers the removals of a Memo. A computation notes Last before it begins.
// Its result must not be stored if by then All is higher, or the number of its tag or
// of its argument is.
type removed struct {
	Last  int64         // number of the last removal, 0 for none
	All   int64         // number of the last removal that counts for every result
	Parts []removedPart `json:",omitempty"` // later removals, in their order
}

// removedPart is a removal of the results with a tag, or of an argument.
type removedPart struct {
	Hash uint64 // of the tag or argument: after a collision a result is computed again
	N    int64
}

// maxParts bounds the row. One more removal has the oldest of Parts count for every
// result, so that no result is stored whose computation began before that one.
const maxParts = 64

func openRemovals(ctx context.Context, st *cache.Store, name string) (removals, error) {
	rows, err := cache.New(ctx, st, "all", &cache.Options[string, removed]{Family: "memo-removals", Persistent: true})
	if st.ReadOnly() && errors.Is(err, cache.ErrReadOnly) {
		return removals{name: name}, nil // no result is stored either
	}
	return removals{name, rows}, err
}

// in returns the same removals bound to a transaction.
func (r removals) in(tx *cache.Tx) removals {
	if r.rows == nil {
		return r
	}
	return removals{r.name, r.rows.In(tx)}
}

func (r removals) get(ctx context.Context) (v removed, err error) {
	if r.rows != nil {
		v, _, err = r.rows.Get(ctx, r.name)
	}
	return v, err
}

// last returns the number of the last removal.
func (r removals) last(ctx context.Context) (int64, error) {
	v, err := r.get(ctx)
	return v.Last, err
}

// add notes a removal of the results with one of some hashes, or without hashes of all.
func (r removals) add(ctx context.Context, hashes ...uint64) error {
	if r.rows == nil {
		return cache.ErrReadOnly
	}
	return family.Repeat(func() error { // to note it twice does no harm
		_, _, err := r.rows.Modify(ctx, r.name, func(v removed, _ bool) (removed, bool, error) {
			v.add(hashes)
			return v, true, nil
		})
		return err
	})
}

func (v *removed) add(hashes []uint64) {
	v.Last++
	if len(hashes) == 0 {
		v.All, v.Parts = v.Last, nil
	}
	for _, h := range hashes {
		v.Parts = slices.DeleteFunc(v.Parts, func(p removedPart) bool { return p.Hash == h })
		v.Parts = append(v.Parts, removedPart{h, v.Last})
		if len(v.Parts) > maxParts {
			v.All = v.Parts[0].N
			v.Parts = v.Parts[1:]
		}
	}
}

// since reports whether results with one of some hashes were removed after the
// removal numbered began.
func (v *removed) since(began int64, hashes ...uint64) bool {
	return v.All > began || slices.ContainsFunc(v.Parts, func(p removedPart) bool {
		return p.N > began && slices.Contains(hashes, p.Hash)
	})
}

// hashID is the hash of an argument, which Memo.id has told apart.
func hashID(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte("argument"))
	h.Write([]byte(id))
	return h.Sum64()
}

// hashTag is the same for equal tags: 1 and 1.0 are.
func hashTag(tag codec.Value) uint64 {
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
