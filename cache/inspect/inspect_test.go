package inspect_test

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/inspect"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, dir string, o *cache.StoreOptions) *cache.Store {
	t.Helper()
	st, err := cache.OpenStore(t.Context(), dir, o)
	ok(t, err)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st
}

func collection[K, V any](t *testing.T, st *cache.Store, name string, o *cache.Options[K, V]) *cache.Cache[K, V] {
	t.Helper()
	c, err := cache.New(t.Context(), st, name, o)
	ok(t, err)
	return c
}

// site is a served page and a browser without JavaScript.
type site struct {
	t *testing.T
	*httptest.Server
	client *http.Client
}

func serve(t *testing.T, st *cache.Store, o *inspect.Options) *site {
	s := &site{t: t, Server: httptest.NewServer(http.StripPrefix("/at", inspect.Handler(st, o)))}
	t.Cleanup(s.Close)
	jar, err := cookiejar.New(nil)
	ok(t, err)
	s.client = &http.Client{Jar: jar}
	return s
}

func (s *site) do(r *http.Request) (int, string) {
	s.t.Helper()
	res, err := s.client.Do(r)
	ok(s.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	ok(s.t, err)
	return res.StatusCode, string(b)
}

func (s *site) get(path string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.URL+"/at/"+path, nil)
	ok(s.t, err)
	return s.do(r)
}

func (s *site) post(path string, form url.Values) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "POST", s.URL+"/at/"+path, strings.NewReader(form.Encode()))
	ok(s.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(r)
}

// want gets a page and looks for texts in it.
func (s *site) want(path string, texts ...string) string {
	s.t.Helper()
	status, body := s.get(path)
	if status != http.StatusOK {
		s.t.Fatalf("%s: status %d\n%s", path, status, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			s.t.Errorf("%s has no %q", path, text)
		}
	}
	return body
}

func TestPages(t *testing.T) {
	ctx := t.Context()
	st := openStore(t, t.TempDir(), nil)
	pages := collection(t, st, "pages", &cache.Options[string, map[string]int]{Statistics: true})
	ok(t, pages.Set(ctx, "https://example.com/", map[string]int{"answer": 42}, cache.TTL(time.Hour), cache.Tag("site")))
	_, _, err := pages.Get(ctx, "https://example.com/")
	ok(t, err)
	jobs, err := deque.New[string](ctx, st, "jobs", nil)
	ok(t, err)
	ok(t, jobs.PushBackMany(ctx, slices.Values([]string{"a", "b"})))
	_, _, err = jobs.Claim(ctx, time.Hour)
	ok(t, err)
	lock, err := dsync.NewLock(ctx, st, "nightly", nil)
	ok(t, err)
	guard, err := lock.Lock(ctx)
	ok(t, err)
	sem, err := dsync.NewSemaphore(ctx, st, "four", 4, nil)
	ok(t, err)
	_, err = sem.AcquireN(ctx, 3)
	ok(t, err)
	avg, err := dsync.NewAverager(ctx, st, "latency")
	ok(t, err)
	ok(t, avg.Add(ctx, 2.5))
	throttle, err := dsync.NewThrottle(ctx, st, "api", &dsync.ThrottleOptions{Count: 1, Period: time.Hour})
	ok(t, err)
	_, err = throttle.Allow(ctx)
	ok(t, err)

	s := serve(t, st, &inspect.Options{ShowValues: true})
	s.want("", "cache/pages", "1 claimed, in 1 queue", "100 %", "Locks held", "This process", "Mean wait for the lock")
	s.want("collections", "cache/pages", "string → json", "sync/leases")
	body := s.want("collection?name=cache/pages", "https://example.com/", "59 m", ">site<")
	m := regexp.MustCompile(`href="(entry\?[^"]+)"`).FindStringSubmatch(body)
	s.want(html.UnescapeString(m[1]), "&#34;answer&#34;: 42", "text, JSON")
	s.want("queues", "queue?name=jobs")
	s.want("queue?name=jobs", "alive", "59 m")
	s.want("locks", "nightly", "holds it", "four", "latency", "2.5", "api", "a full burst again in")
	s.want("live", "live.js")
	s.want("static/style.css", "prefers-color-scheme")
	for _, path := range []string{"", "collections", "collection?name=cache/pages", "queues", "queue?name=jobs", "locks", "live"} {
		if body := s.want(path); strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "<form method=\"post\"") {
			t.Errorf("%s has what it should not have", path)
		}
	}
	for _, path := range []string{"nothing", "collection?name=cache/none", "queue?name=none", "entry?name=cache/pages&key=tbm9uZQ", "entry?name=cache/pages&key=zz"} {
		if status, _ := s.get(path); status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, status)
		}
	}
	// Looking at them counts as no use.
	if stats, err := pages.Stats(ctx); err != nil || stats.Hits != 1 || stats.Misses != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
	// Nor does looking make collections.
	names, err := st.Collections(ctx)
	if err != nil || slices.Contains(names, "cache/none") || slices.Contains(names, "deque/none") {
		t.Errorf("%q, %v", names, err)
	}
	ok(t, guard.Unlock())

	hidden := serve(t, st, &inspect.Options{HideKeys: true})
	body = hidden.want("collection?name=cache/pages", "hidden")
	if strings.Contains(body, "example.com") || strings.Contains(body, ">site<") || strings.Contains(body, `name="prefix"`) {
		t.Errorf("a key is shown:\n%s", body)
	}
	if body := hidden.want("locks", "four", "2.5", "a full burst again in"); strings.Contains(body, ">latency<") || strings.Contains(body, ">api<") {
		t.Errorf("the name of a throttle or of an averager is shown:\n%s", body)
	}
	if status, body := hidden.get(html.UnescapeString(m[1])); status != http.StatusForbidden || strings.Contains(body, "example.com") {
		t.Errorf("a hidden entry: %d", status)
	}
	secret := serve(t, st, nil)
	if body := secret.want(html.UnescapeString(m[1]), "Values are hidden"); strings.Contains(body, "answer") {
		t.Error("a value is shown")
	}
}

