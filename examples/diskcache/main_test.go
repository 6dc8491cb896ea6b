package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// TestMain has the program run as one of the eight processes that write to a store.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DISKCACHE_WRITER"); dir != "" {
		writer(dir)
	}
	os.Exit(m.Run())
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// call runs the command and returns what it prints.
func call(t *testing.T, want int, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(t.Context(), args, strings.NewReader(stdin), &out, &errs); got != want {
		t.Fatalf("diskcache %q: exit status %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func has(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// filled returns a directory with a store that has some of everything.
func filled(t *testing.T) string {
	t.Helper()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "store")
	st, err := cache.OpenStore(ctx, dir, nil)
	ok(t, err)
	pages, err := cache.New(ctx, st, "pages", &cache.Options[string, string]{Statistics: true})
	ok(t, err)
	ok(t, pages.Set(ctx, "/home", "Home", cache.TTL(time.Hour), cache.Tag("site")))
	ok(t, pages.Set(ctx, "/large", strings.Repeat("x", 50_000)))
	_, _, err = pages.Get(ctx, "/home")
	ok(t, err)
	numbers, err := cache.New[int, float64](ctx, st, "numbers", nil)
	ok(t, err)
	ok(t, numbers.Set(ctx, 7, 1.5))
	jobs, err := deque.New[string](ctx, st, "jobs", nil)
	ok(t, err)
	ok(t, jobs.PushBackMany(ctx, slices.Values([]string{"a", "b"})))
	_, _, err = jobs.Claim(ctx, time.Hour)
	ok(t, err)
	_, err = dsync.NewSemaphore(ctx, st, "four", 4, nil)
	ok(t, err)
	ok(t, st.Close())
	return dir
}

var looks = [][]string{
	{"info"}, {"ls"}, {"keys"}, {"keys", "-c", "cache/pages"}, {"tags", "-c", "cache/pages"}, {"stats"}, {"top", "-c", "cache/pages"},
	{"check"}, {"queue", "ls"}, {"locks", "ls"}, {"export"}, {"get", "-c", "cache/pages", "", "/home"},
}

// with puts the directory where the arguments have it.
func with(args []string, dir string) []string {
	if i := slices.Index(args, ""); i >= 0 {
		args = slices.Clone(args)
		args[i] = dir
		return args
	}
	return append(slices.Clone(args), dir)
}

func TestLook(t *testing.T) {
	dir := filled(t)
	out, _ := call(t, exitOK, "", "info", dir)
	has(t, out, "collections", "volume")
	out, _ = call(t, exitOK, "", "ls", dir)
	has(t, out, "cache/pages", "string", "cache/numbers", "float", "deque/jobs")
	out, _ = call(t, exitOK, "", "keys", "-c", "cache/pages", dir)
	has(t, out, "/home", "s  ", "site", "48.8 KiB")
	out, _ = call(t, exitOK, "", "keys", dir, "-c", "cache/pages", "-prefix", "/l")
	if strings.Contains(out, "/home") || !strings.Contains(out, "/large") {
		t.Errorf("with a prefix:\n%s", out)
	}
	out, errs := call(t, exitOK, "", "keys", "-json", "-limit", "1", "-c", "cache/pages", dir)
	if strings.Count(out, "\n") != 1 || errs != "" {
		t.Errorf("one line:\n%s%s", out, errs)
	}
	out, _ = call(t, exitOK, "", "get", "-c", "cache/pages", dir, "/home")
	if out != "Home" {
		t.Errorf("got %q", out)
	}
	out, _ = call(t, exitOK, "", "get", "-c", "cache/numbers", dir, "7")
	if out != "1.5\n" {
		t.Errorf("got %q", out)
	}
	call(t, exitIncomplete, "", "get", dir, "nothing")
	out, _ = call(t, exitOK, "", "stats", dir)
	has(t, out, "cache/pages", "100.0 %")
	out, _ = call(t, exitOK, "", "top", "-limit", "1", "-c", "cache/pages", dir)
	has(t, out, "/large")
	out, _ = call(t, exitOK, "", "tags", "-c", "cache/pages", dir)
	has(t, out, "site")
	out, _ = call(t, exitOK, "", "queue", "ls", dir)
	has(t, out, "jobs")
	out, _ = call(t, exitOK, "", "queue", "claims", dir, "jobs")
	has(t, out, "dead")
	out, _ = call(t, exitOK, "", "locks", "ls", dir)
	has(t, out, "four (4)", "free")
	for _, args := range looks {
		if args[0] == "export" || args[0] == "get" {
			continue
		}
		out, _ := call(t, exitOK, "", append(with(args, dir), "-json")...)
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%q prints %q", args, line)
			}
		}
	}
}

