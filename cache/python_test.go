package cache_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// python is a running interpreter with a diskcache.Cache c on a directory.
type python struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// pythonPath is where Debian's package python3-diskcache puts its Python.
const pythonPath = "/usr/bin/python3"

// pythonLoop evaluates the expressions, or runs the statements, that it is
// sent, and answers with the repr of the result. A warning is an error, since
// DiskCache's check warns of what it finds.
const pythonLoop = `
import sys, json, warnings, diskcache
from diskcache import *
dir = sys.argv[1]
warnings.simplefilter("error")
c = eval(sys.argv[2])
for line in sys.stdin:
    code = json.loads(line)
    try:
        try:
            r = eval(compile(code, "test", "eval"))
        except SyntaxError:
            exec(compile(code, "test", "exec"))
            r = None
        answer = [True, repr(r)]
    except Exception as e:
        answer = [False, repr(e)]
    print(json.dumps(answer), flush=True)
`

// startPython starts an interpreter whose c is the value of an expression.
func startPython(t *testing.T, dir, c string) *python {
	t.Helper()
	if err := exec.Command(pythonPath, "-c", "import diskcache").Run(); err != nil {
		t.Skip("Python's DiskCache is not installed: apt-get install python3-diskcache")
	}
	p := &python{t: t, cmd: exec.Command(pythonPath, "-c", pythonLoop, dir, c)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	p.run("None") // it has started
	return p
}

func (p *python) end() {
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("python: %v", err)
	}
}

// send has code run without waiting for it.
func (p *python) send(format string, args ...any) {
	p.t.Helper()
	line, _ := json.Marshal(fmt.Sprintf(format, args...))
	if _, err := fmt.Fprintf(p.in, "%s\n", line); err != nil {
		p.t.Fatal(err)
	}
}

// answer waits for the result of what was sent.
func (p *python) answer() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	var a [2]any
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		p.t.Fatal(err)
	}
	if a[0] != true {
		p.t.Fatalf("python: %v", a[1])
	}
	return a[1].(string)
}

func (p *python) run(format string, args ...any) string {
	p.t.Helper()
	p.send(format, args...)
	return p.answer()
}

// want compares the repr of a result.
func (p *python) want(want, format string, args ...any) {
	p.t.Helper()
	if got := p.run(format, args...); got != want {
		p.t.Errorf("python: %s is %s, want %s", fmt.Sprintf(format, args...), got, want)
	}
}

// raw is a codec that hands the stored value through, so that a test sees
// what there is.
type raw struct{}

func (raw) Name() string                              { return "" }
func (raw) Encode(v codec.Value) (codec.Value, error) { return v, nil }
func (raw) Decode(v codec.Value) (codec.Value, error) { return v, nil }

func openRaw(t *testing.T, dir string, o *cache.Options[codec.Value, codec.Value]) *cache.Cache[codec.Value, codec.Value] {
	t.Helper()
	if o == nil {
		o = &cache.Options[codec.Value, codec.Value]{}
	}
	o.Keys, o.Values = raw{}, raw{}
	c, err := cache.Open(t.Context(), dir, o)
	ok(t, err)
	t.Cleanup(func() { ok(t, c.Close()) })
	return c
}

// read is a Get whose result does not matter.
func read(t *testing.T, c *cache.Cache[codec.Value, codec.Value], k codec.Value) {
	t.Helper()
	_, _, err := c.Get(t.Context(), k)
	ok(t, err)
}

func textValue(s string) codec.Value { return codec.TextValue(s) }

// Values of all storage classes, small and in files, with Python's spelling.
var pythonValues = []struct {
	value  codec.Value
	python string
}{
	{codec.IntegerValue(0), "0"},
	{codec.IntegerValue(-1 << 63), "-2**63"},
	{codec.IntegerValue(1<<63 - 1), "2**63 - 1"},
	{codec.RealValue(1.5), "1.5"},
	{codec.RealValue(-1e300), "-1e300"},
	{textValue(""), "''"},
	{textValue("text"), "'text'"},
	{textValue("ünïcödé \x00 \U0001f600\r\n"), `'ünïcödé \x00 \U0001f600\r\n'`},
	{codec.BlobValue([]byte{}), "b''"},
	{codec.BlobValue([]byte{0, 255, 10}), `b'\x00\xff\n'`},
	{textValue(strings.Repeat("zeile\r\n", 6000)), `'zeile\r\n' * 6000`},
	{textValue(strings.Repeat("é", 40_000)), "'é' * 40000"},
	{codec.BlobValue([]byte(strings.Repeat("\r\n\x00", 20_000))), `b'\r\n\x00' * 20000`},
}