// Names, keys, values and tags are what they are, and no part of the page.
func TestHostile(t *testing.T) {
	ctx := t.Context()
	st := openStore(t, t.TempDir(), nil)
	evil := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`,
		"\x1b[31mred\x1b[0m", "a\u202eb", "\x00", "\xff\xfe", strings.Repeat("x", 5000), `{{.Token}}`, "</pre></main>", "&amp;&lt;",
	}
	for _, name := range evil {
		c := collection(t, st, name, &cache.Options[string, string]{})
		for _, k := range evil {
			ok(t, c.Set(ctx, k, k, cache.Tag(k)))
		}
	}
	s := serve(t, st, &inspect.Options{ShowValues: true, AllowWrite: true, Title: evil[0]})
	known := map[string]string{}
	look := func(path string) string {
		body := s.want(path)
		for _, bad := range []string{"<script>alert", "<img src=x", "' onmouseover='", "\x1b", "\u202e", "\x00", "href=\"javascript:", "\xff"} {
			if strings.Contains(body, bad) {
				t.Errorf("%.80s has %q", path, bad)
			}
		}
		if n := strings.Count(body, "</main>"); n != 1 {
			t.Errorf("%s has %d ends", path, n)
		}
		return body
	}
	links := regexp.MustCompile(`href="((?:collection|entry)\?[^"]+)"`)
	var walk func(path string, depth int)
	walk = func(path string, depth int) {
		if known[path] != "" || depth == 0 {
			return
		}
		known[path] = look(path)
		for _, m := range links.FindAllStringSubmatch(known[path], -1) {
			walk(html.UnescapeString(m[1]), depth-1)
		}
	}
	walk("", 3)
	if want := 1 + len(evil) + len(evil)*len(evil); len(known) != want {
		t.Errorf("%d pages, want %d", len(known), want)
	}
}

