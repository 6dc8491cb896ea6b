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

// Whatever a page contains, reading it ends, and its links are of the site.
func FuzzLinks(f *testing.F) {
	f.Add(`<a href="x">`)
	f.Add(`<script><a href='x' = > </script`)
	f.Fuzz(func(t *testing.T, doc string) {
		at := &url.URL{Scheme: "http", Host: "h", Path: "/"}
		found := links(doc, at)
		for _, path := range found {
			u, err := at.Parse(path)
			if err != nil || u.Host != "h" {
				t.Errorf("%q: %q is not of the site: %v", doc, path, err)
			}
		}
		if len(slices.Compact(slices.Sorted(slices.Values(found)))) != len(found) {
			t.Errorf("%q: a link is there twice", doc)
		}
	})
}
