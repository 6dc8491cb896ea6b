package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/sqlitetest"
)

func TestOpenValue(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		c := open[string, []byte](t, e.st, "", nil)
		big := bytes.Repeat([]byte("0123456789"), 10_000)
		ok(t, c.SetFrom(ctx, "big", bytes.NewReader(big), cache.TTL(time.Minute), cache.Tag("t")))
		ok(t, c.Set(ctx, "small", big[:10]))
		for k, want := range map[string][]byte{"big": big, "small": big[:10]} {
			f, found, err := c.OpenValue(ctx, k)
			ok(t, err)
			equal(t, found, true)
			equal(t, f.Size, int64(len(want)))
			equal(t, f.Name() == "", k == "small" || e.st.Dir() == "")
			must(c.Delete(ctx, k))(t) // stays readable
			if err := iotest.TestReader(f, want); err != nil {
				t.Error(err)
			}
			ok(t, f.Close())
		}
		_, found, err := c.OpenValue(ctx, "none")
		ok(t, err)
		equal(t, found, false)

		n := open[string, int](t, e.st, "n", nil)
		ok(t, n.Set(ctx, "k", 1))
		_, found, err = n.OpenValue(ctx, "k")
		is(t, err, cache.ErrInvalid)
		equal(t, found, false)

		oops := errors.New("oops")
		ok(t, c.Set(ctx, "k", []byte("old")))
		is(t, c.SetFrom(ctx, "k", io.MultiReader(bytes.NewReader(big), iotest.ErrReader(oops))), oops)
		v, _, err := c.Get(ctx, "k")
		ok(t, err)
		equal(t, string(v), "old")
		ok(t, c.SetFrom(ctx, "empty", strings.NewReader("")))
		v, found, err = c.Get(ctx, "empty")
		ok(t, err)
		equal(t, found && len(v) == 0, true)
		if r := must(e.st.Check(ctx, nil))(t); !r.OK() {
			t.Fatalf("left over: %+v", r.Problems)
		}
	})
}

// Net sends a file without copying if what http.ServeContent passes on, the
// value in an io.LimitedReader, is a syscall.Conn with a descriptor.
func TestServeContent(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		c := open[string, []byte](t, e.st, "", nil)
		big := bytes.Repeat([]byte("0123456789"), 100_000)
		ok(t, c.Set(t.Context(), "k", big))
		raw := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f, found, err := c.OpenValue(r.Context(), "k")
			if err != nil || !found {
				t.Errorf("found %v, error %v", found, err)
				return
			}
			defer f.Close()
			if entry, _, err := c.GetEntry(r.Context(), "k"); err != nil || !f.Stored.Equal(entry.Stored) {
				t.Errorf("Stored is %v, the entry was stored at %v, error %v", f.Stored, entry.Stored, err)
			}
			var _ io.ReadSeeker = f
			var conn syscall.Conn = f
			if _, err := conn.SyscallConn(); err == nil {
				raw++
			}
			http.ServeContent(w, r, "k.bin", f.Stored, f)
		}))
		defer srv.Close()
		for _, tt := range []struct {
			header string
			want   []byte
		}{{"", big}, {"bytes=500000-500009", big[500_000:500_010]}} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
			ok(t, err)
			if tt.header != "" {
				req.Header.Set("Range", tt.header)
			}
			resp, err := srv.Client().Do(req)
			ok(t, err)
			got, err := io.ReadAll(resp.Body)
			ok(t, err)
			resp.Body.Close()
			if !bytes.Equal(got, tt.want) || resp.Header.Get("Content-Length") != strconv.Itoa(len(tt.want)) {
				t.Fatalf("range %q: got %d bytes", tt.header, len(got))
			}
		}
		if e.st.Dir() != "" {
			equal(t, raw, 2)
		}
	})
}

