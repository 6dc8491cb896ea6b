package django_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/django"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
)

// site is a running Django site: see testdata/site.py.
type site struct {
	t           *testing.T
	dir, shared string // LOCATION of its caches
	url         string
	in          io.WriteCloser
	out         *bufio.Reader
}

const python = "/usr/bin/python3" // for which Debian has packages

var installed = sync.OnceValue(func() error {
	return exec.Command(python, "-c", "import django, diskcache").Run()
})

func startSite(t *testing.T) *site {
	t.Helper()
	if installed() != nil {
		t.Skip("Django or DiskCache is not installed: apt-get install python3-django python3-diskcache")
	}
	s := &site{t: t, dir: t.TempDir(), shared: t.TempDir()}
	cmd := exec.Command(python, "testdata/site.py", s.dir, s.shared)
	cmd.Stderr = os.Stderr
	var err error
	s.in, err = cmd.StdinPipe()
	ok(t, err)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	s.out = bufio.NewReader(out)
	ok(t, cmd.Start())
	t.Cleanup(func() {
		s.in.Close() // ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("the site: %v", err)
		}
	})
	s.url = "http://127.0.0.1:" + strings.TrimSpace(must(s.out.ReadString('\n'))(t))
	return s
}

// run evaluates code at the site, in which cache is the site's default cache and shared
// the one with JSONDisk, and returns the repr of the result.
func (s *site) run(format string, args ...any) string {
	s.t.Helper()
	line, _ := json.Marshal(fmt.Sprintf(format, args...))
	must(fmt.Fprintf(s.in, "%s\n", line))(s.t)
	var a [2]any
	ok(s.t, json.Unmarshal([]byte(must(s.out.ReadString('\n'))(s.t)), &a))
	if a[0] != true {
		s.t.Fatalf("the site: %v", a[1])
	}
	return a[1].(string)
}

func (s *site) want(want, format string, args ...any) {
	s.t.Helper()
	if got := s.run(format, args...); got != want {
		s.t.Errorf("%s: %s, want %s", fmt.Sprintf(format, args...), got, want)
	}
}

// get returns the body of an answer with the status 200.
func get(t testing.TB, client *http.Client, url string) string {
	t.Helper()
	r, err := client.Get(url)
	ok(t, err)
	defer r.Body.Close()
	body := must(io.ReadAll(r.Body))(t)
	if r.StatusCode != http.StatusOK {
		t.Errorf("%s: %s: %s", url, r.Status, body)
	}
	return string(body)
}

// at opens the site's default cache.
func at[V any](t *testing.T, s *site) *django.Cache[V] {
	t.Helper()
	return open(t, s.dir, &django.Options[V]{KeyPrefix: "site"})
}

// sharedAt opens the site's cache with JSONDisk.
func sharedAt[V any](t *testing.T, s *site) *django.Cache[V] {
	t.Helper()
	return open(t, s.shared, &django.Options[V]{
		Version: 5, Timeout: cache.TTL(time.Minute), Shards: 2,
		Keys:   codec.Zlib(codec.JSON[string](), 1),
		Values: codec.Zlib(codec.JSON[V](), 1),
	})
}

