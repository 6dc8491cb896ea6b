//go:build unix

package near

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// published returns an entry of a key all of whose bytes tell its version.
func published(hash uint64, version uint32, size int) entry {
	row := driver.Row{ID: int64(version), Value: codec.BlobValue(bytes.Repeat([]byte{byte(version)}, size))}
	e := entry(Append(nil, hash, 0, codec.IntegerValue(1), &row))
	e.setStamp(Stamp{8, version})
	return e
}

// Who reads from the mailbox gets an entry that was left as it was left, or none,
// while it is overwritten all the time, also through another map.
func TestMailboxIsNotTorn(t *testing.T) {
	path := t.TempDir() + "/table"
	writer, reader := openTable(t, path), openTable(t, path)
	const hash, other = 7, 7 + 1<<60 // of one cell
	var newest atomic.Uint32
	var over atomic.Bool
	var all sync.WaitGroup
	reads := 0
	all.Go(func() {
		var buf [maxPublished]byte
		for last := false; !last; {
			last = over.Load() // then the entry stays
			version := newest.Load()
			e := reader.mailbox.read(&buf, hash, Stamp{8, version})
			if e == nil {
				runtime.Gosched()
				continue
			}
			reads++
			var r driver.Row
			e.row(&r, codec.Value{}, false)
			strange := func(b byte) bool { return b != byte(version) }
			if r.ID != int64(version) || slices.ContainsFunc(r.Value.Blob(), strange) {
				t.Errorf("version %d: %+v", version, r)
				return
			}
		}
	})
	for version := uint32(2); version < 200_000; version += 2 {
		if version%16 == 0 {
			writer.mailbox.publish(published(other, version, 10))
		}
		if version%32 == 0 { // a writer dies
			p := writer.mailbox.cell(hash)
			p.sequence.Store(p.sequence.Load() | 1)
			p.entry[20].Store(rand.Uint64())
		}
		writer.mailbox.publish(published(hash, version, rand.IntN(maxPublished-headSize)))
		newest.Store(version)
		if version%64 == 0 {
			runtime.Gosched()
		}
	}
	over.Store(true)
	all.Wait()
	if reads == 0 {
		t.Error("nothing was read")
	}
}

func TestMailbox(t *testing.T) {
	b := openTable(t, t.TempDir()+"/table").mailbox
	var buf [maxPublished]byte
	s := Stamp{8, 2}
	read := func(hash uint64, s Stamp) bool { return b.read(&buf, hash, s) != nil }
	expect := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	expect("an empty mailbox", read(0, Stamp{}), false)
	b.publish(published(1, 2, 10))
	expect("what was left", read(1, s), true)
	expect("an older stamp", read(1, Stamp{8, 0}), false)
	expect("another epoch", read(1, Stamp{6, 2}), false)
	expect("another key of the cell", read(1+1<<60, s), false)
	b.remove(1 + 1<<60)
	expect("after another key was removed", read(1, s), true)
	b.remove(1)
	expect("after it was removed", read(1, s), false)
	b.remove(1)
	b.publish(published(1, 2, 10))
	expect("after it was left again", read(1, s), true)
	b.publish(published(1+1<<60, 2, 10))
	expect("after another key took its cell", read(1, s), false)

	// Nothing in the mailbox makes a reader fail.
	for range 10_000 {
		b.publish(published(1, 2, 100))
		p := b.cell(1)
		i := rand.IntN(headSize / 8)
		if i == atHash/8 || i == atEpoch/8 {
			continue
		}
		p.entry[i].Store(rand.Uint64() >> rand.IntN(64))
		if e := b.read(&buf, 1, s); e != nil {
			var r driver.Row
			e.is(0, codec.TextValue("k"))
			e.row(&r, codec.Value{}, false)
		}
	}
}

// What was removed or replaced is not in the file any more, whoever looks.
func TestMailboxForgets(t *testing.T) {
	path := t.TempDir() + "/table"
	table := openTable(t, path)
	table.SetIndex(header{&world{yield: func() {}}})
	b := table.mailbox
	const mark = 0x5a
	secret := func() entry { return published(1, mark, 500) }
	there := func() bool {
		t.Helper()
		all, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(all, bytes.Repeat([]byte{mark}, 8))
	}
	commit := func(all bool) {
		var c Commit
		table.Begin(&c, nil, all)
		table.End(&c)
	}
	for name, forget := range map[string]func(){
		"removed":              func() { b.remove(1) },
		"replaced":             func() { b.publish(published(1, 4, 1)) },
		"another's cell":       func() { b.publish(published(1+1<<60, 4, 1)) },
		"a commit of many":     func() { commit(true) },
		"the next epoch":       func() { table.Resync(); commit(false) },
		"a new table":          func() { table.forget() },
		"the last who closes":  func() { openTable(t, path).Clear(); table.Clear() },
		"after a writer died":  func() { dieWriting(b, 1); b.publish(published(1, 4, 1)) },
		"removed when it died": func() { dieWriting(b, 1); table.Resync(); commit(false) },
	} {
		commit(false)
		e := secret()
		e.setStamp(Stamp{table.Epoch(), 2})
		b.publish(e)
		if !there() {
			t.Fatal("it was not there")
		}
		if forget(); there() {
			t.Errorf("%s: it is still there", name)
		}
	}
}

// dieWriting leaves an entry as a writer does that dies when it has written the
// head.
func dieWriting(b *mailbox, hash uint64) {
	p := b.cell(hash)
	p.sequence.Store(p.sequence.Load() | 1)
	e := entry(p.bytes())
	e.set32(atLength, headSize)
}