// A value that is larger than the store's limit for memory is neither read nor
// written by what holds a value in memory, and is there all the same.
func TestMaxValueSize(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		st := cache.NewStore(must(e.engine())(t), &cache.StoreOptions{Now: e.clock.Now, MaxValueSize: 1000})
		defer func() { ok(t, st.Close()) }()
		c := open[string, string](t, st, "", nil)
		inFiles := open[string, string](t, st, "files", &cache.Options[string, string]{MinFileSize: 10})
		for _, c := range []*cache.Cache[string, string]{c, inFiles} {
			most := strings.Repeat("x", 1000)
			ok(t, c.Set(ctx, "k", most))
			v, _, err := c.Get(ctx, "k")
			ok(t, err)
			equal(t, v, most)
			is(t, c.Set(ctx, "k", most+"y"), cache.ErrTooLarge)
			v, _, err = c.Get(ctx, "k")
			ok(t, err)
			equal(t, v, most)
		}

		huge := strings.Repeat("x", 5000)
		ok(t, c.SetFrom(ctx, "k", strings.NewReader(huge)))
		_, _, err := c.Get(ctx, "k")
		is(t, err, cache.ErrTooLarge)
		if !strings.Contains(err.Error(), "MaxValueSize") || !strings.Contains(err.Error(), "5000") {
			t.Errorf("error %v", err)
		}
		_, _, err = c.GetEntry(ctx, "k")
		is(t, err, cache.ErrTooLarge)
		_, err = c.GetMany(ctx, "k")
		is(t, err, cache.ErrTooLarge)
		_, err = cache.Collect(c.All(ctx))
		is(t, err, cache.ErrTooLarge)
		_, _, err = c.GetOrSet(ctx, "k", "v")
		is(t, err, cache.ErrTooLarge)
		_, err = c.CompareAndSwap(ctx, "k", "v", "w")
		is(t, err, cache.ErrTooLarge)
		_, _, err = c.Modify(ctx, "k", func(v string, _ bool) (string, bool, error) { return v, true, nil })
		is(t, err, cache.ErrTooLarge)
		_, _, err = c.Pop(ctx, "k")
		is(t, err, cache.ErrTooLarge)
		is(t, st.View(ctx, func(tx *cache.Tx) error {
			_, _, err := c.In(tx).Get(ctx, "k")
			return err
		}), cache.ErrTooLarge)

		f, found, err := c.OpenValue(ctx, "k")
		ok(t, err)
		equal(t, found, true)
		equal(t, string(must(io.ReadAll(f))(t)), huge)
		ok(t, f.Close())
		equal(t, len(must(cache.Collect(c.Keys(ctx)))(t)), 1)
		if r := must(st.Check(ctx, nil))(t); !r.OK() {
			t.Errorf("%v", r.Problems)
		}
		all := cache.NewStore(must(e.engine())(t), &cache.StoreOptions{Now: e.clock.Now, MaxValueSize: -1})
		defer func() { ok(t, all.Close()) }()
		v, _, err := open[string, string](t, all, "", nil).Get(ctx, "k")
		ok(t, err)
		equal(t, v, huge)
		equal(t, must(c.Delete(ctx, "k"))(t), true)
	})
}

// A file that somebody made larger than all memory is not read.
func TestHugeFile(t *testing.T) {
	ctx := t.Context()
	c, err := cache.Open[string, []byte](ctx, t.TempDir(), nil)
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	ok(t, c.SetFrom(ctx, "k", strings.NewReader("text")))
	f, _, err := c.OpenValue(ctx, "k")
	ok(t, err)
	ok(t, f.Close())
	size := int64(1) << 43
	if err := os.Truncate(f.Name(), size); err != nil { // of holes
		size = 1<<30 + 1
		ok(t, os.Truncate(f.Name(), size))
	}
	db := must(sqlitetest.Open(filepath.Join(c.Store().Dir(), "cache.db")))(t)
	ok(t, db.Exec(fmt.Sprintf("UPDATE Cache SET size = %d", size)))
	ok(t, db.Close())
	_, _, err = c.Get(ctx, "k")
	is(t, err, cache.ErrTooLarge)
	must(c.Delete(ctx, "k"))(t)
}

// TestServeForStrace does nothing by itself; it is run under strace to see
// that the value is sent with sendfile.
func TestServeForStrace(t *testing.T) {
	if os.Getenv("DISKCACHE_STRACE") == "" {
		t.Skip("DISKCACHE_STRACE is not set")
	}
	c, err := cache.Open[string, []byte](t.Context(), t.TempDir(), nil)
	ok(t, err)
	defer c.Close()
	ok(t, c.Set(t.Context(), "k", make([]byte, 10<<20)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, _, err := c.OpenValue(r.Context(), "k")
		if err == nil {
			defer f.Close()
			http.ServeContent(w, r, "k.bin", f.Stored, f)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	resp, err := http.Get("http://" + l.Addr().String())
	ok(t, err)
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	ok(t, err)
	equal(t, n, 10<<20)
}
