//go:build unix

package near

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// openPath opens a table in a file.
func openPath(path string) (*Table, error) {
	dir, err := osfs.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := dir.Shared(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	return Open(f)
}

func openTable(t testing.TB, path string) *Table {
	t.Helper()
	table, err := openPath(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

// fakeIndex is a header that the test changes.
type fakeIndex struct {
	change, pages uint32
	sum           uint64
}

func (f *fakeIndex) Change() uint32        { return f.change }
func (f *fakeIndex) Pages() uint32         { return f.pages }
func (f *fakeIndex) FrameChecksum() uint64 { return f.sum }

// commit is what a commit does to the header, whoever makes it.
func (f *fakeIndex) commit() {
	f.change++
	f.sum = foldedProduct(f.sum^hashSeed, hashPrime)
}

// pair is a table as two processes see it.
type pair struct {
	t     *testing.T
	index fakeIndex
	a, b  *Table
}

func newPair(t *testing.T) *pair {
	path := filepath.Join(t.TempDir(), "table")
	p := &pair{t: t, a: openTable(t, path), b: openTable(t, path)}
	p.a.SetIndex(&p.index)
	p.b.SetIndex(&p.index)
	p.index.commit()
	p.a.Resync()
	return p
}

// Hashes of keys in different slots.
const one, two = 1, 1<<40 | 2

// stamp is that of a key for process b, which must have one.
func (p *pair) stamp(hash uint64) Stamp {
	p.t.Helper()
	s, ok := p.b.Stamp(hash)
	if !ok {
		p.t.Fatal("no stamp")
	}
	return s
}

func (p *pair) noStamp(hash uint64, why string) {
	p.t.Helper()
	if _, ok := p.b.Stamp(hash); ok {
		p.t.Error("a stamp, though", why)
	}
}

// differs demands that a key has a stamp, and another one than then.
func (p *pair) differs(hash uint64, then Stamp, why string) {
	p.t.Helper()
	if p.stamp(hash) == then {
		p.t.Error("the same stamp, though", why)
	}
}

// A commit of this project changes the version of its keys before it can be
// seen, and of no other.
func TestCommit(t *testing.T) {
	p := newPair(t)
	first, other := p.stamp(one), p.stamp(two)
	var c Commit
	p.a.Begin(&c, []uint64{one, one | 1<<50, one}, false) // thrice the same slot
	p.noStamp(one, "its commit is under way")
	if p.stamp(two) != other {
		t.Error("a key that is not written has another stamp")
	}
	p.index.commit()
	p.noStamp(one, "its commit is not accounted for")
	p.noStamp(two, "the commit is not accounted for")
	p.a.End(&c)
	p.differs(one, first, "it was written")
	if p.stamp(two) != other {
		t.Error("a key that was not written has another stamp")
	}
	if s, ok := p.a.Written(&c, one); !ok || s != p.stamp(one) {
		t.Error("what was written has not the stamp of now", s, ok)
	}
	if p.a.Epoch() != c.epoch {
		t.Error("an epoch ended without a reason")
	}
}

// What is rolled back, or wrote nothing, costs its keys their copies at most.
func TestRollback(t *testing.T) {
	p := newPair(t)
	first, other := p.stamp(one), p.stamp(two)
	var c Commit
	p.a.Begin(&c, []uint64{one}, false)
	p.a.End(&c)
	p.differs(one, first, "somebody was about to write it")
	if p.stamp(two) != other {
		t.Error("another key has another stamp")
	}
}

// all, or many keys, change the stamps of all keys.
func TestAll(t *testing.T) {
	many := make([]uint64, MaxMarked+1)
	for name, begin := range map[string]func(*Table, *Commit){
		"all":  func(a *Table, c *Commit) { a.Begin(c, nil, true) },
		"many": func(a *Table, c *Commit) { a.Begin(c, many, false) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			other := p.stamp(two)
			var c Commit
			begin(p.a, &c)
			p.noStamp(two, "all keys are about to change")
			p.index.commit()
			p.b.Resync() // takes it for one of others
			p.noStamp(two, "the commit is not over")
			p.a.End(&c)
			p.differs(two, other, "all keys have changed")
			if _, ok := p.a.Written(&c, two); ok {
				t.Error("a stamp for a row that was written among all")
			}
		})
	}
}

// A commit of somebody else, before the transaction or after it, ends the
// validity of all stamps, and no later one is equal.
func TestForeignCommit(t *testing.T) {
	for name, wrote := range map[string]bool{"among writes": true, "among empty commits": false} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " before ", before), func(t *testing.T) {
				p := newPair(t)
				then, other := p.stamp(one), p.stamp(two)
				if before {
					p.index.commit()
				}
				var c Commit
				p.a.Begin(&c, []uint64{one}, false)
				if wrote {
					p.index.commit()
				}
				p.a.End(&c)
				written, ok := p.a.Written(&c, one)
				if !ok || written != p.stamp(one) {
					t.Error("what was written is not valid")
				}
				if !before {
					p.index.commit()
					p.noStamp(one, "a commit is not accounted for")
					p.noStamp(two, "a commit is not accounted for")
					p.b.Resync()
					if written == p.stamp(one) {
						t.Error("what was written before a commit of another program is valid")
					}
				}
				p.differs(one, then, "somebody has written")
				p.differs(two, other, "somebody has written")
			})
		}
	}
}

