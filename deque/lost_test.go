package deque_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
)

var inFile = strings.Repeat("x", 40_000)

// lose removes the value files that begin with "lost", of which there are to
// be n.
func lose(t *testing.T, st *cache.Store, n int) {
	t.Helper()
	_, err := st.Check(t.Context(), nil) // without those that wait to be removed
	ok(t, err)
	err = filepath.WalkDir(st.Dir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".val") || strings.Contains(path, "-sessions") {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.HasPrefix(string(b), "lost") {
			n--
			err = os.Remove(path)
		}
		return err
	})
	ok(t, err)
	equal(t, n, 0)
}

// TestLostItem has the values of items lost, at both ends and among those that
// are claimed or delayed. Who takes items is told of each, once, and gets all the
// others; nobody else is kept from anything.
func TestLostItem(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"", "d"} {
		now := &clock{t: time.Unix(1_700_000_000, 0)}
		st := must(cache.OpenStore(ctx, t.TempDir(), &cache.StoreOptions{Now: now.Now}))(t)
		defer func() { ok(t, st.Close()) }()
		d := open(t, st, name, "lost1"+inFile, "lost2"+inFile, "a"+inFile, "lost3"+inFile, "b", "lost4"+inFile)
		claim(t, d, time.Minute) // lost1
		nacked := claim(t, d, deque.UntilClosed)
		ok(t, d.PushBack(ctx, "lost5"+inFile, deque.Delay(time.Minute)))
		ok(t, d.PushBack(ctx, "c", deque.Delay(time.Minute)))
		lose(t, st, 5)
		is(t, nacked.Nack(ctx, 0), cache.ErrCorrupt)
		is(t, nacked.Nack(ctx, 0), deque.ErrLost)
		now.Advance(time.Hour)

		lost := func(what string, _ any, found bool, err error) {
			t.Helper()
			if found {
				t.Fatalf("%s: there is an item", what)
			}
			is(t, err, cache.ErrCorrupt)
		}
		for range 2 { // who does not take anything is not told, and finds what is there
			equal(t, must(d.Len(ctx))(t), int64(5))
			v, found, err := d.PeekFront(ctx)
			if !found || err != nil || v != "a"+inFile {
				t.Fatalf("first is %.5q, %v, %v", v, found, err)
			}
			v, found, err = d.PeekBack(ctx)
			if !found || err != nil || v != "c" {
				t.Fatalf("last is %.5q, %v, %v", v, found, err)
			}
		}
		v, found, err := d.PopFront(ctx)
		lost("claimed and delayed", v, found, err)
		pops(t, d, "a"+inFile)
		c, found, err := d.Claim(ctx, deque.UntilClosed)
		lost("at the front", c, found, err)
		vs, err := d.PopFrontN(ctx, 10)
		ok(t, err)
		equal(t, len(vs), 1)
		equal(t, vs[0], "b")
		vs, err = d.PopFrontN(ctx, 10)
		lost("at the front, of several", vs, len(vs) > 0, err)
		pops(t, d, "c")
		holds(t, d)

		push(t, d, "d", "lost6"+inFile)
		lose(t, st, 1)
		v, found, err = d.PeekBack(ctx)
		lost("peeked at", v, found, err)
		v, found, err = d.PopBack(ctx)
		lost("at the back", v, found, err)
		holds(t, d, "d")
		if r := must(st.Check(ctx, nil))(t); !r.OK() {
			t.Errorf("%+v", r.Problems)
		}
	}
}

// TestLostClaim loses the values of claims whose holder has died.
func TestLostClaim(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	d := open(t, st, "d", "lost"+inFile, "a"+inFile, "b")
	for range 3 {
		claim(t, d, deque.UntilClosed)
	}
	ok(t, st.Close()) // ends the session
	st = must(cache.OpenStore(ctx, dir, nil))(t)
	defer func() { ok(t, st.Close()) }()
	lose(t, st, 1)
	d = open[string](t, st, "d")
	for range 2 {
		holds(t, d, "a"+inFile, "b")
	}
	// Whoever takes items gets the others, and is told of the lost one, once.
	var got []string
	told := 0
	for {
		v, found, err := d.PopFront(ctx)
		if err != nil {
			is(t, err, cache.ErrCorrupt)
			told++
			continue
		}
		if !found {
			break
		}
		got = append(got, v)
	}
	equal(t, told, 1)
	equal(t, len(got), 2)
	equal(t, got[0], "a"+inFile)
	equal(t, got[1], "b")
}
