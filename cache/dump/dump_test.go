package dump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/dump"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// TestMain has the program run as another process that moves the items of a deque.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DISKCACHE_MOVER"); dir != "" {
		if err := move(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func move(ctx context.Context, dir string) error {
	st, err := cache.OpenStore(ctx, dir, nil)
	if err != nil {
		return err
	}
	d, err := deque.New[string](ctx, st, "jobs", nil)
	if err == nil {
		err = d.Rotate(ctx, 1)
	}
	if err == nil {
		_, _, err = d.Claim(ctx, time.Hour)
	}
	return errors.Join(err, st.Close())
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, o *cache.StoreOptions) *cache.Store {
	t.Helper()
	st, err := cache.OpenStore(t.Context(), t.TempDir(), o)
	ok(t, err)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st
}

var kinds = []codec.Value{
	codec.IntegerValue(math.MinInt64), codec.IntegerValue(math.MaxInt64), codec.IntegerValue(0),
	codec.RealValue(0.1), codec.RealValue(2), codec.RealValue(1e300), codec.RealValue(math.Inf(-1)), codec.RealValue(math.Inf(1)), codec.RealValue(5e-324),
	codec.TextValue(""), codec.TextValue("<&>\u2028\x00\n\"\\ü\U0001f600"), codec.TextValue("\xff\xfe"), codec.TextValue(strings.Repeat("x", 100_000)),
	codec.BlobValue(nil), codec.BlobValue([]byte{0, 1, 255}), codec.BlobValue(bytes.Repeat([]byte{7}, 100_000)),
}

// all returns the entries of a collection, as far as they are to be the same elsewhere.
func all(t *testing.T, st *cache.Store, name string) (out []string) {
	t.Helper()
	c, err := cache.NewRaw(t.Context(), st, name, nil)
	ok(t, err)
	for e, err := range c.All(t.Context()) {
		ok(t, err)
		out = append(out, fmt.Sprint(e.Key.Kind(), e.Key, e.Value.Kind(), e.Value, e.Tag.Kind(), e.Tag, e.Expiry.UTC()))
	}
	return out
}

// What was exported is imported as it was, into any kind of store.
func TestRoundTrip(t *testing.T) {
	ctx := t.Context()
	from := openStore(t, nil)
	settings := cache.Settings{Policy: cache.LeastRecentlyUsed, SizeLimit: 1 << 30, CullLimit: 7, MinFileSize: 1000, Statistics: true, TagIndex: true}
	c, err := cache.NewRaw(ctx, from, "cache/all", &cache.Schema{Keys: "k", Values: "v", Settings: settings})
	ok(t, err)
	for i, v := range slices.Backward(kinds) {
		if math.IsInf(v.Real(), 0) {
			continue // no key
		}
		options := []cache.Option{cache.TagValue{Value: kinds[(i+5)%len(kinds)]}}
		if i%2 == 0 {
			options = append(options, cache.TTL(time.Hour))
		}
		if v.Len() > 1000 {
			options = options[1:]
		}
		ok(t, c.Set(ctx, cache.Raw{Value: v}, cache.Raw{Value: kinds[(i+1)%len(kinds)]}, options...))
	}
	pages, err := cache.New[string, int](ctx, from, "", nil)
	ok(t, err)
	ok(t, pages.Set(ctx, "k", 1))
	for name, values := range map[string]codec.Codec[float64]{"nan": codec.Float[float64](), "zlib": codec.Zlib(codec.Float[float64](), 0)} {
		c, err := cache.New(ctx, from, name, &cache.Options[string, float64]{Values: values})
		ok(t, err)
		ok(t, c.Set(ctx, "nan", math.NaN()))
	}
	ok(t, pages.Set(ctx, "over", 1, cache.ExpireAt(time.Now().Add(-time.Second))))

	var text bytes.Buffer
	r, err := dump.Export(ctx, from, &text, nil)
	ok(t, err)
	for _, kind := range []string{"disk", "shards", "memory"} {
		t.Run(kind, func(t *testing.T) {
			var into *cache.Store
			switch kind {
			case "disk":
				into = openStore(t, nil)
			case "shards":
				into = openStore(t, &cache.StoreOptions{Shards: 3})
			default:
				into = cache.NewStore(memory.New(nil), nil)
				defer into.Close()
			}
			got, err := dump.Import(ctx, into, bytes.NewReader(text.Bytes()), nil)
			ok(t, err)
			if got != r {
				t.Errorf("imported %+v, exported %+v", got, r)
			}
			for _, name := range []string{"cache/all", "", "cache/nan", "cache/zlib"} {
				if a, b := all(t, from, name), all(t, into, name); !slices.Equal(a, b) {
					t.Errorf("%q: %d entries, want %d", name, len(b), len(a))
				}
			}
			copied, err := cache.NewRaw(ctx, into, "cache/all", nil)
			ok(t, err)
			if s := copied.Schema(); s != c.Schema() {
				t.Errorf("%+v, want %+v", s, c.Schema())
			}
			_, err = dump.Import(ctx, into, bytes.NewReader(text.Bytes()), nil)
			if !errors.Is(err, dump.ErrExists) {
				t.Errorf("a second time: %v", err)
			}
			_, err = dump.Import(ctx, into, bytes.NewReader(text.Bytes()), &dump.Options{Merge: true})
			ok(t, err)
			if a, b := all(t, from, "cache/all"), all(t, into, "cache/all"); !slices.Equal(a, b) {
				t.Error("merged, it is not the same")
			}
		})
	}
}

// Items of a queue come over with their order, delays and attempts; new ones overwrite none.
func TestQueue(t *testing.T) {
	ctx := t.Context()
	from, into := openStore(t, nil), openStore(t, nil)
	d, err := deque.New[string](ctx, from, "jobs", &deque.Options[string]{MaxLen: 100})
	ok(t, err)
	for range 50 { // numbers of claims are high then
		ok(t, d.PushBack(ctx, "x"))
		c, _, err := d.Claim(ctx, time.Hour)
		ok(t, err)
		ok(t, c.Ack(ctx))
	}
	ok(t, d.PushBackMany(ctx, slices.Values([]string{"a", "b", "c"})))
	ok(t, d.PushBack(ctx, "later", deque.Delay(time.Hour)))
	_, _, err = d.Claim(ctx, time.Hour)
	ok(t, err)
	lock, err := dsync.NewLock(ctx, from, "l", nil)
	ok(t, err)
	_, err = lock.Lock(ctx)
	ok(t, err)

	var text bytes.Buffer
	_, err = dump.Export(ctx, from, &text, nil)
	ok(t, err)
	if strings.Contains(text.String(), "sync/leases") {
		t.Error("a lock is exported")
	}
	for range 2 {
		_, err = dump.Import(ctx, into, bytes.NewReader(text.Bytes()), &dump.Options{Merge: true})
		ok(t, err)
	}
	s, err := deque.Look(ctx, into, "jobs")
	ok(t, err)
	if s.Ready != 2 || s.Claimed != 1 || s.Delayed != 1 || s.MaxLen != 100 {
		t.Fatalf("%+v", s)
	}
	other, err := deque.New[string](ctx, into, "jobs", nil)
	ok(t, err)
	for range 60 { // and none in the place of another
		ok(t, other.PushBack(ctx, "new", deque.Delay(time.Hour)))
	}
	for _, want := range []string{"a", "b", "c"} {
		c, found, err := other.Claim(ctx, time.Hour)
		ok(t, err)
		if !found || c.Value != want || (c.Attempt == 2) != (want == "a") {
			t.Fatalf("%+v, want %q", c, want)
		}
	}
	if s, err = deque.Look(ctx, into, "jobs"); err != nil || s.Delayed != 61 || s.Claimed != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

// An item that is claimed or comes back at any moment of an export is in it once.
func TestQueueInUse(t *testing.T) {
	for _, size := range []int{1, 100_000} {
		for _, back := range []bool{false, true} {
			moved := false
			for at := 1; ; at++ {
				ctx, dir := t.Context(), t.TempDir()
				using, err := cache.OpenStore(ctx, dir, nil)
				ok(t, err)
				d, err := deque.New[string](ctx, using, "jobs", nil)
				ok(t, err)
				ok(t, d.PushBack(ctx, strings.Repeat("x", size)))
				claim, _, err := d.Claim(ctx, time.Hour)
				ok(t, err)
				if !back {
					ok(t, claim.Nack(ctx, 0))
				}
				left := math.MaxInt
				from, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Now: func() time.Time {
					if left--; left == 0 && back {
						ok(t, claim.Nack(ctx, 0))
					} else if left == 0 {
						_, _, err := d.Claim(ctx, time.Hour)
						ok(t, err)
					}
					return time.Now()
				}})
				ok(t, err)
				left = at
				var text bytes.Buffer
				_, err = dump.Export(ctx, from, &text, nil)
				ok(t, err)
				over := left > 0
				left = math.MaxInt
				if n := strings.Count(text.String(), strings.Repeat("x", size)+`"`); n != 1 {
					t.Errorf("an item of %d bytes that moves (back: %v) at step %d is there %d times", size, back, at, n)
				}
				into := openStore(t, nil)
				_, err = dump.Import(ctx, into, &text, nil)
				ok(t, err)
				s, err := deque.Look(ctx, into, "jobs")
				if err != nil || s.Ready+s.Claimed+s.Delayed != 1 || s.Delayed != 0 {
					t.Errorf("step %d: %+v, %v", at, s, err)
				}
				ok(t, from.Close())
				ok(t, using.Close())
				if over {
					break
				}
				moved = true
			}
			if !moved {
				t.Error("no item has moved")
			}
		}
	}
}

// Files of large items that another process moves go while they are exported.
func TestQueueElsewhere(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	steps, armed := 0, false
	from, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Now: func() time.Time {
		if armed {
			if steps++; steps < 12 {
				other := exec.CommandContext(ctx, os.Args[0])
				other.Env = append(os.Environ(), "DISKCACHE_MOVER="+dir)
				if out, err := other.CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
		}
		return time.Now()
	}})
	ok(t, err)
	defer from.Close()
	d, err := deque.New[string](ctx, from, "jobs", nil)
	ok(t, err)
	want := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 100_000)}
	ok(t, d.PushBackMany(ctx, slices.Values(want)))
	armed = true
	var text bytes.Buffer
	_, err = dump.Export(ctx, from, &text, nil)
	ok(t, err)
	armed = false
	for _, item := range want {
		if n := strings.Count(text.String(), item); n != 1 {
			t.Errorf("an item is there %d times", n)
		}
	}
}

