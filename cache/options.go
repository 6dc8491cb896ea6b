package cache

import (
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Options say how a collection is opened. The zero value of each field is its
// default.
//
// Policy, SizeLimit, CullLimit, MinFileSize, Statistics and TagIndex are
// stored with the collection and hold for all processes. Where an existing
// collection is opened, fields that are zero leave what is stored, and others
// change it. [Cache.Configure] changes them later.
type Options[K, V any] struct {
	// Keys and Values encode. Their names are stored with the collection;
	// another one later is ErrCodecMismatch. Keys must be able to encode keys
	// (codec.Keyable). Default to codec.Default.
	Keys   codec.Codec[K]
	Values codec.Codec[V]

	// Policy says what is evicted first above SizeLimit. Defaults to
	// LeastRecentlyStored.
	Policy Policy

	// SizeLimit is the volume in bytes, of the collection's share of the
	// database and its files, above which writes evict. A negative one is
	// none. Defaults to 1 GiB.
	SizeLimit int64

	// CullLimit is the number of entries that a write may remove, first
	// expired ones, then to get below SizeLimit. With a negative one, writes
	// remove nothing; Expire and Cull do. Defaults to 10.
	CullLimit int

	// MinFileSize is the size in bytes from which a text or a blob is kept in
	// a file of its own. With a negative one none is. Defaults to 32 KiB.
	MinFileSize int64

	// Statistics counts hits and misses: see [Cache.Stats].
	Statistics bool

	// TagIndex keeps an index of tags, which makes Evict and Tagged fast and
	// writes a little slower.
	TagIndex bool

	// Persistent makes a collection that loses nothing by itself: it has no
	// size limit and evicts nothing. Entries expire only if a TTL or an
	// ExpireAt is given with them. Contradicts Policy, SizeLimit, CullLimit,
	// TTL, Sliding and BestEffort.
	Persistent bool

	// TTL is how long entries live that are written without an option that
	// says so. Defaults to forever.
	TTL time.Duration

	// Sliding makes Get, GetEntry and OpenValue move the expiry of the entry
	// they read, if it has one, to TTL from then. Needs a TTL.
	Sliding bool

	// BestEffort drops a write that fails with ErrTimeout: the method returns
	// nil, and false where it returns a bool. [Stats].Dropped counts them. A
	// transaction that times out still fails.
	BestEffort bool

	// SkipUndecodable treats entries whose key or value cannot be decoded,
	// perhaps because a type has changed, as missing. Defaults to an error,
	// ErrCodecMismatch.
	SkipUndecodable bool

	// OnEvict is called, once, for each entry that this process removed to make
	// room, and for each that had expired and that it removed or overwrote, be
	// it on the way, by Expire, by Set, Add, Push or another method that writes
	// the same key, or by Delete, Evict or Clear. It is not called for what those
	// remove before its time. It runs after the commit, before the method that did
	// it returns, on the same goroutine; it may use the collection. The entry's
	// Value is not loaded. Several goroutines may call it at once.
	OnEvict func(e Entry[K, V], why Reason)

	// Family keeps collections of the same name and of different kinds
	// apart. Packages that build their own structures on Cache set it.
	// Defaults to "cache".
	Family string

	// Store opens the store. It is for Open; New refuses it.
	Store *StoreOptions
}

// Policy says what is evicted first.
type Policy = driver.Policy

// The policies are DiskCache's.
const (
	LeastRecentlyStored = driver.LeastRecentlyStored // the longest ago written
	LeastRecentlyUsed   = driver.LeastRecentlyUsed   // the longest ago read or written
	LeastFrequentlyUsed = driver.LeastFrequentlyUsed // the least often read since it was written
	NoEviction          = driver.NoEviction          // nothing; the collection grows beyond its limit
)

// Reason says why an entry was removed.
type Reason string

// The reasons that OnEvict is told.
const (
	Expired Reason = "expired"
	Evicted Reason = "evicted" // to make room
)

func (o *Options[K, V]) withDefaults() (Options[K, V], error) {
	var out Options[K, V]
	if o != nil {
		out = *o
	}
	if out.Keys == nil {
		out.Keys = codec.Default[K]()
	}
	if out.Values == nil {
		out.Values = codec.Default[V]()
	}
	if out.Family == "" {
		out.Family = "cache"
	}
	return out, out.validate()
}

func (o *Options[K, V]) validate() error {
	if err := codec.Keyable(o.Keys); err != nil {
		return invalid("Options.Keys: %w", err)
	}
	switch {
	case o.Policy != "" && !o.Policy.Valid():
		return invalid("Options.Policy %q is not one of the policies", string(o.Policy))
	case o.TTL < 0:
		return invalid("Options.TTL is negative; 0 is forever")
	case o.Sliding && o.TTL == 0:
		return invalid("Options.Sliding needs a TTL")
	case o.Persistent && (o.Policy != "" && o.Policy != NoEviction || o.SizeLimit > 0 || o.CullLimit > 0):
		return invalid("Options.Persistent contradicts Policy, SizeLimit and CullLimit")
	case o.Persistent && o.TTL != 0:
		return invalid("Options.Persistent contradicts TTL; give it with each entry that is to expire")
	case o.Persistent && o.BestEffort:
		return invalid("Options.Persistent contradicts BestEffort")
	}
	return nil
}

// spec returns what the engine needs to open the collection.
func (o *Options[K, V]) spec() driver.Spec {
	s := driver.DefaultSettings()
	if o.Persistent {
		s = driver.PersistentSettings()
	}
	o.configure(&s)
	return driver.Spec{
		KeyCodec:   o.Keys.Name(),
		ValueCodec: o.Values.Name(),
		Settings:   s,
		Configure:  o.configure,
		Durable:    o.Persistent,
	}
}

// configure changes stored settings to what the options ask for.
func (o *Options[K, V]) configure(s *driver.Settings) {
	if o.Policy != "" {
		s.Policy = o.Policy
	}
	if o.SizeLimit != 0 {
		s.SizeLimit = o.SizeLimit
	}
	if o.CullLimit != 0 {
		s.CullLimit = o.CullLimit
	}
	if o.MinFileSize != 0 {
		s.MinFileSize = o.MinFileSize
	}
	s.Statistics = s.Statistics || o.Statistics
	s.TagIndex = s.TagIndex || o.TagIndex
	if o.Persistent {
		keep(s)
	}
	normalize(s)
}

// againstPersistent fails if the stored settings are those of a persistent
// collection, and the options would make it lose entries: somebody forgot to
// say Persistent. Who means it says so with Configure.
func (o *Options[K, V]) againstPersistent(s *driver.Settings) error {
	stored := *s
	keep(&stored)
	if o.Persistent || stored != *s {
		return nil
	}
	if o.Policy != "" && o.Policy != NoEviction || o.SizeLimit > 0 || o.CullLimit > 0 || o.TTL > 0 {
		return invalid("the collection is persistent, and these options would make it lose entries: open it with Persistent; to make it evict, open it without these options and call Configure")
	}
	return nil
}

// keep makes settings those of a persistent collection.
func keep(s *driver.Settings) {
	p := driver.PersistentSettings()
	s.Policy, s.SizeLimit, s.CullLimit = p.Policy, p.SizeLimit, p.CullLimit
}

// normalize replaces negative numbers, which mean none.
func normalize(s *driver.Settings) {
	if s.SizeLimit < 0 {
		s.SizeLimit = driver.NoLimit
	}
	if s.CullLimit < 0 {
		s.CullLimit = 0
	}
	if s.MinFileSize < 0 {
		s.MinFileSize = driver.NoLimit
	}
}