func TestWrite(t *testing.T) {
	ctx := t.Context()
	st := openStore(t, t.TempDir(), nil)
	c := collection(t, st, "c", &cache.Options[int, string]{})
	ok(t, c.Set(ctx, 7, "seven"))
	jobs, err := deque.New[string](ctx, st, "jobs", nil)
	ok(t, err)
	ok(t, jobs.PushBack(ctx, "a"))
	claim, _, err := jobs.Claim(ctx, time.Hour)
	ok(t, err)
	lock, err := dsync.NewLock(ctx, st, "l", nil)
	ok(t, err)
	guard, err := lock.Lock(ctx)
	ok(t, err)

	s := serve(t, st, &inspect.Options{AllowWrite: true})
	token := regexp.MustCompile(`name="token" value="([^"]+)"`)
	id := regexp.MustCompile(`name="id" value="([^"]+)"`)
	del := url.Values{"name": {"cache/c"}, "key": {"i7"}}
	for _, bad := range []string{"", "guessed"} {
		del.Set("token", bad)
		if status, _ := s.post("delete", del); status != http.StatusForbidden {
			t.Errorf("a form with the token %q: status %d", bad, status)
		}
	}
	body := s.want("entry?name=cache/c&key=i7", "Remove this entry")
	del.Set("token", token.FindStringSubmatch(body)[1])
	// The token is of no use to another browser, and not from another site.
	other := serve(t, st, &inspect.Options{AllowWrite: true})
	other.get("")
	if status, _ := other.post("delete", del); status != http.StatusForbidden {
		t.Errorf("the token of another: status %d", status)
	}
	r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/at/delete", strings.NewReader(del.Encode()))
	ok(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if status, _ := s.do(r); status != http.StatusForbidden {
		t.Errorf("from another site: status %d", status)
	}
	if has, err := c.Contains(ctx, 7); !has || err != nil {
		t.Fatalf("the entry is gone: %v", err)
	}
	if status, body := s.post("delete", del); status != http.StatusOK || !strings.Contains(body, "was removed") {
		t.Errorf("status %d\n%s", status, body)
	}
	if has, err := c.Contains(ctx, 7); has || err != nil {
		t.Errorf("the entry is there: %v", err)
	}
	if status, _ := s.post("delete", del); status != http.StatusNotFound {
		t.Errorf("again: status %d", status)
	}

	body = s.want("queue?name=jobs", "Put back")
	form := url.Values{"name": {"jobs"}, "id": {id.FindStringSubmatch(body)[1]}, "token": del["token"]}
	if status, body := s.post("requeue", form); status != http.StatusOK || !strings.Contains(body, "back in the queue") {
		t.Errorf("status %d\n%s", status, body)
	}
	if err := claim.Ack(ctx); err == nil {
		t.Error("the claim is not over")
	}
	if status, body := s.post("break", url.Values{"name": {"l"}, "token": del["token"]}); status != http.StatusOK || !strings.Contains(body, "taken from its holder") {
		t.Errorf("status %d\n%s", status, body)
	}
	if err := guard.Unlock(); err == nil {
		t.Error("the lock was not lost")
	}

	only := serve(t, st, nil)
	only.get("")
	if status, body := only.post("delete", del); status != http.StatusForbidden || !strings.Contains(body, "can only be looked at") {
		t.Errorf("a page without AllowWrite: status %d\n%s", status, body)
	}
	if status, _ := only.get("delete"); status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		t.Errorf("GET of a form: status %d", status)
	}
}

func TestHosts(t *testing.T) {
	st := openStore(t, t.TempDir(), nil)
	h := inspect.Handler(st, &inspect.Options{Hosts: []string{"localhost", "127.0.0.1", "::1"}})
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:1": 200, "[::1]:1": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "": 421, "127.0.0.1.evil.example:80": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q: status %d, want %d", host, w.Code, want)
		}
	}
}

// Pages of a large collection have each entry once, both ways.
func TestPaging(t *testing.T) {
	ctx, n := t.Context(), 100_000
	if testing.Short() {
		n = 5000
	}
	st := openStore(t, t.TempDir(), nil)
	c := collection(t, st, "c", &cache.Options[string, int]{Persistent: true})
	ok(t, c.SetMany(ctx, func(yield func(string, int) bool) {
		for i := range n {
			if !yield(fmt.Sprintf("key/%06d", i), i) {
				return
			}
		}
	}))
	s := serve(t, st, nil)
	keys := regexp.MustCompile(`>(key/\d+)</a>`)
	rel := func(body, which string) string {
		m := regexp.MustCompile(`rel="` + which + `" href="([^"]+)"`).FindStringSubmatch(body)
		if m == nil {
			return ""
		}
		return html.UnescapeString(m[1])
	}
	seen, steps := 0, 0
	path := "collection?name=cache/c"
	last := ""
	for path != "" {
		body := s.want(path)
		for _, m := range keys.FindAllStringSubmatch(body, -1) {
			if want := fmt.Sprintf("key/%06d", seen); m[1] != want {
				t.Fatalf("%s: %s, want %s", path, m[1], want)
			}
			seen++
		}
		last, path = path, rel(body, "next")
		steps++
	}
	if seen != n {
		t.Fatalf("%d entries, want %d", seen, n)
	}
	back := 0
	for path = last; path != ""; back++ {
		path = rel(s.want(path), "prev")
	}
	if back != steps {
		t.Errorf("%d pages back, %d forth", back, steps)
	}
	body := s.want("collection?name=cache/c&prefix=key/0000")
	if got := len(keys.FindAllString(body, -1)); got != 50 {
		t.Errorf("%d entries with the prefix", got)
	}
	body = s.want("collection?name=cache/c&prefix=key/00000")
	if got := len(keys.FindAllString(body, -1)); got != 10 {
		t.Errorf("%d entries with the prefix", got)
	}
}