// Each method of DjangoCache and of ours, in both directions.
func TestSite(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	ctx := t.Context()
	texts, numbers := at[string](t, s), at[int64](t, s)
	floats, blobs := at[float64](t, s), at[[]byte](t, s)

	// Values.
	long := strings.Repeat("é", 40_000)
	for i, text := range []string{"", "text", "日本 \x00 \n", long} {
		key := fmt.Sprint("text", i)
		ok(t, texts.Set(ctx, key, text))
		literal, _ := json.Marshal(text)
		s.want("True", "cache.get(%q) == json.loads(%q)", key, literal)
		s.run("cache.set(%q, json.loads(%q) + '!')", key, literal)
		has(t, texts, key, text+"!", true)
	}
	for _, blob := range []string{"", "b\x00\xff\r\n", strings.Repeat("\r\n\x00", 20_000)} {
		ok(t, blobs.Set(ctx, "blob", []byte(blob)))
		s.want("True", "(lambda b: b == bytes.fromhex('%x') and cache.set('blob', b + b'!'))(cache.get('blob'))", blob)
		equal(t, string(must2(blobs.Get(ctx, "blob"))(t)), blob+"!")
	}
	for _, n := range []int64{0, -1, -1 << 63, 1<<63 - 1} {
		ok(t, numbers.Set(ctx, "n", n))
		s.want(fmt.Sprint(n), "cache.get('n')")
		s.run("cache.set('m', cache.get('n'))")
		has(t, numbers, "m", n, true)
	}
	ok(t, floats.Set(ctx, "f", 0.1))
	s.want("0.1", "cache.get('f')")
	s.run("cache.set('f', -2.5)")
	has(t, floats, "f", -2.5, true)

	// What Django pickles is there, is not decoded, and can be removed.
	for _, value := range []string{"True", "None", "mark_safe('<b>')", "[1]"} {
		s.run("cache.set('pickled', %s)", value)
		_, _, err := texts.Get(ctx, "pickled")
		is(t, err, cache.ErrCodecMismatch)
		equal(t, must(texts.Contains(ctx, "pickled"))(t), true)
		equal(t, must(texts.Delete(ctx, "pickled"))(t), true)
		s.want("False", "cache.has_key('pickled')")
	}

	// Timeouts.
	expiry := func(key string) string {
		t.Helper()
		e, found, err := texts.Cache().GetEntry(ctx, texts.Key(key))
		ok(t, err)
		switch {
		case !found:
			return "over"
		case e.Expiry.IsZero():
			return "never"
		}
		return fmt.Sprint(time.Until(e.Expiry).Round(50 * time.Second)) // slow machines
	}
	const left = "(lambda v, e: 'over' if v is None else 'never' if e is None else str(round((e - __import__('time').time()) / 50) * 50))(*cache.get(%q, expire_time=True))"
	for i, timeout := range []struct {
		python, left string
		opts         []cache.Option
	}{
		{"cache.set(%q, 'v')", "300", nil},
		{"cache.set(%q, 'v', 1000)", "1000", []cache.Option{cache.TTL(1000 * time.Second)}},
		{"cache.set(%q, 'v', None)", "never", []cache.Option{cache.NoExpiry()}},
		{"cache.set(%q, 'v', 0)", "over", []cache.Option{django.Timeout(0)}},
	} {
		want := timeout.left
		if d, err := time.ParseDuration(want + "s"); err == nil {
			want = d.String()
		}
		py, goes := fmt.Sprint("py", i), fmt.Sprint("go", i)
		s.run(timeout.python, py)
		equal(t, expiry(py), want)
		ok(t, texts.Set(ctx, goes, "v", timeout.opts...))
		s.want("'"+timeout.left+"'", left, goes)
	}
	s.want("True", "cache.touch('go0', None)")
	equal(t, expiry("go0"), "never")
	equal(t, must(texts.Touch(ctx, "py2"))(t), true)
	s.want("'300'", left, "py2")

	// The other methods.
	s.want("False", "cache.add('go1', 'w')")
	s.want("True", "cache.add('added', 'w', tag='t')")
	equal(t, must(texts.Add(ctx, "added", "x"))(t), false)
	s.want("'w'", "cache.get_or_set('added', 'y')")
	equal(t, must2(texts.GetOrSet(ctx, "added", "z"))(t), "w")
	equal(t, must(texts.Cache().Evict(ctx, cache.Tag("t")))(t), 1)
	ok(t, texts.Set(ctx, "tagged", "v", cache.Tag("t")))
	s.want("('v', 't')", "cache.get('tagged', tag=True)")
	s.want("1", "cache.evict('t')")

	ok(t, numbers.Set(ctx, "count", 5))
	s.want("7", "cache.incr('count', 2)")
	equal(t, must(django.Decr(ctx, numbers, "count", 10))(t), -3)
	s.want("-4", "cache.decr('count')")
	_, err := django.Incr(ctx, numbers, "no count", 1)
	is(t, err, cache.ErrNotFound)
	s.want("8", "cache.incr('made', 3, default=5)")
	equal(t, must(cache.Incr(ctx, numbers.Cache(), numbers.Key("made"), 1))(t), 9)

	ok(t, texts.SetMany(ctx, maps.All(map[string]string{"a": "1", "b": "2"})))
	s.want("{'a': '1', 'b': '2'}", "cache.get_many(['a', 'none', 'b'])")
	s.want("[]", "cache.set_many({'c': '3', 'd': '4'})")
	es := must(texts.GetMany(ctx, "d", "none", "c"))(t)
	equal(t, len(es) == 2 && es[0].Key+es[0].Value+es[1].Key+es[1].Value == "d4c3", true)
	equal(t, must(texts.DeleteMany(ctx, "c", "d", "e"))(t), 2)
	s.run("cache.delete_many(['a', 'b'])")
	equal(t, len(must(texts.GetMany(ctx, "a", "b", "c"))(t)), 0)

	ok(t, texts.Set(ctx, "v", "one"))
	s.want("2", "cache.incr_version('v')")
	has(t, texts, "v", "", false)
	equal(t, must(texts.Version(2).IncrVersion(ctx, "v", 3))(t), 5)
	s.want("(None, 'one')", "cache.get('v', version=2), cache.get('v', version=5)")
	s.want("4", "cache.decr_version('v', version=5)")
	equal(t, must(texts.Version(4).DecrVersion(ctx, "v", 3))(t), 1)
	s.want("True", "cache.has_key('v')")
	s.want("'one'", "cache.pop('v')")
	equal(t, must(texts.Contains(ctx, "v"))(t), false)
	s.run("cache.set('v', 'two')")
	equal(t, must2(texts.Pop(ctx, "v"))(t), "two")
	s.want("False", "cache.delete('v')")

	ok(t, texts.SetFrom(ctx, "file", strings.NewReader("a text")))
	s.want("'a text'", "cache.get('file')")
	ok(t, blobs.SetFrom(ctx, "file", strings.NewReader("from Go")))
	s.want("b'from Go'", "cache.read('file').read()")
	s.run("cache.set('file', __import__('io').BytesIO(b'from Python'), read=True)")
	equal(t, string(must2(blobs.Get(ctx, "file"))(t)), "from Python")
	f, _, err := blobs.OpenValue(ctx, "file")
	ok(t, err)
	defer f.Close()
	equal(t, string(must(os.ReadFile(f.Name()))(t)), "from Python")
	s.want("'"+f.Name()+"'", "cache.read('file').name")

	// Collections below.
	st := texts.Cache().Store()
	s.run("cache.cache('c')['k'] = 'v'; cache.deque('jobs').extend(['a', 'b']); cache.index('i')['k'] = 'v'")
	below := must(cache.New[string, string](ctx, st, "c", nil))(t)
	equal(t, must2(below.Get(ctx, "k"))(t), "v")
	jobs := must(deque.New[string](ctx, st, "jobs", nil))(t)
	equal(t, must2(jobs.PopFront(ctx))(t), "a")
	ok(t, jobs.PushBack(ctx, "c"))
	pairs := must(index.New[string, string](ctx, st, "i", nil))(t)
	equal(t, must2(pairs.Get(ctx, "k"))(t), "v")
	ok(t, pairs.Set(ctx, "l", "w"))
	s.want("(['b', 'c'], {'k': 'v', 'l': 'w'})", "list(cache.deque('jobs')), dict(cache.index('i'))")

	checkBoth(t, s, texts, "cache")
	s.run("cache.clear()")
	equal(t, must(texts.Cache().Len(ctx))(t), 0)
	ok(t, texts.Set(ctx, "k", "v"))
	equal(t, must(texts.Clear(ctx))(t), 1)
	s.want("(None, ['b', 'c'])", "cache.get('k'), list(cache.deque('jobs'))")
}

