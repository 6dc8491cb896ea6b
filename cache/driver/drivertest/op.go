package drivertest

import (
	"fmt"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// op is an operation of a random program. It depends on no result, so that
// operations before it can be left out. For the ID of a row it has the row's place,
// from 1, among those that are there.
type op struct {
	kind       opKind
	handle     int
	collection int

	// What the kind needs.
	now      driver.Instant
	key      codec.Value
	put      driver.Put
	puts     []driver.Put
	keys     []codec.Value
	file     []byte // content of a value file, for put
	lookup   driver.Lookup
	expire   driver.Instant
	scan     driver.Scan
	filter   driver.Filter
	limit    int
	settings driver.Settings
	reset    bool

	// A transaction.
	mode driver.Mode
	end  ending
	ops  []op
	then []op // for snapshot: what is written while it is open
}

type opKind int

const (
	opPut opKind = iota
	opPutMany
	opGet
	opGetMany
	opTouch
	opDelete
	opScan
	opPages
	opRemove
	opCull
	opCount
	opFence
	opIncrement
	// The rest is not done inside of a transaction.
	opUpdate
	opView
	opSnapshot
	opLookups
	opStats
	opConfigure
	opDrop
	opNames
)

var opNamesByKind = [...]string{
	"put", "put many", "get", "get many", "touch", "delete", "scan", "pages", "remove", "cull", "count", "fence", "increment",
	"update", "view", "snapshot", "lookups", "stats", "configure", "drop", "names",
}

// ending is how a transaction ends.
type ending int

const (
	commits ending = iota
	rollsBack
	panics
)

// collections are the names of those that a program uses.
var collections = [...]string{"", "a", "b"}

func (o op) String() string {
	var b strings.Builder
	b.WriteString(opNamesByKind[o.kind])
	add := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	at := func(i driver.Instant) string {
		if i == 0 {
			return "never"
		}
		return fmt.Sprintf("%+g", float64(i-now))
	}
	if o.kind >= opUpdate {
		add("h%d", o.handle)
	}
	if o.kind < opUpdate || o.kind > opSnapshot && o.kind != opNames {
		add("%q", collections[o.collection])
	}
	put := func(p *driver.Put) {
		add("key=%s expire=%s tag=%s keep=%v now=%s cull=%d expired=%v", show(p.Key), at(p.Expire), show(p.Tag), p.Keep, at(p.Now), p.Cull, p.Expired)
		if o.file != nil {
			add("%v file of %d", p.Value.Kind(), len(o.file))
		} else {
			add("value=%s", show(p.Value))
		}
	}
	switch o.kind {
	case opPut:
		put(&o.put)
	case opPutMany:
		for i := range o.puts {
			put(&o.puts[i])
		}
	case opGetMany:
		for _, k := range o.keys {
			add("key=%s", show(k))
		}
		add("now=%s quiet=%v bare=%v", at(o.lookup.Instant()), o.lookup.Quiet, o.lookup.Bare)
	case opGet:
		add("key=%s now=%s quiet=%v bare=%v", show(o.key), at(o.lookup.Instant()), o.lookup.Quiet, o.lookup.Bare)
	case opLookups:
		add("key=%s now=%s quiet=%v bare=%v slide=%s times=%d", show(o.key), at(o.lookup.Instant()), o.lookup.Quiet, o.lookup.Bare, at(o.lookup.Slide), o.limit)
	case opTouch:
		add("key=%s expire=%s now=%s", show(o.key), at(o.expire), at(o.now))
	case opDelete, opIncrement:
		add("key=%s now=%s", show(o.key), at(o.now))
	case opScan, opPages:
		s := o.scan
		add("order=%d desc=%v tag=%s live=%s skip=%d limit=%d bare=%v keys=%v", s.Order, s.Desc, show(s.Tag), at(s.Live), s.Skip, s.Limit, s.Bare, s.Keys)
		if s.Lower != nil {
			add("lower=%s open=%v", show(s.Lower.Key), s.Lower.Open)
		}
		if s.Upper != nil {
			add("upper=%s open=%v", show(s.Upper.Key), s.Upper.Open)
		}
		if s.After != nil {
			add("after place=%d key=%s expire=%s", s.After.ID, show(s.After.Key), at(s.After.Expire))
		}
	case opRemove:
		add("expired=%s tag=%s places=%v limit=%d", at(o.filter.Expired), show(o.filter.Tag), o.filter.IDs, o.limit)
	case opCull:
		add("now=%s limit=%d keep=%s", at(o.now), o.limit, show(o.key))
	case opStats:
		add("reset=%v", o.reset)
	case opConfigure:
		add("%+v", o.settings)
	case opUpdate:
		add("mode=%d end=%d %v", o.mode, o.end, o.ops)
	case opView:
		add("%v", o.ops)
	case opSnapshot:
		add("%v, then %v", o.ops, o.then)
	}
	return b.String()
}

// generator makes operations out of choices.
type generator struct {
	choose func(n int) int // from 0 to n-1
	now    driver.Instant
}

func newGenerator(choose func(n int) int) *generator { return &generator{choose: choose, now: now} }

// chance is true in one of n cases.
func (g *generator) chance(n int) bool { return g.choose(n) == n-1 }

// Few keys, so that they meet again; some are equal.
var programKeys = []any{
	1, 1.0, 2, 2.5, -3, int64(1 << 53), float64(1 << 53), int64(1<<53 + 1), "1", "a", "b", "c", "a\x00b", "", "日",
	[]byte("a"), []byte("1"), []byte{}, []byte{0},
}

var programValues = []any{nil, 7, -1.5, "text", "", []byte("blob"), []byte{}, strings.Repeat("long", 20_000), 3.0}

var programTags = []any{nil, nil, "t", 1, 1.0, []byte("t")}

func (g *generator) key() codec.Value   { return val(programKeys[g.choose(len(programKeys))]) }
func (g *generator) value() codec.Value { return val(programValues[g.choose(len(programValues))]) }
func (g *generator) tag() codec.Value   { return val(programTags[g.choose(len(programTags))]) }

// later returns an instant after now.
func (g *generator) later() driver.Instant {
	return g.now + []driver.Instant{0.5, 1, 5, 30, 1000}[g.choose(5)]
}

func (g *generator) expire() driver.Instant {
	switch g.choose(5) {
	case 0, 1:
		return 0
	case 2:
		return g.now - 1
	}
	return g.later()
}

// instant returns one to ask about: mostly the present.
func (g *generator) instant() driver.Instant {
	switch g.choose(6) {
	case 0:
		return g.now - 2
	case 1:
		return g.later()
	}
	return g.now
}

// lookup is one of the two kinds: every other instant is told by a clock.
func lookup(at driver.Instant, quiet, bare bool) driver.Lookup {
	l := driver.Lookup{Now: at, Quiet: quiet, Bare: bare}
	if int64(at)%2 == 0 {
		l.Now, l.Clock = 0, at.Time
	}
	return l
}

// tick moves the clock, and sometimes back.
func (g *generator) tick() {
	switch g.choose(16) {
	case 0:
		g.now += 100
	case 1:
		g.now -= 100
	case 2, 3, 4, 5, 6, 7:
		g.now += driver.Instant(g.choose(4)) / 2
	}
}

// op returns the next operation.
func (g *generator) op() op {
	g.tick()
	if g.choose(3) > 0 {
		return g.update(1)
	}
	o := op{handle: g.choose(4), collection: g.choose(len(collections))}
	switch o.kind = opUpdate + opKind(g.choose(int(opNames-opUpdate)+1)); o.kind {
	case opUpdate:
		return g.update(2 + g.choose(6))
	case opView:
		o.ops = g.reads(1 + g.choose(4))
	case opSnapshot:
		o.ops = g.reads(1 + g.choose(4))
		for range 1 + g.choose(4) {
			o.then = append(o.then, g.inner(true))
		}
	case opLookups:
		o.key, o.limit = g.key(), 1+g.choose(4)
		o.lookup = lookup(g.instant(), g.chance(4), g.chance(2))
		if g.chance(2) {
			o.lookup.Slide = o.lookup.Instant() + driver.Instant(10*(1+g.choose(3)))
		}
	case opStats:
		o.reset = g.chance(3)
	case opConfigure:
		o.settings = g.settings()
	case opDrop:
		o.collection = 1 + g.choose(len(collections)-1)
	}
	return o
}

// update returns a transaction of some operations.
func (g *generator) update(n int) op {
	o := op{kind: opUpdate, handle: g.choose(4), mode: driver.Mode(g.choose(2))}
	for range n {
		o.ops = append(o.ops, g.inner(true))
	}
	switch g.choose(8) {
	case 0:
		o.end = rollsBack
	case 1:
		if o.mode == driver.Alone {
			o.end = panics
		}
	}
	return o
}

func (g *generator) reads(n int) []op {
	var ops []op
	for range n {
		ops = append(ops, g.inner(false))
	}
	return ops
}

// inner returns an operation inside of a transaction.
func (g *generator) inner(writes bool) op {
	o := op{collection: g.choose(len(collections)), now: g.now}
	kinds := []opKind{opGet, opGet, opGetMany, opScan, opScan, opPages, opCount}
	if writes {
		kinds = append(kinds, opPut, opPut, opPut, opPut, opPut, opPutMany, opTouch, opDelete, opRemove, opCull, opFence, opIncrement)
	}
	switch o.kind = kinds[g.choose(len(kinds))]; o.kind {
	case opPut:
		o.put = g.put()
		if k := o.put.Value.Kind(); (k == codec.Text || k == codec.Blob) && g.chance(3) {
			o.file = append([]byte{}, o.put.Value.Text()...)
			o.file = append(o.file, o.put.Value.Blob()...)
		}
	case opPutMany:
		for range g.choose(4) {
			o.puts = append(o.puts, g.put())
		}
	case opGet:
		o.key, o.lookup = g.key(), lookup(g.instant(), g.chance(2), g.chance(3))
	case opGetMany:
		for range g.choose(5) {
			o.keys = append(o.keys, g.key())
		}
		o.lookup = lookup(g.instant(), g.chance(2), g.chance(3))
	case opTouch:
		o.key, o.expire = g.key(), g.expire()
	case opDelete, opIncrement:
		o.key = g.key()
	case opScan, opPages:
		o.scan = g.scan()
		if o.kind == opPages {
			o.scan.After, o.scan.Skip, o.scan.Limit = nil, 0, 1+g.choose(4)
		}
	case opRemove:
		o.filter, o.limit = g.filter(), 1_000_000*g.choose(2)
	case opCull:
		o.limit = g.choose(5)
		if g.chance(2) {
			o.key = g.key()
		}
	}
	return o
}

func (g *generator) put() driver.Put {
	p := driver.Put{Key: g.key(), Value: g.value(), Expire: g.expire(), Tag: g.tag(), Keep: g.chance(3), Now: g.now, Expired: g.chance(2)}
	switch g.choose(6) {
	case 0:
		p.Cull = driver.CullLimit
	case 1:
		p.Cull = 1 + g.choose(4)
	}
	return p
}

func (g *generator) scan() driver.Scan {
	if g.chance(3) {
		return g.end()
	}
	s := driver.Scan{
		Order: driver.Order(g.choose(3)), Desc: g.chance(2), Bare: g.chance(3),
		Limit: g.choose(30), Skip: int64(max(0, g.choose(8)-4)),
	}
	for _, b := range []**driver.Bound{&s.Lower, &s.Upper} {
		if g.chance(4) {
			*b = &driver.Bound{Key: g.key(), Open: g.chance(2)}
		}
	}
	if g.chance(4) {
		s.Tag = g.tag()
	}
	if g.chance(3) {
		s.Live = g.instant()
	}
	if g.chance(3) {
		s.After = &driver.Row{ID: int64(g.choose(30) - 15), Key: g.key(), Expire: g.later()}
	}
	return s
}

// end returns a scan for the key at one end of one of a few ranges, as before a
// push.
func (g *generator) end() driver.Scan {
	ranges := [...][2]*driver.Bound{
		{bound(-100, true), bound(100, true)},
		{bound("", true), bound("zzz", true)},
		{bound(-100, true), bound("zzz", true)},
	}
	r := ranges[g.choose(len(ranges))]
	return driver.Scan{Order: driver.ByKey, Desc: g.chance(2), Keys: true, Lower: r[0], Upper: r[1], Limit: 1}
}

func (g *generator) filter() driver.Filter {
	var f driver.Filter
	if g.choose(3) > 0 {
		f.Expired = g.instant()
	}
	if g.chance(3) {
		f.Tag = g.tag()
	}
	if f.Expired == 0 && f.Tag.IsNull() || g.chance(3) {
		f.IDs = []int64{}
		for range g.choose(4) {
			f.IDs = append(f.IDs, int64(g.choose(15)))
		}
	}
	return f
}

// settings make a collection always too large or never: volumes differ
// between engines.
func (g *generator) settings() driver.Settings {
	s := driver.Settings{
		Policy:     []driver.Policy{driver.LeastRecentlyStored, driver.LeastRecentlyUsed, driver.LeastFrequentlyUsed, driver.NoEviction}[g.choose(4)],
		SizeLimit:  driver.NoLimit,
		CullLimit:  g.choose(20),
		Statistics: g.chance(2),
		TagIndex:   g.chance(2),
	}
	if g.choose(3) > 0 {
		s.SizeLimit = tooLarge
	}
	s.MinFileSize = int64(g.choose(3)) << 10
	return s
}

// inspection looks at everything.
func inspection() []op {
	var ops []op
	for i := range collections {
		read := []op{
			{kind: opPages, collection: i, scan: driver.Scan{Order: driver.ByID, Limit: 3}},
			{kind: opPages, collection: i, scan: driver.Scan{Order: driver.ByKey, Limit: 3}},
			{kind: opPages, collection: i, scan: driver.Scan{Order: driver.ByExpire, Limit: 3}},
			{kind: opCount, collection: i},
		}
		for handle := range 2 {
			ops = append(ops,
				op{kind: opView, handle: handle, ops: read},
				op{kind: opStats, handle: handle, collection: i},
			)
		}
	}
	return append(ops, op{kind: opNames})
}
