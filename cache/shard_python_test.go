package cache_test

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// fanout returns a function that runs a script with Python's FanoutCache of n
// shards as f.
func fanout(t *testing.T, dir string, n int) func(script string) string {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import diskcache").Run(); err != nil {
		t.Skip("Python's diskcache is not installed")
	}
	return func(script string) string {
		t.Helper()
		script = fmt.Sprintf("import sys, diskcache\nf = diskcache.FanoutCache(sys.argv[1], shards=%d, timeout=60)\n", n) + script
		out, err := exec.Command(python, "-c", script, dir).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
}

// Keys of each kind, as Python writes them and as we do.
const pythonKeys = `
ints = [0, 1, -1, -5, 2**40, -2**40, 2**63-1, -2**63, 0xFFFFFFFF, -0xFFFFFFFF] + list(range(-50, 50))
floats = [0.5, -2.5, 1e300, 1.0, -3.0] + [i / 7 + 0.01 for i in range(50)]
texts = ["", "a", "日本"] + ["key-%d" % i for i in range(50)]
blobs = [t.encode() for t in texts]
`

// A Python process and a Go process find each other's keys.
func TestShardsPython(t *testing.T) {
	for _, goFirst := range []bool{true, false} {
		ctx, dir := t.Context(), t.TempDir()
		run := fanout(t, dir, 8)
		if !goFirst {
			run(`f["first"] = "Python's"`)
		}
		st := openSharded(t, dir, 8)
		any := open(t, st, "", &cache.Options[codec.Value, codec.Value]{
			Keys: asStored{}, Values: asStored{},
		})
		if !goFirst {
			v, found, err := any.Get(ctx, codec.TextValue("first"))
			ok(t, err)
			equal(t, found && v.Text() == "Python's", true)
		}
		equal(t, any.Settings().SizeLimit, 1<<30)
		// From Python to Go.
		run(pythonKeys + `
for k in ints + floats + texts + blobs:
    f.set(k, repr(k), tag="py")`)
		read := 0
		for e, err := range any.Tagged(ctx, cache.Tag("py")) {
			ok(t, err)
			v, found, err := any.Get(ctx, e.Key)
			ok(t, err)
			if !found || !codec.Equal(v, e.Value) {
				t.Errorf("%v: found %v", e.Key, found)
			}
			read++
		}
		equal(t, fmt.Sprint(read), run(`print(len(f) - (1 if "first" in f else 0))`))
		// And back: what Go has written anew, in place and in files.
		for e, err := range any.Tagged(ctx, cache.Tag("py")) {
			ok(t, err)
			v := e.Value.Text() + "!"
			if e.Key.Kind() == codec.Blob {
				v += strings.Repeat("x", 40_000)
			}
			ok(t, any.Set(ctx, e.Key, codec.TextValue(v), cache.Tag("go")))
		}
		equal(t, run(pythonKeys+`
for k in ints + floats + texts:
    assert f[k] == repr(k) + "!", k
for k in blobs:
    assert f[k] == repr(k) + "!" + "x" * 40000, k
assert f.get(1) == "1!" and f.get(1.0) == "1.0!"
print(f.evict("go"), f.check())`), fmt.Sprint(read)+" []")

		// Collections below, in both directions.
		run(`
f.cache("c").set("from", "Python")
f.deque("jobs").extend(["a", "b"])
f.index("i")["k"] = "v"`)
		c := open[string, string](t, st, "c", nil)
		has(t, c, "from", "Python")
		set(t, c, "to", "Python")
		jobs := open[int64, string](t, st, "jobs", &cache.Options[int64, string]{Family: "deque", Persistent: true})
		e, found, err := jobs.Queue("").PopFront(ctx)
		ok(t, err)
		equal(t, found && e.Value == "a", true)
		must(jobs.Queue("").PushBack(ctx, "c"))(t)
		index := open[string, string](t, st, "i", &cache.Options[string, string]{Family: "index", Persistent: true})
		has(t, index, "k", "v")
		set(t, index, "l", "w")
		nested := open[string, string](t, st, "a/b", nil)
		set(t, nested, "k", "nested")
		equal(t, run(`print(f.cache("c")["to"], list(f.deque("jobs")), dict(f.index("i")), f.cache("a/b")["k"])`),
			"Python ['b', 'c'] {'k': 'v', 'l': 'w'} nested")
		equal(t, strings.Join(must(st.Collections(ctx))(t), ","), ",cache/a/b,cache/c,deque/jobs,index/i")
		equal(t, must(st.Check(ctx, nil))(t).OK(), true)
		st2, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Shards: 4})
		if err == nil {
			st2.Close()
			t.Error("opened with another number of shards")
		}
	}
}

// A Python process and a Go process count the same numbers at the same time,
// alone and in transactions over all shards.
func TestShardsPythonAtOnce(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	run := fanout(t, dir, 4)
	st := openSharded(t, dir, 4)
	c := open[string, int](t, st, "", nil)
	const counters, rounds = 12, 25
	count := func(c *cache.Cache[string, int], i int) error {
		_, err := cache.Incr(ctx, c, fmt.Sprint("n", i), 1)
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		run(fmt.Sprintf(`
for r in range(%d):
    for i in range(%d):
        f.incr("n%%d" %% i, retry=True)
    with f.transact():
        for i in range(%d):
            f.incr("n%%d" %% i, retry=True)`, rounds, counters, counters))
	})
	wg.Go(func() {
		for range rounds {
			for i := range counters {
				if err := count(c, i); err != nil {
					t.Error(err)
				}
			}
			err := st.Update(ctx, func(tx *cache.Tx) error {
				for i := range counters {
					if err := count(c.In(tx), counters-1-i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for i := range counters {
		v, _, err := c.Get(ctx, fmt.Sprint("n", i))
		ok(t, err)
		equal(t, v, 4*rounds)
	}
	equal(t, run(fmt.Sprintf(`print(sum(f["n%%d" %% i] for i in range(%d)), f.check())`, counters)), fmt.Sprint(4*rounds*counters, " []"))
}

// asStored is the codec of values that are encoded already.
type asStored struct{}

func (asStored) Name() string                              { return "raw" }
func (asStored) Encode(v codec.Value) (codec.Value, error) { return v, nil }
func (asStored) Decode(v codec.Value) (codec.Value, error) { return v.Clone(), nil }
