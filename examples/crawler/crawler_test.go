package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// childEnv makes the test binary the program itself.
const childEnv = "DISKCACHE_CRAWLER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const sitePages = 60

// makeSite makes a folder of pages, each with links to some others, and some
// that lead nowhere.
func makeSite(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range sitePages {
		var b strings.Builder
		fmt.Fprintf(&b, "<!doctype html><title>Page %d</title>\n", i)
		for _, to := range []int{2*i + 1, 2*i + 2, i / 2, (i * 7) % sitePages} {
			if to < sitePages {
				fmt.Fprintf(&b, "<p><a class=x href='page%d.html#top'>%d</a>\n", to, to)
			}
		}
		fmt.Fprintf(&b, "<a href=missing.html>gone</a> <a href=\"https://example.com/\">elsewhere</a>\n")
		name := fmt.Sprintf("page%d.html", i)
		if i == 0 {
			name = "index.html"
		}
		write(t, filepath.Join(dir, name), b.String())
	}
	write(t, filepath.Join(dir, "page0.html"), "<a href=/>home</a>")
	return dir
}

// wantPages is the number of pages that can be reached: those of makeSite,
// another name for the first, and the missing one.
const wantPages = sitePages + 2

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// once runs the program to its end and returns the pages that it visited and
// the sum.
func once(t *testing.T, args ...string) ([]page, sum) {
	t.Helper()
	var out, errs bytes.Buffer
	if err := run(t.Context(), append([]string{"-json"}, args...), &out, &errs); err != nil {
		t.Fatal(err, errs.String())
	}
	return parse(t, &out)
}

func parse(t *testing.T, r io.Reader) (pages []page, s sum) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if bytes.Contains(lines.Bytes(), []byte(`"known"`)) {
			if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var p page
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	return pages, s
}

// check checks what is stored when a crawl is over.
func check(t *testing.T, dir, folder string, want int64) {
	t.Helper()
	s, err := siteOf(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c, err := openCrawler(t.Context(), dir, s)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	visited := int64(0)
	for e, err := range c.pages.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Value.Visited {
			t.Errorf("%s was not visited", e.Key)
		}
		if wantStatus := http.StatusOK; e.Key != "/missing.html" && e.Value.Status != wantStatus {
			t.Errorf("%s: status %d", e.Key, e.Value.Status)
		}
		visited++
	}
	sum, err := c.sum(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if visited != want || sum.Known != want || sum.Done != want || sum.Failed != 0 {
		t.Errorf("%d pages visited, and counted are %+v; want %d", visited, sum, want)
	}
	if n, err := c.frontier.Len(t.Context()); n != 0 || err != nil {
		t.Errorf("%d pages are still queued, %v", n, err)
	}
}

func TestCrawl(t *testing.T) {
	t.Parallel()
	folder, dir := makeSite(t), t.TempDir()
	pages, s := once(t, "-dir", dir, folder)
	if len(pages) != wantPages || s.Done != wantPages || s.Site != folder {
		t.Errorf("%d pages, %+v", len(pages), s)
	}
	check(t, dir, folder, wantPages)
	again, s := once(t, "-dir", dir, folder)
	if len(again) != 0 || s.Done != wantPages {
		t.Errorf("visited again: %v, %+v", again, s)
	}
	var out, errs bytes.Buffer
	err := run(t.Context(), []string{"-dir", dir, t.TempDir()}, &out, &errs)
	if err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("another site in the same directory: %v", err)
	}
}

// A crawl that is killed again and again visits every page once, as if nothing
// had happened: what was visited is not visited again, and nothing is missing.
func TestKilled(t *testing.T) {
	t.Parallel()
	folder, dir := makeSite(t), t.TempDir()
	seen := map[string]bool{}
	for round := 1; ; round++ {
		cmd := exec.Command(os.Args[0], "-json", "-pause", "0", "-dir", dir, folder)
		cmd.Env = append(os.Environ(), childEnv+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n, over := 0, false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var p page
			if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
				break // cut off by the kill
			}
			over = over || p.Path == ""
			if seen[p.Path] {
				t.Errorf("%s was visited twice", p.Path)
			}
			seen[p.Path] = p.Path != ""
			if n++; n == 5*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if over {
			break
		}
	}
	check(t, dir, folder, wantPages)
}

// Ctrl-C ends it in good order: what was claimed is ready for the next one.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	release := make(chan struct{})
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/":
			io.WriteString(w, `<a href="/slow1">1</a><a href="/slow2">2</a>`)
		default:
			if requests.Add(1) == 2 {
				stop() // both are being fetched
			}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	}))
	defer s.Close()
	var out, errs bytes.Buffer
	err := run(ctx, []string{"-pause", "0", "-dir", dir, s.URL}, &out, &errs)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err, errs.String())
	}
	if !strings.HasPrefix(out.String(), "1 of 3 pages visited") {
		t.Errorf("output %q", out.String())
	}
	close(release)
	began := time.Now()
	pages, sum := once(t, "-pause", "0", "-dir", dir, s.URL)
	if len(pages) != 2 || sum.Done != 3 || sum.Failed != 0 {
		t.Errorf("%+v, %+v", pages, sum)
	}
	if took := time.Since(began); took > lease/2 {
		t.Errorf("took %v", took)
	}
}