// A cache with JSONDisk shares what Django pickles otherwise.
func TestSiteJSONDisk(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	ctx := t.Context()
	c := sharedAt[any](t, s)
	for _, v := range []struct{ python, json string }{
		{"True", "true"}, {"None", "null"}, {"'text'", `"text"`}, {"1.5", "1.5"},
		{"{'a': [1, None, 'é']}", `{"a":[1,null,"é"]}`},
	} {
		s.run("shared.set('py', %s)", v.python)
		got, found, err := c.Get(ctx, "py")
		ok(t, err)
		equal(t, found, true)
		equal(t, string(must(json.Marshal(got))(t)), v.json)
		ok(t, c.Set(ctx, "go", got))
		s.want("(True, True)", "shared.get('go') == %s, type(shared.get('go')) is type(%s)", v.python, v.python)
	}
	// SafeString loses its mark.
	s.run("shared.set('safe', mark_safe('<b>'))")
	equal(t, must2(c.Get(ctx, "safe"))(t), any("<b>"))
	s.want("('<b>', False)", "shared.get('safe'), isinstance(shared.get('safe'), SafeString)")
	e, _, err := c.Cache().GetEntry(ctx, ":5:safe")
	ok(t, err)
	if left := time.Until(e.Expiry); left <= 0 || left > time.Minute {
		t.Errorf("expires in %v", left)
	}
	// A page, its key included, is longer than what the database keeps.
	ok(t, c.Set(ctx, strings.Repeat("k", 300), strings.Repeat("<p>", 100_000)))
	s.want("300000", "len(shared.get('k' * 300))")
}

