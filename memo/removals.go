package memo

import (
	"context"
	"encoding/binary"
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
// Its result must not be stored if by then All is higher, or Parts has a higher number
// for its tag or its argument.
type removed struct {
	Last int64 // number of the last removal, 0 for none
	All  int64 // number of the last one of every result
	// Parts has the last removal of the tags and arguments with one of 256 hashes.
	// Where one computation runs while another tag or argument is removed, one of 256
	// times its result is not stored, and computed again when it is next asked for.
	Parts map[uint8]int64 `json:",omitempty"`
}

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
func (r removals) add(ctx context.Context, hashes ...uint8) error {
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

func (v *removed) add(hashes []uint8) {
	v.Last++
	if len(hashes) == 0 {
		v.All, v.Parts = v.Last, nil
		return
	}
	if v.Parts == nil {
		v.Parts = map[uint8]int64{}
	}
	for _, h := range hashes {
		v.Parts[h] = v.Last
	}
}

// since reports whether results with one of some hashes were removed after the
// removal numbered began.
func (v *removed) since(began int64, hashes ...uint8) bool {
	return v.All > began || slices.ContainsFunc(hashes, func(h uint8) bool { return v.Parts[h] > began })
}

// hashID is the hash of an argument, which Memo.id has told apart.
func hashID(id string) uint8 { return hash("argument", []byte(id)) }

// hashTag is the same for equal tags: 1 and 1.0 are.
func hashTag(tag codec.Value) uint8 {
	number := func(x float64) uint8 {
		return hash("number", binary.BigEndian.AppendUint64(nil, math.Float64bits(x+0))) // -0 is 0
	}
	switch tag.Kind() {
	case codec.Integer:
		return number(float64(tag.Integer()))
	case codec.Real:
		return number(tag.Real())
	case codec.Text:
		return hash("text", []byte(tag.Text()))
	}
	return hash("blob", tag.Blob())
}

func hash(what string, b []byte) uint8 {
	h := fnv.New32a()
	h.Write([]byte(what))
	h.Write(b)
	return uint8(h.Sum32())
}