// Several processes share the work.
func TestTogether(t *testing.T) {
	t.Parallel()
	folder, dir := makeSite(t), t.TempDir()
	var outs [2]bytes.Buffer
	var cmds [2]*exec.Cmd
	for i := range cmds {
		cmds[i] = exec.Command(os.Args[0], "-json", "-workers", "2", "-dir", dir, folder)
		cmds[i].Env = append(os.Environ(), childEnv+"=1")
		cmds[i].Stdout = &outs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		pages, s := parse(t, &outs[i])
		if s.Done != wantPages {
			t.Errorf("%+v", s)
		}
		for _, p := range pages {
			if seen[p.Path] {
				t.Errorf("%s was visited twice", p.Path)
			}
			seen[p.Path] = true
		}
	}
	if len(seen) != wantPages {
		t.Errorf("%d pages", len(seen))
	}
	check(t, dir, folder, wantPages)
}

// A page that fails for a while is fetched again.
func TestRetry(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/", http.StatusFound)
	}))
	defer s.Close()
	pages, sum := once(t, "-dir", t.TempDir(), s.URL+"/start?q=1")
	if sum.Done != 2 || sum.Failed != 0 || len(pages) != 2 || pages[0].Path != "/start?q=1" || pages[0].Attempt != 2 || pages[1].Path != "/" {
		t.Errorf("%+v, %+v", pages, sum)
	}
}

func TestLinks(t *testing.T) {
	at := &url.URL{Scheme: "http", Host: "h", Path: "/dir/page"}
	for doc, want := range map[string]string{
		`<a href="x">`:                             "/dir/x",
		`<A HREF = 'x' >y</A>`:                     "/dir/x",
		`<a href=x>`:                               "/dir/x",
		`<a class="a>b" href=x/y.html>`:            "/dir/x/y.html",
		`<a href="/a?b=1&amp;c=2#d">`:              "/a?b=1&c=2",
		`<a href="#top"><a href="">`:               "/dir/page",
		`<a href=x><a href=x>`:                     "/dir/x",
		`<a href="http://other/"><a href=y>`:       "/dir/y",
		`<a href="mailto:a@b"><a href="x y">`:      "/dir/x%20y",
		`<!-- <a href=no> --><a href=x>`:           "/dir/x",
		`<script>"<a href=no>"</SCRIPT><a href=x>`: "/dir/x",
		`<title><a href=no></title><a href=x>`:     "/dir/x",
		`<base href="/b/"><a href=x>`:              "/b/x",
		`<img src=no><iframe src=x></iframe>`:      "/dir/x",
		`a < b <a href=x`:                          "/dir/x",
		`<a href="unclosed`:                        "/dir/unclosed",
		`<a href><a =href><a / href=x>`:            "/dir/page /dir/x",
		`<a data-href=no href=x>`:                  "/dir/x",
		`<a href="%zz"><a href=x>`:                 "/dir/x",
		`<!doctype html></a><abbr href=no>`:        "",
		`<`:                                        "",
		`<script`:                                  "",
		`<!--`:                                     "",
	} {
		if got := strings.Join(links(doc, at), " "); got != want {
			t.Errorf("%s: %q, want %q", doc, got, want)
		}
	}
}

// stray are references that lead to another host than the one that the crawl is
// of, or look as if they did.
func stray(site, other string) []string {
	return []string{
		"//" + other + "/a", "///" + other + "/b", "/.//" + other + "/c", "x/..//" + other + "/d",
		"http://" + site + "//" + other + "/e?f=1", "http://" + site + "/.//" + other + "/g",
		`\\\\` + other + `\h`, `/\` + other + "/i", `http:\\` + other + "/j", `http://` + site + `\@` + other + "/k",
		"http://" + site + "@" + other + "/l", "http://" + other + "@" + site + "/m", "http:" + other + "/n", "http:/" + other + "/o",
		"https://" + site + "/p", "ftp://" + site + "/q", "http://" + other + "#" + site, "http://" + other + "?" + site,
		"/%2f" + other + "/r", "/%2e//" + other + "/s", "?//" + other, "#//" + other, "\t//" + other + "/t", "/\t/" + other + "/u",
		"HTTP://" + other + "/v", "//" + site + "." + other + "/w", "http://" + other, "javascript:location='//" + other + "'",
	}
}