// The next writer accounts for commits of others as well as a reader.
func TestWriterResyncs(t *testing.T) {
	p := newPair(t)
	then := p.stamp(two)
	p.index.commit()
	var c Commit
	p.a.Begin(&c, nil, false)
	p.noStamp(two, "the writer has not committed")
	p.a.End(&c)
	p.differs(two, then, "another program has written")
}

// A reader that looked at the header long ago does no harm.
func TestResyncLate(t *testing.T) {
	p := newPair(t)
	p.index.commit()
	old := fingerprintOf(&p.index)
	p.b.Resync()
	then := p.stamp(two)
	p.index.commit()
	p.b.epoch.Add(2) // the rest of a Resync that began before
	p.b.accounted.Store(old)
	p.noStamp(two, "a commit is not accounted for")
	p.b.Resync()
	p.differs(two, then, "another program has written")
}

// A writer that dies, before COMMIT or after, leaves no stamp for its keys,
// and the next one makes up for it.
func TestDeath(t *testing.T) {
	for name, all := range map[string]bool{"keys": false, "all": true} {
		for _, committed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				p := newPair(t)
				then, other := p.stamp(one), p.stamp(two)
				p.a.Begin(new(Commit), []uint64{one}, all)
				if committed {
					p.index.commit()
					p.noStamp(two, "the dead writer's commit is not accounted for")
					p.b.Resync()
				}
				p.noStamp(one, "its writer died")
				if !all && committed {
					p.differs(two, other, "there was a resync")
				}
				var c Commit
				p.b.Begin(&c, []uint64{two}, false)
				p.index.commit()
				p.b.End(&c)
				p.differs(one, then, "its writer died")
				p.differs(two, other, "it was written")
				healed := p.stamp(one)
				p.b.Begin(&c, []uint64{two}, false)
				p.index.commit()
				p.b.End(&c)
				if p.stamp(one) != healed {
					t.Error("it is healed again and again")
				}
			})
		}
	}
}

// When the versions of a slot are used up they begin anew in another epoch,
// which begins before.
func TestVersionsUsedUp(t *testing.T) {
	for _, dies := range []bool{false, true} {
		p := newPair(t)
		p.a.slot(one).Store(math.MaxUint32 - 1)
		first := Stamp{epoch: p.a.Epoch()} // of 2^32 versions ago
		var c Commit
		p.a.Begin(&c, []uint64{one}, false)
		p.index.commit()
		if !dies {
			p.a.End(&c)
		} else {
			p.b.Begin(&c, nil, false)
			p.b.End(&c)
		}
		if s := p.stamp(one); s.version != 0 {
			t.Error("the version is", s.version)
		}
		p.differs(one, first, "the versions were used up")
		if s, ok := p.a.Written(&c, one); ok && !dies && s == p.stamp(one) {
			t.Error("a stamp of the epoch before is valid")
		}
	}
}

// An unaccounted commit is one that nobody accounts for in some time.
func TestStray(t *testing.T) {
	p := newPair(t)
	at := func(now int64, want bool) {
		t.Helper()
		if p.b.Unaccounted(now, 10) != want {
			t.Errorf("at %d: not %v", now, want)
		}
	}
	at(0, false)
	p.index.commit()
	at(100, false)
	at(109, false)
	at(110, true)
	p.index.commit()
	at(111, false)
	at(121, true)
	p.b.Resync()
	at(200, false)
}
