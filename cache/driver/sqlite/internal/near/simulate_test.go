//go:build unix

package near

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// simKeys is the number of keys of a simulation, of which two share a slot.
const simKeys = 4

func simHash(k int) uint64 { return uint64(k)<<60 | uint64(max(k, 1)) }

// world is a database, as far as this package has to do with one, and what is
// known about the values that were seen.
type world struct {
	yield  func() // where somebody else may go on
	mortal bool   // processes may die

	writeLock atomic.Bool

	// The header, which is written field by field.
	change, pages atomic.Uint32
	sum           atomic.Uint64

	mu        sync.Mutex
	data      [simKeys]int64 // grows with each commit
	committed map[int64]bool

	now   atomic.Int64
	last  atomic.Int64
	floor [simKeys]atomic.Int64 // who begins to read now must not see less
	wrong atomic.Pointer[string]
	hits  atomic.Int64

	fetches atomic.Int64
}

// header is how a process sees the header: others may go on between two loads.
type header struct{ w *world }

func (h header) Change() uint32        { h.w.yield(); return h.w.change.Load() }
func (h header) Pages() uint32         { h.w.yield(); return h.w.pages.Load() }
func (h header) FrameChecksum() uint64 { h.w.yield(); return h.w.sum.Load() }

// hold waits for a lock and returns what releases it, once.
func (w *world) hold(l *atomic.Bool) (release func()) {
	for !l.CompareAndSwap(false, true) {
		w.yield()
	}
	return sync.OnceFunc(func() { l.Store(false) })
}

// commit is SQLite's: the caller has the write lock, and has it still.
func (w *world) commit(changes map[int]int64) {
	w.change.Add(1)
	w.yield()
	w.pages.Add(uint32(len(changes)))
	w.yield()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sum.Store(foldedProduct(w.sum.Load()^hashSeed, hashPrime+uint64(w.last.Load())))
	for k, v := range changes {
		w.data[k] = v
		w.committed[v] = true
	}
}

func (w *world) read(k int) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.data[k]
}

// seen notes that an operation on a key has returned: nobody who begins later
// may see less.
func (w *world) seen(k int, v int64) {
	for f := &w.floor[k]; ; {
		old := f.Load()
		if old >= v || f.CompareAndSwap(old, v) {
			return
		}
	}
}

func (w *world) isCommitted(v int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return v == 0 || w.committed[v]
}

// process is one that uses this package.
type process struct {
	*world
	table    *Table
	rows     *Rows
	patience int64 // with an unaccounted commit, in steps; negative: it resyncs without a look
	bug      bug
}

// bug is what a process does wrong.
type bug int

const (
	none                 bug = iota
	skippedSlot              // a key that was changed is not announced
	lateMark                 // versions become odd when the commit was accounted for
	endUnlocked              // End when the write lock was released
	unbumped                 // the next writer notes what others committed, but no epoch
	resyncUnbumped           // and so do readers
	resyncLate               // readers advance the epoch first, and then look at the fingerprint
	stampLate                // what is read is kept under the stamp of afterwards
	epochFirst               // readers look at the epoch before the fingerprint
	writtenUnlocked          // what was written has the stamp of when the next may write already
	keptUncommitted          // what was not committed is kept
	publishedUncommitted     // or left for others
	publishedLate            // what was written is left for others under the stamp of afterwards
	notRemoved               // what is not known any more stays left for others
	bugs
)

func (b bug) String() string {
	return [...]string{"none", "skipped slot", "late mark", "end unlocked", "unbumped", "resync unbumped", "resync late",
		"stamp late", "epoch first", "written unlocked", "kept uncommitted", "published uncommitted", "published late", "not removed"}[b]
}

func (p *process) stamp(h uint64) (Stamp, bool) {
	if p.bug != epochFirst {
		return p.table.Stamp(h)
	}
	s := Stamp{epoch: p.table.epoch.Load()}
	p.yield()
	s.version = p.table.slot(h).Load()
	return s, fingerprintOf(p.table.index) == p.table.accounted.Load() && s.epoch&1 == 0 && s.version&1 == 0
}

func (p *process) resync() {
	switch p.bug {
	case resyncUnbumped:
		p.table.accounted.Store(fingerprintOf(p.table.index))
	case resyncLate:
		p.table.epoch.Add(2)
		p.yield()
		p.table.accounted.Store(fingerprintOf(p.table.index))
	default:
		p.table.Resync()
	}
}