func TestChange(t *testing.T) {
	dir := filled(t)
	in := []string{"-c", "cache/pages", dir}
	call(t, exitOK, "", append([]string{"set", "-ttl", "1h", "-tag", "t"}, append(in, "/new", "New")...)...)
	out, _ := call(t, exitOK, "", append([]string{"get", "-json"}, append(in, "/new")...)...)
	has(t, out, `"value":"New"`, `"tag":"t"`, `"expires"`)
	call(t, exitOK, "from a pipe", append([]string{"set"}, append(in, "/new", "-")...)...)
	out, _ = call(t, exitOK, "", append([]string{"get"}, append(in, "/new")...)...)
	if out != "from a pipe" {
		t.Errorf("got %q", out)
	}
	call(t, exitOK, "", append([]string{"rm"}, append(in, "/new")...)...)
	call(t, exitIncomplete, "", append([]string{"rm"}, append(in, "/new")...)...)
	call(t, exitOK, "", "set", "-c", "cache/numbers", dir, "8", "2.5")
	call(t, exitFailed, "", "set", "-c", "cache/numbers", dir, "eight", "2.5")
	call(t, exitFailed, "", "set", "-c", "cache/numbers", dir, "8", "two")
	call(t, exitFailed, "", "set", "-c", "cache/none", dir, "8", "two")
	call(t, exitOK, "", "compact", dir)
	to := filepath.Join(t.TempDir(), "copy")
	call(t, exitOK, "", "backup", dir, to)
	out, _ = call(t, exitOK, "", "check", "-mend", to)
	has(t, out, "no problem found")
	out, _ = call(t, exitOK, "", "queue", "claims", "-json", dir, "jobs")
	var claim struct{ ID int64 }
	ok(t, json.Unmarshal([]byte(out), &claim))
	call(t, exitOK, "", "queue", "requeue", dir, "jobs", fmt.Sprint(claim.ID))
	call(t, exitIncomplete, "", "queue", "requeue", dir, "jobs", fmt.Sprint(claim.ID))
	call(t, exitFailed, "", "queue", "requeue", dir, "none", "1")
	call(t, exitIncomplete, "", "locks", "break", dir, "l")
}

func TestUsage(t *testing.T) {
	dir := filled(t)
	for _, args := range [][]string{
		nil, {"nothing", dir}, {"info"}, {"info", dir, "more"}, {"get", dir}, {"queue", dir}, {"-nothing", "info", dir},
		{"set", "-ttl", "soon", dir, "k", "v"}, {"keys", "-limit", "x", dir}, {"queue", "requeue", dir, "jobs", "x"},
	} {
		_, errs := call(t, exitFailed, "", args...)
		has(t, errs, "-h tells how")
	}
	out, errs := call(t, exitOK, "", "keys", "-h")
	has(t, out, "usage: diskcache", "exit status")
	for line := range strings.Lines(out) {
		if len(line) > 90 {
			t.Errorf("a long line: %q", line)
		}
	}
	if errs != "" {
		t.Errorf("help with %q", errs)
	}
}