func TestPythonValues(t *testing.T) {
	dir := t.TempDir()
	c := openRaw(t, dir, nil)
	p := startPython(t, dir, "Cache(dir)")
	for i, v := range pythonValues {
		goKey, pyKey := fmt.Sprintf("go%d", i), fmt.Sprintf("py%d", i)
		ok(t, c.Set(t.Context(), textValue(goKey), v.value))
		if v.value.Len() < 1000 || !strings.Contains(v.value.Text(), "\r") {
			// DiskCache itself reads \r from a text file as \n.
			p.want("True", "c[%q] == (%s) and type(c[%q]) is type(%s)", goKey, v.python, goKey, v.python)
		}
		p.run("c[%q] = %s", pyKey, v.python)
		got, found, err := c.Get(t.Context(), textValue(pyKey))
		ok(t, err)
		if !found || !reflect.DeepEqual(got, v.value) {
			t.Errorf("%s from Python is a %v of %d bytes, %v", v.python, got.Kind(), got.Len(), found)
		}
		if v.value.Len() > 1000 {
			continue
		}
		// As keys: whoever stored it, the other finds it.
		ok(t, c.Set(t.Context(), v.value, textValue("by Go")))
		p.want("'by Go'", "c[%s]", v.python)
		p.run("c[%s] = 'by Python'", v.python)
		got, _, err = c.Get(t.Context(), v.value)
		ok(t, err)
		equal(t, got.Text(), "by Python")
	}
	p.want("[]", "c.check()")
	p.want("[]", "c.check(fix=True)")
	checkClean(t, c)
	p.want(fmt.Sprint(must(c.Len(t.Context()))(t)), "len(c)")
}

// checkClean demands that Check finds nothing.
func checkClean[K, V any](t *testing.T, c *cache.Cache[K, V]) {
	t.Helper()
	r, err := c.Store().Check(t.Context(), nil)
	ok(t, err)
	if !r.OK() {
		t.Errorf("Check found %v", r.Problems)
	}
}