// get is a Get outside of a transaction.
func (p *process) get(rng *rand.Rand) {
	k := rng.IntN(simKeys)
	key, h := codec.IntegerValue(int64(k)), simHash(k)
	floor := p.floor[k].Load()
	p.yield()
	s, keep := p.stamp(h)
	p.yield()
	var row driver.Row
	v, how := int64(0), "from memory"
	ask := func() bool { return p.rows.Get(h, s, 0, key, false, &row) == Found }
	switch {
	case keep && ask():
		v = row.Value.Integer()
		p.hits.Add(1)
	case keep && p.table.Fetch(p.rows, h, s) && ask():
		v, how = row.Value.Integer(), "from the mailbox"
		p.fetches.Add(1)
	default:
		if !keep && rng.IntN(3) == 0 && (p.patience < 0 || p.table.Unaccounted(p.now.Add(1), p.patience)) {
			p.resync()
		}
		p.yield()
		v, how = p.read(k), "from the database"
		p.yield()
		if p.bug == stampLate {
			s, keep = p.stamp(h)
		}
		if keep {
			p.rows.Put(p.entry(k, v), s)
		}
	}
	if v < floor || !p.isCommitted(v) {
		p.wrong.CompareAndSwap(nil, new(fmt.Sprintf("key %d: %d %s, after somebody had seen %d", k, v, how, floor)))
	}
	p.seen(k, v)
}

// changes returns what a transaction is to write; often nothing.
func (w *world) changes(rng *rand.Rand) map[int]int64 {
	out := make(map[int]int64)
	for range rng.IntN(4) {
		out[rng.IntN(simKeys)] = w.last.Add(1)
	}
	return out
}

// set is a transaction of a process that uses this package. Wherever it
// yields, the process may die.
func (p *process) set(rng *rand.Rand) {
	unlock := p.hold(&p.writeLock)
	defer unlock()

	changes := p.changes(rng)
	fails := rng.IntN(8) == 0
	var hashes []uint64
	for k := range simKeys {
		if _, ok := changes[k]; ok && (p.bug != skippedSlot || rng.IntN(4) > 0) {
			hashes = append(hashes, simHash(k))
		}
	}
	commit := func() {
		p.yield()
		if !fails && len(changes) > 0 {
			p.commit(changes)
		}
		p.yield()
	}
	var c Commit
	begin := func() {
		if p.bug == unbumped {
			p.table.accounted.Store(fingerprintOf(p.table.index))
		}
		p.table.Begin(&c, hashes, rng.IntN(16) == 0)
	}
	if p.bug == lateMark {
		p.table.Begin(&c, nil, false)
		commit()
		p.table.End(&c)
		p.yield()
		begin()
	} else {
		begin()
		commit()
	}
	if p.bug == publishedUncommitted {
		c.before = 0
	}
	for k := range simKeys {
		if v, ok := changes[k]; ok && p.bug != publishedLate {
			p.publish(&c, rng, k, v)
		}
	}
	if p.bug == endUnlocked {
		unlock()
		p.yield()
	}
	p.table.End(&c)
	p.yield()
	if p.bug == writtenUnlocked {
		unlock()
		p.yield()
	}
	written := make(map[int]Stamp)
	for k := range changes {
		if s, ok := p.table.Written(&c, simHash(k)); ok && (!fails || p.bug == keptUncommitted) {
			written[k] = s
		}
	}
	unlock()
	for k := range simKeys {
		if s, ok := written[k]; ok {
			p.yield()
			p.rows.Put(p.entry(k, changes[k]), s)
			if p.bug == publishedLate {
				e := p.entry(k, changes[k])
				s, _ = p.table.Stamp(simHash(k))
				e.setStamp(s)
				p.table.mailbox.publish(e)
			}
		}
	}
	if !fails {
		for k, v := range changes {
			p.seen(k, v)
		}
	}
}

// publish leaves what was written of a key: at once, after a value that the
// transaction has overwritten, or not at all after such a value.
func (p *process) publish(c *Commit, rng *rand.Rand, k int, v int64) {
	leave := func(v int64) {
		p.yield()
		p.table.Publish(c, simHash(k), p.entry(k, v))
	}
	switch rng.IntN(4) {
	case 0:
		leave(-v)
		leave(v)
	case 1:
		leave(-v)
		if p.bug != notRemoved {
			p.table.Publish(c, simHash(k), nil)
		}
	default:
		leave(v)
	}
	if p.mortal && rng.IntN(50) == 0 { // it dies while it leaves another
		cell := p.table.mailbox.cell(simHash(k))
		cell.sequence.Store(cell.sequence.Load() | 1)
		cell.entry[atValue/8].Store(^uint64(0))
		panic(death{})
	}
}