// Whatever the pages of a site link and redirect to, no other host is asked.
func TestStaysOnItsHost(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1000)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Host + r.URL.String()
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<a href=/deeper>x</a>")
	}))
	defer other.Close()
	at := other.Listener.Addr().String()
	var site *httptest.Server
	site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refs := stray(site.Listener.Addr().String(), at)
		w.Header().Set("Content-Type", "text/html")
		var n int
		switch _, err := fmt.Sscanf(r.URL.Path, "/to/%d", &n); {
		case err == nil:
			if _, err := r.URL.Parse(refs[n]); err != nil {
				return // the client would try again and again
			}
			w.Header().Set("Location", refs[n])
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/":
			for i, ref := range refs {
				fmt.Fprintf(w, "<a href='%s'>x</a><a href=/to/%d>y</a><a href=/base/%d>z</a>", strings.ReplaceAll(ref, "'", "&#39;"), i, i)
			}
		default:
			if _, err := fmt.Sscanf(r.URL.Path, "/base/%d", &n); err == nil {
				fmt.Fprintf(w, "<base href=\"%s\"><a href=z>x</a><a href=/z>y</a>", refs[n])
			}
		}
	}))
	defer site.Close()
	pages, sum := once(t, "-pause", "0", "-dir", t.TempDir(), site.URL)
	close(asked)
	for url := range asked {
		t.Errorf("another host was asked for %s", url)
	}
	visited := map[string]bool{}
	for _, p := range pages {
		visited[p.Path] = true
	}
	refs := len(stray("", ""))
	if len(pages) < 2*refs || sum.Failed != 0 || !visited["//"+at+"/e?f=1"] {
		t.Errorf("%d pages of %d references, %+v", len(pages), refs, sum)
	}
}

func TestSiteOf(t *testing.T) {
	for arg, want := range map[string]string{
		"http://h":              "http://h /",
		"https://H:443/a?b#c":   "https://h /a?b",
		"http://h:8080//x/../y": "http://h:8080 //x/../y",
		"http://[::1]:80/":      "http://[::1] /",
		"http://":               "",
		"http:///a":             "",
		"http://user@h/":        "",
		"http://h\\/":           "",
	} {
		s, err := siteOf(arg)
		got := ""
		if err == nil {
			got = s.name + " " + s.first
		}
		if got != want {
			t.Errorf("%s is %q, error %v, want %q", arg, got, err, want)
		}
	}
}

// Links to a site count whichever way its host is written.
func TestLinksOfOneOrigin(t *testing.T) {
	at := &url.URL{Scheme: "http", Host: "h:80", Path: "/"}
	doc := `<a href=//H/a><a href=http://h:80/b><a href=http://h:/c><a href=http://h:81/d><a href=https://h/e>`
	if got := strings.Join(links(doc, at), " "); got != "/a /b /c" {
		t.Errorf("got %q", got)
	}
}

// A crawl of which nothing came is an error that says why.
func TestNothingFetched(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close() // nobody listens there any more
	st, err := siteOf(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c, err := openCrawler(t.Context(), dir, st)
	if err != nil {
		t.Fatal(err)
	}
	// As after maxAttempts: waiting for those takes seconds.
	claim, ok, err := c.frontier.Claim(t.Context(), lease)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := c.finish(t.Context(), claim, page{Path: "/", Visited: true, Error: "no route"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	err = run(t.Context(), []string{"-dir", dir, s.URL}, &out, &errs)
	if err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("error %v", err)
	}
}

// What is remembered by default is in a folder of the user's own.
func TestDefaultDir(t *testing.T) {
	own, err := os.UserCacheDir()
	if err != nil {
		own = "none"
	}
	if dir := defaultDir(); dir != "" && !strings.HasPrefix(dir, own) || dir == "" && err == nil {
		t.Errorf("%q, while the user's folder is %q", dir, own)
	}
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData", "home"} {
		t.Setenv(name, "")
	}
	var out, errs bytes.Buffer
	if err := run(t.Context(), []string{t.TempDir()}, &out, &errs); err == nil || !strings.Contains(err.Error(), "-dir") {
		t.Errorf("without such a folder: %v", err)
	}
}

// Whatever a page contains, reading it ends, and its links are of the site.
func FuzzLinks(f *testing.F) {
	f.Add(`<a href="x">`)
	f.Add(`<script><a href='x' = > </script`)
	for _, ref := range stray("h", "other") {
		f.Add(`<a href="` + ref + `">`)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		s := &site{root: &url.URL{Scheme: "http", Host: "h"}}
		found := links(doc, &url.URL{Scheme: "http", Host: "h", Path: "/"})
		for _, path := range found {
			u, err := s.at(path)
			if err != nil {
				t.Fatalf("%q: link %q: %v", doc, path, err)
			}
			// As the client sees it.
			req, err := http.NewRequest(http.MethodGet, u.String(), nil)
			if err != nil || req.URL.Scheme != "http" || req.URL.Host != "h" || req.URL.User != nil || pathOf(req.URL) != path {
				t.Errorf("%q: link %q is asked for as %q, error %v", doc, path, u, err)
			}
		}
		if len(slices.Compact(slices.Sorted(slices.Values(found)))) != len(found) {
			t.Errorf("%q: a link is there twice", doc)
		}
	})
}