// To look makes and changes nothing: of what is no store, of what is not there, of what
// Python has made.
func TestLooksOnly(t *testing.T) {
	empty, other := t.TempDir(), t.TempDir()
	ok(t, os.WriteFile(filepath.Join(other, "file"), []byte("hello"), 0o666))
	for _, dir := range []string{filepath.Join(t.TempDir(), "none"), empty, other} {
		before := state(t, dir)
		for _, args := range append(looks, []string{"set", "", "k", "v"}, []string{"rm", "", "k"}, []string{"check", "-mend"}, []string{"compact"}) {
			_, errs := call(t, exitFailed, "", with(args, dir)...)
			has(t, errs, "diskcache: ")
		}
		if after := state(t, dir); after != before {
			t.Errorf("%s was %q and is %q", dir, before, after)
		}
	}
	dir := filled(t)
	before := state(t, dir)
	for _, args := range looks {
		call(t, exitOK, "", with(args, dir)...)
	}
	if after := state(t, dir); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

// state is the content of a directory, but for what SQLite makes of nothing to read.
func state(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "-wal") && len(content) == 0 {
			return err
		}
		fmt.Fprintf(&b, "%s %x\n", filepath.Base(path), sha256.Sum256(content))
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return b.String()
}

const python = "/usr/bin/python3"

func TestPython(t *testing.T) {
	if exec.Command(python, "-c", "import diskcache").Run() != nil {
		t.Skip(python + " does not have diskcache (Debian: python3-diskcache)")
	}
	dir := t.TempDir()
	script := `
import diskcache, sys
c = diskcache.Cache(sys.argv[1] + '/cache')
c['k'] = 'text'; c[1] = 2; c['pickled'] = {1, 2}; c[(1, 2)] = 'v'; c.set('b', b'\x00\xff', expire=3600, tag='t')
c.close()
f = diskcache.FanoutCache(sys.argv[1] + '/fanout', shards=4)
for i in range(20): f[str(i)] = i
f.close()
`
	if out, err := exec.Command(python, "-c", script, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := filepath.Join(dir, "cache")
	before := state(t, c)
	out, _ := call(t, exitOK, "", "keys", c)
	has(t, out, "pickled by Python", "s  ")
	out, _ = call(t, exitOK, "", "get", c, "k")
	if out != "text" {
		t.Errorf("got %q", out)
	}
	_, errs := call(t, exitFailed, "", "get", c, "pickled")
	has(t, errs, "pickle")
	out, errs = call(t, exitIncomplete, "", "export", c)
	has(t, errs, "left out 2 entries")
	if after := state(t, c); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	into := filepath.Join(dir, "into")
	call(t, exitOK, out, "import", into)
	got, _ := call(t, exitOK, "", "export", into)
	if got != out {
		t.Errorf("exported\n%s\nimported\n%s", out, got)
	}
	out, _ = call(t, exitOK, "", "info", filepath.Join(dir, "fanout"))
	has(t, out, "shards       4", "entries      20")
	out, _ = call(t, exitOK, "", "keys", filepath.Join(dir, "fanout"))
	has(t, out, " 19")
}

func TestNewer(t *testing.T) {
	sqlite, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("there is no sqlite3")
	}
	dir := filled(t)
	database := filepath.Join(dir, "cache.db")
	version, err := exec.Command(sqlite, database, "PRAGMA user_version").Output()
	ok(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(version)))
	ok(t, err)
	ok(t, exec.Command(sqlite, database, fmt.Sprintf("PRAGMA user_version = %d", n+2)).Run())
	_, errs := call(t, exitFailed, "", "info", dir)
	has(t, errs, "newer version")
}