// Kinds of keys and values each have a way to be shown, and to be found again.
func TestKinds(t *testing.T) {
	ctx := t.Context()
	st := openStore(t, t.TempDir(), nil)
	c, err := cache.NewRaw(ctx, st, "cache/all", &cache.Schema{Settings: cache.Settings{Policy: cache.NoEviction, SizeLimit: -1, MinFileSize: 1 << 15}})
	ok(t, err)
	tuple := codec.Tuple2(codec.String[string](), codec.Int[int]())
	key, err := tuple.Encode(tuple.Of("ann", 7))
	ok(t, err)
	all := []codec.Value{
		codec.IntegerValue(-1 << 63), codec.RealValue(1.5), codec.RealValue(-1e300), codec.TextValue(""), codec.TextValue("t"),
		codec.BlobValue(nil), codec.BlobValue([]byte{0, 255}), key, codec.TextValue(strings.Repeat("long", 20_000)),
	}
	for _, v := range all {
		ok(t, c.Set(ctx, cache.Raw{Value: v}, cache.Raw{Value: v}))
	}
	s := serve(t, st, &inspect.Options{ShowValues: true})
	body := s.want("collection?name=cache/all", "ann")
	found := regexp.MustCompile(`href="(entry\?[^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(found) != len(all) {
		t.Fatalf("%d links", len(found))
	}
	for _, m := range found {
		s.want(html.UnescapeString(m[1]), "<pre")
	}
}

// A store may be closed, and a collection dropped, while the page is looked at.
func TestUnderIt(t *testing.T) {
	ctx := t.Context()
	st, err := cache.OpenStore(ctx, t.TempDir(), nil)
	ok(t, err)
	c := collection(t, st, "c", &cache.Options[string, int]{})
	ok(t, c.Set(ctx, "k", 1))
	s := serve(t, st, nil)
	s.want("collection?name=cache/c")
	events := s.events()
	if e := events.next("begin"); !strings.Contains(e, `"cache/c"`) || !strings.Contains(e, `"entries":1`) {
		t.Errorf("begins with %s", e)
	}
	ok(t, c.Set(ctx, "k2", 2))
	if e := events.next("change"); !strings.Contains(e, `"cache/c"`) || !strings.Contains(e, `"entries":2`) {
		t.Errorf("a change is %s", e)
	}
	ok(t, st.Drop(ctx, "cache/c"))
	if status, _ := s.get("collection?name=cache/c"); status != http.StatusNotFound {
		t.Errorf("a dropped collection: status %d", status)
	}
	s.want("")
	ok(t, st.Close())
	if e := events.next("closed"); !strings.Contains(e, "closed the store") {
		t.Errorf("at the end: %s", e)
	}
	if status, body := s.get(""); status != http.StatusServiceUnavailable || !strings.Contains(body, "has closed the store") {
		t.Errorf("a closed store: status %d", status)
	}
}

// A collection that is made while somebody looks at the feed is told of.
func TestLiveNew(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st := openStore(t, t.TempDir(), nil)
	events := serve(t, st, nil).events()
	events.next("begin")
	ok(t, collection(t, st, "new", &cache.Options[string, int]{}).Set(ctx, "k", 1))
	for alive := 0; alive < 2; { // what is found in a round is told before the next one
		kind, data := events.any()
		if kind == "alive" {
			alive++
		}
		if kind == "change" && strings.Contains(data, `"cache/new"`) && strings.Contains(data, `"entries":1`) {
			return
		}
	}
	t.Error("it is not")
}

type events struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (s *site) events() *events {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/at/events", nil)
	ok(s.t, err)
	res, err := s.client.Do(r)
	ok(s.t, err)
	s.t.Cleanup(func() { res.Body.Close() })
	return &events{s.t, bufio.NewScanner(res.Body)}
}

// next returns the data of the next event of a kind.
func (e *events) next(kind string) string {
	e.t.Helper()
	for {
		if is, data := e.any(); is == kind {
			return data
		}
	}
}

// any returns the next event.
func (e *events) any() (kind, data string) {
	e.t.Helper()
	for e.lines.Scan() {
		line := e.lines.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			kind = name
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return kind, data
		}
	}
	e.t.Fatalf("no further event: %v", e.lines.Err())
	return "", ""
}

func TestHeaders(t *testing.T) {
	s := serve(t, openStore(t, t.TempDir(), nil), nil)
	for _, path := range []string{"", "nothing", "static/style.css"} {
		res, err := s.client.Get(s.URL + "/at/" + path)
		ok(t, err)
		res.Body.Close()
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %q", path, csp)
		}
	}
	res, err := s.client.Get(s.URL + "/at")
	ok(t, err)
	res.Body.Close()
	if res.StatusCode != 200 || res.Request.URL.Path != "/at/" {
		t.Errorf("without the slash: %d at %s", res.StatusCode, res.Request.URL)
	}
}

func ExampleHandler() {
	st, err := cache.OpenStore(context.Background(), "/var/lib/app/store", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	admins := http.NewServeMux() // protected as the rest of it is
	admins.Handle("/store/", http.StripPrefix("/store", inspect.Handler(st, &inspect.Options{ShowValues: true})))
	fmt.Println(http.ListenAndServe("localhost:8080", admins))
}
