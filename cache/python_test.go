package cache_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

// Python's DiskCache and this package read each other's entries and queues,
// and what Python pickled is an error that says so.
func TestPython(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import diskcache").Run(); err != nil {
		t.Skip("Python's diskcache is not installed")
	}
	dir := t.TempDir()
	run := func(script string) string {
		t.Helper()
		out, err := exec.Command(python, "-c", "import sys, diskcache\nc = diskcache.Cache(sys.argv[1])\n"+script, dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run(`
c.set("text", "v", tag="t", expire=1000)
c.set("big", "v" * 40000)
c.push("from Python", prefix="q")`)
	c, err := cache.Open[string, string](t.Context(), dir, nil)
	ok(t, err)
	defer c.Close()
	has(t, c, "text", "v")
	has(t, c, "big", strings.Repeat("v", 40_000))
	equal(t, len(must(cache.Collect(c.Tagged(t.Context(), cache.Tag("t"))))(t)), 1)
	equal(t, must(c.Queue("q").Push(t.Context(), "from Go"))(t), "q-500000000000001")
	set(t, c, "go", "w", cache.Tag(7))
	equal(t, run(`print(c.get("go", tag=True), c.pull(prefix="q"), c.pull(prefix="q"))`),
		"('w', 7) ('q-500000000000000', 'from Python') ('q-500000000000001', 'from Go')")

	run(`c["pickled"] = {1, 2}`)
	_, _, err = c.Get(t.Context(), "pickled")
	is(t, err, cache.ErrCodecMismatch)
	if !strings.Contains(err.Error(), "pickled by Python") {
		t.Errorf("message %q", err)
	}
	_, _, err = c.OpenValue(t.Context(), "pickled")
	is(t, err, cache.ErrCodecMismatch)
	must(c.Delete(t.Context(), "pickled"))(t)
	run(`c[(1, 2)] = "v"`)
	_, err = cache.Collect(c.Keys(t.Context()))
	is(t, err, cache.ErrCodecMismatch)
	equal(t, must(c.Check(t.Context(), nil))(t).Problems[0].Kind, cache.Undecodable)
}