// What is in a store is nothing for a terminal to obey.
func TestEscapes(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	st, err := cache.OpenStore(ctx, dir, nil)
	ok(t, err)
	for _, evil := range []string{"\x1b[31mred", "a\u202eb", "\x9b31m", "x\ry", "\x07"} {
		c, err := cache.New[string, string](ctx, st, evil, nil)
		ok(t, err)
		ok(t, c.Set(ctx, evil, evil, cache.Tag(evil)))
		d, err := deque.New[string](ctx, st, evil, nil)
		ok(t, err)
		ok(t, d.PushBack(ctx, evil))
		_, err = dsync.NewSemaphore(ctx, st, evil, 1, nil)
		ok(t, err)
	}
	names, err := st.Collections(ctx)
	ok(t, err)
	ok(t, st.Close())
	commands := [][]string{{"info"}, {"ls"}, {"queue", "ls"}, {"locks", "ls"}, {"stats"}, {"check"}}
	for _, name := range names {
		for _, c := range []string{"keys", "tags", "top"} {
			commands = append(commands, []string{c, "-c", name})
		}
	}
	for _, args := range commands {
		out, errs := call(t, exitOK, "", append(args, dir)...)
		for _, bad := range []string{"\x1b", "\u202e", "\x9b", "\r", "\x07"} {
			if strings.Contains(out+errs, bad) {
				t.Errorf("%q prints %q", args, bad)
			}
		}
	}
	_, errs := call(t, exitFailed, "", "info", "\x1b[31m")
	if strings.Contains(errs, "\x1b") {
		t.Errorf("an error with %q", errs)
	}
}

// writer writes to a store until it is killed.
func writer(dir string) {
	ctx := context.Background()
	st, err := cache.OpenStore(ctx, dir, nil)
	if err != nil {
		panic(err)
	}
	c, err := cache.New[string, int](ctx, st, "busy", nil)
	if err != nil {
		panic(err)
	}
	lock, err := dsync.NewLock(ctx, st, "shared", nil)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		if err := c.Set(ctx, fmt.Sprintf("%d/%d", os.Getpid(), i%500), i, cache.TTL(time.Hour)); err != nil {
			panic(err)
		}
		if i%20 == 0 {
			if err := lock.Do(ctx, func(context.Context) error { return nil }); err != nil {
				panic(err)
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// writers starts eight processes that write to a store.
func writers(t *testing.T, dir string) {
	t.Helper()
	for range 8 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "DISKCACHE_WRITER="+dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		ok(t, err)
		ok(t, c.Start())
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		_, err = io.ReadFull(out, make([]byte, 5))
		ok(t, err)
	}
}

// All of it works while eight processes write.
func TestBusy(t *testing.T) {
	dir := filled(t)
	writers(t, dir)
	for _, args := range looks {
		call(t, exitOK, "", with(args, dir)...)
	}
	call(t, exitOK, "", "set", "-c", "cache/pages", dir, "k", "v")
	out, _ := call(t, exitOK, "", "get", "-c", "cache/pages", dir, "k")
	if out != "v" {
		t.Errorf("got %q", out)
	}
	out, _ = call(t, exitOK, "", "watch", "-limit", "2", "-c", "cache/busy", dir)
	has(t, out, "cache/busy")
	text, _ := call(t, exitOK, "", "export", "-c", "cache/busy", dir)
	into := filepath.Join(t.TempDir(), "into")
	call(t, exitOK, text, "import", into)
	_, errs := call(t, exitFailed, text, "import", into)
	has(t, errs, "-merge")
	call(t, exitOK, text, "import", "-merge", into)
}

// A queue is exported and imported with its claims, the default one as well, beside others.
func TestExportQueue(t *testing.T) {
	ctx, dir := t.Context(), filled(t)
	st, err := cache.OpenStore(ctx, dir, nil)
	ok(t, err)
	d, err := deque.New[string](ctx, st, "", nil)
	ok(t, err)
	ok(t, d.PushBack(ctx, "c"))
	_, _, err = d.Claim(ctx, time.Hour)
	ok(t, err)
	ok(t, st.Close())
	into := filepath.Join(t.TempDir(), "into")
	for _, c := range []string{"deque/jobs", ""} {
		text, _ := call(t, exitOK, "", "export", "-c", c, dir)
		call(t, exitOK, text, "import", into)
	}
	if st, err = cache.OpenStore(ctx, into, nil); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for name, want := range map[string]string{"jobs": "a", "": "c"} {
		d, err := deque.New[string](ctx, st, name, nil)
		ok(t, err)
		if c, found, err := d.Claim(ctx, time.Hour); err != nil || !found || c.Value != want || c.Attempt != 2 {
			t.Errorf("%q: %+v, %v, %v", name, c, found, err)
		}
	}
}

// A killed import has imported what it has committed, and -merge goes on.
func TestInterrupted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "from")
	ctx := t.Context()
	c, err := cache.Open[int, string](ctx, dir, nil)
	ok(t, err)
	for i := range 1500 {
		ok(t, c.Set(ctx, i, "v"))
	}
	ok(t, c.Close())
	text, _ := call(t, exitOK, "", "export", dir)
	into := filepath.Join(t.TempDir(), "into")
	_, errs := call(t, exitFailed, text[:len(text)/2], "import", into)
	has(t, errs, "-merge")
	out, _ := call(t, exitOK, "", "ls", "-json", into)
	var line struct{ Entries int }
	ok(t, json.Unmarshal([]byte(out), &line))
	has(t, errs, fmt.Sprintf("imported %d entries", line.Entries))
	call(t, exitOK, text, "import", "-merge", into)
	again, _ := call(t, exitOK, "", "export", into)
	if again != text {
		t.Error("it is not the same")
	}
}