// Pages of cache_page, sessions and counters, at the same time, beside a Go server.
func TestSiteAtOnce(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	ctx := t.Context()
	texts, hits, sessions := at[string](t, s), at[int](t, s), sharedAt[map[string]any](t, s)
	const session = "django.contrib.sessions.cache"
	mux := http.NewServeMux()
	mux.HandleFunc("/hit", func(w http.ResponseWriter, r *http.Request) {
		n, err := django.Incr(r.Context(), hits, "hits", 1)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/whoami", func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("sessionid")
		var s map[string]any
		if err == nil {
			s, _, err = sessions.Get(r.Context(), session+cookie.Value)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, s["_auth_user_id"])
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	// The pages of a view, which Go finds, and has made anew.
	first := get(t, http.DefaultClient, s.url+"/page")
	equal(t, first, "page 1")
	equal(t, get(t, http.DefaultClient, s.url+"/page"), "page 1")
	pages := must(cache.Collect(texts.Cache().Sorted().Prefix(texts.Key("views.decorators.cache.")).Keys(ctx)))(t)
	equal(t, len(pages), 2) // and what headers it depends on
	equal(t, must(texts.Cache().DeleteMany(ctx, pages...))(t), 2)
	equal(t, get(t, http.DefaultClient, s.url+"/page"), "page 2")

	ok(t, hits.Set(ctx, "hits", 0))
	const clients = 4
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	home := must(url.Parse(s.url))(t)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			cookies, _ := cookiejar.New(nil) // for which both servers are one host
			client := &http.Client{Jar: cookies}
			user := fmt.Sprint("user", i)
			get(t, client, s.url+"/login/"+user)
			for r := range rounds {
				get(t, client, s.url+"/hit")
				get(t, client, server.URL+"/hit")
				if body := get(t, client, s.url+"/page"); body != "page 2" {
					t.Errorf("%q", body)
				}
				if body := get(t, client, server.URL+"/whoami"); body != user {
					t.Errorf("the session of %s is that of %q", user, body)
				}
				if err := texts.Set(ctx, fmt.Sprint("go", i), strings.Repeat("x", 1000*r)); err != nil {
					t.Error(err)
				}
			}
			// What Go changes of a session, the site sees.
			key := session + cookies.Cookies(home)[0].Value
			if err := sessions.Set(ctx, key, map[string]any{"_auth_user_id": "guest"}); err != nil {
				t.Error(err)
			}
			if body := get(t, client, s.url+"/whoami"); body != "guest" {
				t.Errorf("%s is %q", user, body)
			}
			if gone, err := sessions.Delete(ctx, key); !gone || err != nil {
				t.Errorf("%v, %v", gone, err)
			}
			if body := get(t, client, s.url+"/whoami"); body != "nobody" {
				t.Errorf("%s is %q", user, body)
			}
		})
	}
	wg.Wait()
	has(t, hits, "hits", 2*clients*rounds, true)
	s.want(fmt.Sprint(2*clients*rounds), "cache.get('hits')")
	s.want("True", "all(len(cache.get('go%%d' %% i)) == %d for i in range(4))", 1000*(rounds-1))
	checkBoth(t, s, texts, "cache")
	checkBoth(t, s, sessions, "shared")
}

// checkBoth has both sides look for damage. Ours comes first, as it waits until files are
// gone that have been replaced, and which Python's takes for unknown ones.
func checkBoth[V any](t *testing.T, s *site, c *django.Cache[V], python string) {
	t.Helper()
	for _, p := range must(c.Cache().Store().Check(t.Context(), nil))(t).Problems {
		if p.Kind != driver.Undecodable { // of another type, or pickled
			t.Error(p)
		}
	}
	s.want("[]", "[str(w.message) for w in %s._cache.check()]", python)
}