// Of a deque all that belongs to it is exported and imported, and nothing of others.
func TestOnlyQueue(t *testing.T) {
	ctx := t.Context()
	from := openStore(t, nil)
	names := []string{"", "jobs", "other"}
	for _, name := range names {
		d, err := deque.New[string](ctx, from, name, &deque.Options[string]{MaxLen: 7})
		ok(t, err)
		ok(t, d.PushBackMany(ctx, slices.Values([]string{"a", "b"})))
		_, _, err = d.Claim(ctx, time.Hour)
		ok(t, err)
	}
	only := func(want string) *dump.Options {
		return &dump.Options{Only: func(name string) bool { return name == want }}
	}
	var whole bytes.Buffer
	_, err := dump.Export(ctx, from, &whole, nil)
	ok(t, err)
	into := openStore(t, nil)
	for _, name := range names {
		full := strings.TrimSuffix("deque/"+name, "deque/")
		var text bytes.Buffer
		r, err := dump.Export(ctx, from, &text, only(full))
		ok(t, err)
		if r.Collections != 4 || r.Entries != 5 { // a claim is a value, a lease and a session
			t.Errorf("%q: %+v", full, r)
		}
		_, err = dump.Import(ctx, into, &text, nil)
		ok(t, err)
		part := openStore(t, nil)
		_, err = dump.Import(ctx, part, bytes.NewReader(whole.Bytes()), only(full))
		ok(t, err)
		for _, st := range []*cache.Store{into, part} {
			s, err := deque.Look(ctx, st, name)
			ok(t, err)
			if s.Ready != 1 || s.Claimed != 1 || s.MaxLen != 7 {
				t.Errorf("%q: %+v", full, s)
			}
		}
		if n := len(all(t, part, "deque-settings/all")); n != 1 {
			t.Errorf("settings of %d deques", n)
		}
	}
	var text bytes.Buffer
	pages, err := cache.New[string, int](ctx, from, "pages", nil)
	ok(t, err)
	ok(t, pages.Set(ctx, "k", 1))
	if r, err := dump.Export(ctx, from, &text, only("cache/pages")); err != nil || r.Collections != 1 || r.Entries != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	whole.Reset()
	_, err = dump.Export(ctx, from, &whole, nil)
	ok(t, err)
	st := openStore(t, nil)
	_, err = dump.Import(ctx, st, &whole, only("cache/pages"))
	ok(t, err)
	if got, err := st.Collections(ctx); err != nil || !slices.Equal(got, []string{"", "cache/pages"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// The number of an item in flight costs no more than the items before it.
func TestQueueHostile(t *testing.T) {
	ctx := t.Context()
	for _, key := range []string{"2", "0", "-1", `"x"`, "null", "1.0", "10000000", "8796093022207", "8796093022208"} {
		text := `{"diskcache":1}` + "\n" + `{"collection":"deque-inflight/q","keys":"int","values":"json","policy":"none"}` + "\n" +
			`{"key":` + key + `,"value":"1"}` + "\n" + `{"end":1}` + "\n"
		if _, err := dump.Import(ctx, openStore(t, nil), strings.NewReader(text), nil); !errors.Is(err, dump.ErrFormat) {
			t.Fatalf("%s: %v", key, err)
		}
	}
}

// A deque that is there keeps its maximum length, and learns that items are in flight.
func TestQueueMerged(t *testing.T) {
	ctx := t.Context()
	from, into := openStore(t, nil), openStore(t, nil)
	d, err := deque.New[string](ctx, from, "jobs", nil)
	ok(t, err)
	ok(t, d.PushBackMany(ctx, slices.Values([]string{"a", "b"})))
	_, _, err = d.Claim(ctx, time.Hour)
	ok(t, err)
	var text bytes.Buffer
	_, err = dump.Export(ctx, from, &text, nil)
	ok(t, err)
	other, err := deque.New[string](ctx, into, "jobs", &deque.Options[string]{MaxLen: 5})
	ok(t, err)
	_, err = dump.Import(ctx, into, &text, &dump.Options{Merge: true})
	ok(t, err)
	c, found, err := other.Claim(ctx, time.Hour)
	ok(t, err)
	if !found || c.Value != "a" || c.Attempt != 2 {
		t.Errorf("%+v, %v", c, found)
	}
	if n, err := other.MaxLen(ctx); n != 5 || err != nil {
		t.Errorf("a maximum of %d, %v", n, err)
	}
}

// Where numbers of claims are far ahead, as in a copy that Backup has made, new ones get
// there at once.
func TestFarAhead(t *testing.T) {
	ctx := t.Context()
	first, dir := openStore(t, nil), t.TempDir()
	ok(t, first.Backup(ctx, dir))
	from, err := cache.OpenStore(ctx, dir, nil)
	ok(t, err)
	defer from.Close()
	d, err := deque.New[string](ctx, from, "jobs", nil)
	ok(t, err)
	ok(t, d.PushBack(ctx, "a", deque.Delay(time.Hour)))
	into := cache.NewStore(memory.New(nil), nil)
	defer into.Close()
	r, err := dump.Copy(ctx, from, into, nil)
	ok(t, err)
	if r.Entries == 0 || r.Foreign != 0 {
		t.Errorf("%+v", r)
	}
	other, err := deque.New[string](ctx, into, "jobs", nil)
	ok(t, err)
	ok(t, other.PushBack(ctx, "b", deque.Delay(time.Hour)))
	if s, err := other.Stats(ctx); err != nil || s.Delayed != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Copy ends with the error of what could not go on, and with its context.
func TestCopyFails(t *testing.T) {
	ctx := t.Context()
	from, into := openStore(t, nil), openStore(t, nil)
	c, err := cache.New[int, string](ctx, from, "c", &cache.Options[int, string]{Persistent: true})
	ok(t, err)
	for i := range 1200 {
		ok(t, c.Set(ctx, i, "v"))
	}
	ended, cancel := context.WithCancel(ctx)
	r, err := dump.Copy(ended, from, into, &dump.Options{Progress: func(string, dump.Report) { cancel() }})
	if !errors.Is(err, context.Canceled) || r.Entries != 500 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := dump.Copy(ctx, from, into, nil); !errors.Is(err, dump.ErrExists) {
		t.Error(err)
	}
	if r, err := dump.Copy(ctx, from, into, &dump.Options{Merge: true}); err != nil || r.Entries != 1200 {
		t.Errorf("%+v, %v", r, err)
	}
	ok(t, from.Close())
	if _, err := dump.Copy(ctx, from, into, nil); !errors.Is(err, cache.ErrClosed) {
		t.Error(err)
	}
}

// Whatever the end of an import, what Progress was told of is there.
func TestBroken(t *testing.T) {
	ctx := t.Context()
	from := openStore(t, nil)
	c, err := cache.New[int, string](ctx, from, "c", &cache.Options[int, string]{Persistent: true})
	ok(t, err)
	for i := range 1200 {
		ok(t, c.Set(ctx, i, "v"))
	}
	var text bytes.Buffer
	_, err = dump.Export(ctx, from, &text, nil)
	ok(t, err)
	lines := bytes.SplitAfter(text.Bytes(), []byte("\n"))
	for what, cut := range map[string][]byte{
		"nothing":        nil,
		"no end":         bytes.Join(lines[:len(lines)-2], nil),
		"half a line":    text.Bytes()[:text.Len()/2],
		"a line missing": bytes.Join(slices.Delete(slices.Clone(lines), 700, 701), nil),
		"no dump":        []byte("{\"hello\":1}\n"),
		"no JSON":        []byte("hello\n"),
	} {
		into := openStore(t, nil)
		told := int64(0)
		r, err := dump.Import(ctx, into, bytes.NewReader(cut), &dump.Options{Progress: func(_ string, r dump.Report) { told = r.Entries }})
		if !errors.Is(err, dump.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
		n := int64(0)
		if c, err := cache.NewRaw(ctx, into, "cache/c", nil); err == nil {
			n, err = c.Len(ctx)
			ok(t, err)
		}
		if n != told || n != r.Entries {
			t.Errorf("%s: %d entries, %d were told, %d reported", what, n, told, r.Entries)
		}
	}
	if _, err := dump.Import(ctx, openStore(t, nil), strings.NewReader(`{"diskcache":2}`+"\n"), nil); !errors.Is(err, cache.ErrNewerFormat) {
		t.Errorf("a newer version: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	told := int64(0)
	into := openStore(t, nil)
	_, err = dump.Import(ended, into, bytes.NewReader(text.Bytes()), &dump.Options{Progress: func(_ string, r dump.Report) { told = r.Entries; cancel() }})
	if !errors.Is(err, context.Canceled) || told != 500 {
		t.Errorf("cancelled: %v after %d", err, told)
	}
	if n := len(all(t, into, "cache/c")); n != 500 {
		t.Errorf("%d entries", n)
	}
}

func Example() {
	ctx := context.Background()
	from, into := cache.NewStore(memory.New(nil), nil), cache.NewStore(memory.New(nil), nil)
	c, err := cache.New[string, int](ctx, from, "numbers", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Set(ctx, "one", 1); err != nil {
		fmt.Println(err)
		return
	}
	var text bytes.Buffer
	_, err = dump.Export(ctx, from, &text, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := dump.Import(ctx, into, &text, nil)
	fmt.Println(r.Collections, r.Entries, err)
	// Output: 1 1 <nil>
}