// The page is served to this machine only, unless one says otherwise, and under no other
// name.
func TestServe(t *testing.T) {
	url := startPage(t, filled(t))
	if !strings.HasPrefix(url, "http://localhost:") {
		t.Errorf("served at %s", url)
	}
	res, err := http.Get(url)
	ok(t, err)
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	ok(t, err)
	has(t, string(body), "cache/pages", "read-only")
	r, err := http.NewRequest("GET", url, nil)
	ok(t, err)
	r.Host = "evil.example"
	res, err = http.DefaultClient.Do(r)
	ok(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("under another name: status %d", res.StatusCode)
	}
}

// Each page in Chromium, and a way through them.
func TestBrowser(t *testing.T) {
	b := startBrowser(t)
	dir := filled(t)
	writers(t, dir)
	url := startPage(t, "-values", "-write", dir)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1120, 390} {
			b.size(width, 800, scheme)
			for _, path := range []string{"", "collections", "collection?name=cache/pages", "queues", "queue?name=jobs", "locks", "live", "nothing"} {
				b.open(url + path)
				if got := b.run("return document.documentElement.scrollWidth > window.innerWidth"); got != "false" {
					t.Errorf("%s is wider than %d", path, width)
				}
				if got := b.run("return getComputedStyle(document.querySelector('header')).position"); got != "sticky" {
					t.Errorf("%s has no style", path)
				}
			}
		}
	}
	b.size(1120, 800, "light")
	b.open(url)
	b.click("link text", "cache/pages")
	b.has("Keys that begin with")
	b.click("link text", "/home")
	b.has("Home")
	b.click("css selector", "details summary")
	b.click("css selector", "details button")
	b.has("The entry was removed.")
	b.click("link text", "Queues")
	b.click("link text", "jobs")
	b.has("dead")
	b.click("css selector", "td form button")
	b.has("back in the queue")
	b.click("link text", "Live")
	b.has("connected")
	b.has("cache/busy")
	for start := time.Now(); b.run("return document.querySelector('#last').textContent") == "none yet"; {
		if time.Since(start) > time.Minute {
			t.Fatal("no commit is seen")
		}
		time.Sleep(50 * time.Millisecond)
	}
	// With the keyboard: the first stop leads past the navigation.
	b.open(url)
	b.call("POST", "/actions", map[string]any{"actions": []any{map[string]any{"type": "key", "id": "k", "actions": []any{
		map[string]string{"type": "keyDown", "value": "\ue004"}, map[string]string{"type": "keyUp", "value": "\ue004"},
	}}}})
	if got := b.run("return document.activeElement.textContent"); got != "Skip to content" {
		t.Errorf("the first stop is %q", got)
	}
	var logs []struct{ Level, Message string }
	ok(t, json.Unmarshal(b.call("POST", "/se/log", map[string]string{"type": "browser"}), &logs))
	for _, l := range logs {
		if l.Level == "SEVERE" && !strings.Contains(l.Message, "404") {
			t.Errorf("the browser says: %s", l.Message)
		}
	}
}