func TestPythonMetadata(t *testing.T) {
	dir := t.TempDir()
	c := openRaw(t, dir, nil)
	p := startPython(t, dir, "Cache(dir, tag_index=True)")
	ctx := t.Context()
	k := textValue("k")

	ok(t, c.Set(ctx, k, textValue("v"), cache.TTL(time.Hour), cache.Tag("t")))
	p.want("('v', True, 't')", "(lambda v, e, tag: (v, 3500 < e - __import__('time').time() <= 3600, tag))(*c.get('k', expire_time=True, tag=True))")
	p.run("c.set('k', 'w', expire=1000, tag=7)")
	e, _, err := c.GetEntry(ctx, k)
	ok(t, err)
	if left := time.Until(e.Expiry); left < 900*time.Second || left > 1000*time.Second {
		t.Errorf("expires in %v", left)
	}
	equal(t, e.Tag.Integer(), 7)

	// What one lets expire, the other does not find, and removes.
	p.run("c.reset('cull_limit', 0)") // or it goes at once
	p.run("c.set('gone', 'v', expire=-1)")
	equal(t, must(c.Contains(ctx, textValue("gone")))(t), false)
	equal(t, must(c.Expire(ctx))(t), 1)
	ok(t, c.Set(ctx, textValue("past"), textValue(strings.Repeat("v", 50_000)), cache.ExpireAt(time.Now().Add(-time.Second))))
	p.want("None", "c.get('past')")
	p.want("1", "c.expire()")

	// Tags.
	for i := range 5 {
		ok(t, c.Set(ctx, codec.IntegerValue(int64(i)), textValue("v"), cache.Tag("group")))
		p.run("c.set(%d, 'v', tag='group')", 100+i)
	}
	p.want("10", "c.evict('group')")
	for i := range 5 {
		p.run("c.set(%d, 'v' * 40000, tag=b'group')", 100+i)
	}
	equal(t, must(c.Evict(ctx, cache.Tag([]byte("group"))))(t), 5)

	// Counters, touch, pop, add.
	p.run("c.set('n', 5)")
	n, err := cache.Open[string, int64](ctx, dir, nil)
	ok(t, err)
	defer n.Close()
	equal(t, must(cache.Incr(ctx, n, "n", 2))(t), 7)
	p.want("10", "c.incr('n', 3)")
	p.want("True", "c.touch('n', expire=50)")
	equal(t, must(c.Add(ctx, textValue("n"), textValue("other")))(t), false)
	p.want("False", "c.add('n', 1)")
	p.want("10", "c.pop('n')")
	equal(t, must(c.Contains(ctx, textValue("n")))(t), false)

	// Order of iteration, by insertion and by key.
	must(c.Clear(ctx))(t)
	for _, k := range []string{"'b'", "10", "b'a'", "2.5", "'a'", "-3"} {
		p.run("c[%s] = 0", k)
	}
	order := func(next func(func(codec.Value, error) bool)) string {
		var out []string
		for k, err := range next {
			ok(t, err)
			switch k.Kind() {
			case codec.Integer:
				out = append(out, fmt.Sprint(k.Integer()))
			case codec.Real:
				out = append(out, fmt.Sprint(k.Real()))
			case codec.Text:
				out = append(out, "'"+k.Text()+"'")
			case codec.Blob:
				out = append(out, "b'"+string(k.Blob())+"'")
			}
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	p.want(order(c.Keys(ctx)), "list(c)")
	p.want(order(c.Sorted().Keys(ctx)), "list(c.iterkeys())")
	p.want(order(c.Sorted().Desc().Keys(ctx)), "list(c.iterkeys(reverse=True))")
	checkClean(t, c)
	p.want("[]", "c.check()")
}

func TestPythonQueues(t *testing.T) {
	dir := t.TempDir()
	c := openRaw(t, dir, nil)
	p := startPython(t, dir, "Cache(dir)")
	ctx := t.Context()
	for _, prefix := range []string{"", "jobs"} {
		q := c.Queue(prefix)
		arg := "None"
		if prefix != "" {
			arg = "'" + prefix + "'"
		}
		must(q.PushBack(ctx, textValue("1")))(t)
		p.run("c.push('2', prefix=%s)", arg)
		must(q.PushFront(ctx, textValue("0")))(t)
		p.run("c.push('-1', prefix=%s, side='front')", arg)
		p.want("'-1'", "c.pull(prefix=%s)[1]", arg)
		for _, want := range []string{"0", "1", "2"} {
			e, found, err := q.PopFront(ctx)
			ok(t, err)
			if !found || e.Value.Text() != want {
				t.Errorf("pulled %q, %v, want %q", e.Value.Text(), found, want)
			}
		}
		p.want("(None, None)", "c.pull(prefix=%s)", arg)
	}
}

// Both sides write at full speed: nothing is lost, nothing is handed out
// twice, and Python's check, which takes files that it does not know for
// left-overs and removes them, finds none while files are being written.
func TestPythonAtTheSameTime(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	dir := t.TempDir()
	c := openRaw(t, dir, nil)
	n, err := cache.Open[string, int64](t.Context(), dir, nil)
	ok(t, err)
	defer n.Close()
	p := startPython(t, dir, "Cache(dir)")
	// Between a commit and the removal of the files that it leaves without a
	// row, a check finds those, in DiskCache alone as well.
	p.run("warnings.simplefilter('ignore')")
	p.run("pulled = []")
	q := c.Queue("q")
	for i := range rounds {
		must(q.PushBack(t.Context(), codec.IntegerValue(int64(i))))(t)
	}
	p.send(`for i in range(%d):
    c.incr('n')
    c['py%%d' %% (i %% 7)] = b'p' * (100 if i %% 3 else 50000)
    c.push(1000000 + i, prefix='q')
    k, v = c.pull(prefix='q')
    pulled.append(v)
    if i %% 50 == 0:
        try: c.check(fix=True)
        except FileNotFoundError: pass  # a file went while it looked
`, rounds)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var pulled []int64
	for g := range 3 {
		wg.Go(func() {
			for i := range rounds {
				size := 100
				if i%3 == 0 {
					size = 50_000
				}
				k := textValue(fmt.Sprintf("go%d-%d", g, i%7))
				_, err := cache.Incr(t.Context(), n, "n", 1)
				if err == nil {
					err = c.Set(t.Context(), k, codec.BlobValue(make([]byte, size)))
				}
				if err != nil {
					t.Error(err)
					return
				}
				if v, found, err := c.Get(t.Context(), k); err != nil || !found || v.Len() != size {
					t.Errorf("own value: %d bytes, %v, %v", v.Len(), found, err)
				}
				if g > 0 {
					continue
				}
				e, found, err := q.PopFront(t.Context())
				if err != nil {
					t.Error(err)
				} else if found {
					mu.Lock()
					pulled = append(pulled, e.Value.Integer())
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	p.answer()
	p.want(fmt.Sprint(4*rounds), "c['n']")
	var theirs []int64
	ok(t, json.Unmarshal([]byte(p.run("pulled")), &theirs))
	all := append(pulled, theirs...)
	for {
		e, found, err := q.PopFront(t.Context())
		ok(t, err)
		if !found {
			break
		}
		all = append(all, e.Value.Integer())
	}
	slices.Sort(all)
	equal(t, len(slices.Compact(all)), 2*rounds)
	p.run("warnings.simplefilter('error')")
	checkClean(t, c)
	p.want("[]", "c.check()")
}

func TestPythonSettingsAndEviction(t *testing.T) {
	dir := t.TempDir()
	c := openRaw(t, dir, nil)
	p := startPython(t, dir, "Cache(dir, eviction_policy='least-recently-used', size_limit=2**20, cull_limit=3, statistics=1)")
	ctx := t.Context()
	ok(t, c.Set(ctx, textValue("takes notice"), textValue("v")))
	s := c.Settings()
	equal(t, s.Policy, cache.LeastRecentlyUsed)
	equal(t, s.SizeLimit, 1<<20)
	equal(t, s.CullLimit, 3)
	equal(t, s.Statistics, true)
	must(c.Configure(ctx, func(s *cache.Settings) { s.SizeLimit = 1 << 19; s.MinFileSize = 100 }))(t)
	p.want("524288", "c.reset('size_limit')")
	p.want("100", "c.reset('disk_min_file_size')")

	// Hits and misses add up.
	must(c.ResetStats(ctx))(t)
	for range 3 {
		read(t, c, textValue("takes notice"))
	}
	read(t, c, textValue("absent"))
	p.run("c.get('takes notice')")
	st, err := c.Stats(ctx)
	ok(t, err)
	equal(t, [2]int64{st.Hits, st.Misses}, [2]int64{4, 1})
	p.want("(4, 1)", "c.stats()")

	// Each evicts the other's, least recently used first.
	must(c.Clear(ctx))(t)
	must(c.Configure(ctx, func(s *cache.Settings) { s.SizeLimit = 1 << 40; s.CullLimit = 0 }))(t)
	p.run("[c.reset(k) for k in ('size_limit', 'cull_limit', 'disk_min_file_size')]")
	for i := range 6 {
		if i%2 == 0 {
			ok(t, c.Set(ctx, codec.IntegerValue(int64(i)), codec.BlobValue(make([]byte, 100_000))))
		} else {
			p.run("c[%d] = b'v' * 100000", i)
		}
	}
	read(t, c, codec.IntegerValue(0)) // used last, but for 1
	must(c.Stats(ctx))(t)             // has the reads written
	p.run("c[1]")
	must(c.Configure(ctx, func(s *cache.Settings) { s.SizeLimit = 490_000; s.CullLimit = 1 }))(t)
	must(c.Cull(ctx))(t)
	p.want("[0, 1, 4, 5]", "sorted(c)")
	p.run("c.reset('size_limit', 330000); c.reset('cull_limit', 1); c[6] = 0; c[7] = 0")
	p.want("[0, 1, 6, 7]", "sorted(c)")
	checkClean(t, c)
	p.want("[]", "c.check()")
}

// Zlib over JSON is DiskCache's JSONDisk, keys included.
func TestPythonJSONDisk(t *testing.T) {
	type record struct {
		Name  string   `json:"name"`
		Tags  []string `json:"tags"`
		Score float64  `json:"score"`
	}
	dir := t.TempDir()
	c, err := cache.Open(t.Context(), dir, &cache.Options[[]any, record]{
		Keys:   codec.Zlib(codec.JSON[[]any](), 1),
		Values: codec.Zlib(codec.JSON[record](), 1),
	})
	ok(t, err)
	defer c.Close()
	p := startPython(t, dir, "Cache(dir, disk=JSONDisk)")
	ok(t, c.Set(t.Context(), []any{"päge", 1, nil, true}, record{"ä <&>", []string{"x", "y"}, 2}))
	p.want("{'name': 'ä <&>', 'tags': ['x', 'y'], 'score': 2.0}", "c[['päge', 1, None, True]]")
	p.run("c[['py', 2]] = {'name': 'n' * 100000, 'tags': [], 'score': 0.1}")
	v, found, err := c.Get(t.Context(), []any{"py", 2})
	ok(t, err)
	if !found || v.Name != strings.Repeat("n", 100_000) || v.Score != 0.1 {
		t.Errorf("read %.20v, %v", v, found)
	}
	p.want("[['päge', 1, None, True], ['py', 2]]", "list(c)")
	checkClean(t, c)
	p.want("[]", "c.check()")
}

// What Python pickled is an error that says so, and never decoded.
func TestPythonPickle(t *testing.T) {
	dir := t.TempDir()
	p := startPython(t, dir, "Cache(dir)")
	p.run("c['pickled'] = {1, 2}")
	p.run("c['large'] = list(range(50000))")
	p.run("c[(1, 2)] = 'v'")
	c, err := cache.Open[string, string](t.Context(), dir, nil)
	ok(t, err)
	defer c.Close()
	for _, k := range []string{"pickled", "large"} {
		_, _, err = c.Get(t.Context(), k)
		is(t, err, cache.ErrCodecMismatch)
		if !strings.Contains(err.Error(), "pickled by Python") {
			t.Errorf("message %q", err)
		}
		_, _, err = c.OpenValue(t.Context(), k)
		is(t, err, cache.ErrCodecMismatch)
	}
	_, err = cache.Collect(c.Keys(t.Context()))
	is(t, err, cache.ErrCodecMismatch)
	r, err := c.Store().Check(t.Context(), nil)
	ok(t, err)
	equal(t, len(r.Problems), 3)
	for _, problem := range r.Problems {
		equal(t, problem.Kind, driver.Undecodable)
	}
	p.want("({1, 2}, 49999, 'v')", "c['pickled'], c['large'][-1], c[(1, 2)]")
}

// A directory that Python made is used and kept as it is, a read-only store
// adds nothing to it, and both sides mend what the other finds broken.
func TestPythonDirectory(t *testing.T) {
	dir := t.TempDir()
	p := startPython(t, dir, "Cache(dir)")
	p.run("c['k'] = 'v'; c['file'] = b'v' * 50000")
	ro, err := cache.Open(t.Context(), dir, &cache.Options[string, []byte]{Store: &cache.StoreOptions{ReadOnly: true}})
	ok(t, err)
	v, found, err := ro.Get(t.Context(), "file")
	ok(t, err)
	equal(t, [2]any{len(v), found}, [2]any{50_000, true})
	ok(t, ro.Close())
	p.want("['Cache', 'Settings']", "sorted(r[0] for r in c._sql(\"SELECT name FROM sqlite_master WHERE type = 'table'\"))")

	c := openRaw(t, dir, nil)
	has := func(k, want string) {
		t.Helper()
		v, _, err := c.Get(t.Context(), textValue(k))
		ok(t, err)
		equal(t, v.Text(), want)
	}
	has("k", "v")
	var values []string
	for len(values) != 2 || filepath.Dir(filepath.Dir(values[0])) == filepath.Dir(filepath.Dir(values[1])) {
		// In folders of their own, which are chosen at random.
		ok(t, c.Set(t.Context(), textValue("mine"), textValue(strings.Repeat("w", 50_000))))
		must(c.Store().Check(t.Context(), nil))(t) // with the file of the value before removed
		values = nil
		ok(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if strings.HasSuffix(path, ".val") {
				values = append(values, path)
			}
			return err
		}))
	}
	value := values[0]
	p.run("c2 = Cache(dir); c2.close()") // sets up its triggers and indexes again
	p.run("c._sql(\"UPDATE Settings SET value = 99 WHERE key = 'count'\")")
	ok(t, os.Remove(value))
	ok(t, os.WriteFile(filepath.Join(filepath.Dir(value), "stray.val"), nil, 0o600))
	old := time.Now().Add(-time.Hour) // a young one might be being written
	ok(t, os.Chtimes(filepath.Join(filepath.Dir(value), "stray.val"), old, old))
	r, err := c.Store().Check(t.Context(), &cache.CheckOptions{Mend: true})
	ok(t, err)
	var kinds []string
	for _, problem := range r.Problems {
		kinds = append(kinds, string(problem.Kind))
	}
	equal(t, strings.Join(kinds, ", "), "missing file, wrong count, unknown file, empty directory, empty directory")
	p.want("[]", "c.check()")

	ok(t, os.WriteFile(filepath.Join(dir, "stray"), nil, 0o600))
	p.run("warnings.simplefilter('always')")
	p.want("1", "len(c.check(fix=True))")
	checkClean(t, c)
}