func (p *process) entry(k int, v int64) entry {
	return Append(nil, simHash(k), 0, codec.IntegerValue(int64(k)), &driver.Row{Value: codec.IntegerValue(v)})
}

// foreign is a transaction of a program that knows nothing of this package.
func (w *world) foreign(rng *rand.Rand) {
	defer w.hold(&w.writeLock)()
	changes := w.changes(rng)
	if len(changes) > 0 {
		w.commit(changes)
	}
	w.yield()
	for k, v := range changes {
		w.seen(k, v)
	}
}

// newWorld returns a world with two processes; each has mapped the table
// itself, and can die.
func newWorld(t *testing.T, b bug) (*world, []*process) {
	w := &world{committed: make(map[int64]bool)}
	path := t.TempDir() + "/table"
	var ps []*process
	for range 2 {
		p := &process{world: w, table: openTable(t, path), rows: newRows(t, 1<<16), bug: b}
		p.table.SetIndex(header{w})
		ps = append(ps, p)
	}
	return w, ps
}

// simulate has readers of two processes, their writers, some of which die, and
// writers who know nothing of them take turns, as the seed says. It returns
// what was wrong, or nil.
func simulate(t *testing.T, b bug, seed uint64, steps int) (wrong *string, hits, fetches int64) {
	w, ps := newWorld(t, b)
	s := newScheduler(seed)
	w.yield = s.yield
	w.mortal = true
	often := func(n ...int) int { return n[s.rng.IntN(len(n))] }
	idle, mortal, idleForeign := often(0, 10, 50), often(40, 500, 10_000), often(0, 50, 1000)
	patience := often(-1, 0, 20)
	for _, p := range ps {
		p.patience = int64(patience)
		s.start(p.get, 0, 0)
		s.start(p.get, 0, 0)
		s.start(p.set, idle, 0)
		s.start(p.set, idle, mortal)
	}
	s.start(w.foreign, idleForeign, 0)
	s.run(steps, func() bool { return w.wrong.Load() == nil })
	return w.wrong.Load(), w.hits.Load(), w.fetches.Load()
}

// TestSimulation: nobody who reads sees less than was seen before.
func TestSimulation(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 10
	}
	all, fetched := int64(0), int64(0)
	for seed := range seeds {
		wrong, hits, fetches := simulate(t, none, seed, 20_000)
		if wrong != nil {
			t.Fatalf("seed %d: %s", seed, *wrong)
		}
		all, fetched = all+hits, fetched+fetches
	}
	if all < 100*int64(seeds) || fetched < 10*int64(seeds) {
		t.Errorf("%d reads were answered from memory, %d from the mailbox", all, fetched)
	}
}

// TestPlantedBugs: the simulation finds what it is there to find.
func TestPlantedBugs(t *testing.T) {
	for b := none + 1; b < bugs; b++ {
		t.Run(b.String(), func(t *testing.T) {
			for seed := range uint64(400) {
				if wrong, _, _ := simulate(t, b, seed, 20_000); wrong != nil {
					t.Logf("seed %d: %s", seed, *wrong)
					return
				}
			}
			t.Error("not found")
		})
	}
}

// TestParallel is the simulation without a scheduler: the steps of this
// package, too, run side by side.
func TestParallel(t *testing.T) {
	w, ps := newWorld(t, none)
	w.yield = func() {
		if rand.Uint32()&3 == 0 {
			runtime.Gosched()
		}
	}
	rounds := 40_000
	if testing.Short() {
		rounds = 4_000
	}
	// Where the goroutines hardly run side by side it takes more until all has happened.
	enough := func(i int) bool {
		return i >= rounds && (w.hits.Load() > 0 && w.fetches.Load() > 0 || i >= 1000*rounds)
	}
	var all sync.WaitGroup
	start := func(fn func(*rand.Rand)) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for i := 0; !enough(i) && w.wrong.Load() == nil; i++ {
				fn(rng)
			}
		})
	}
	for _, p := range ps {
		start(p.get)
		start(p.get)
		start(p.set)
	}
	start(w.foreign)
	all.Wait()
	if wrong := w.wrong.Load(); wrong != nil {
		t.Fatal(*wrong)
	}
	if w.hits.Load() == 0 || w.fetches.Load() == 0 {
		t.Error("no read was answered from memory, or none from the mailbox")
	}
}
