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
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
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
