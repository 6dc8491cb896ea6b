package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// The test program is also the program.
func TestMain(m *testing.M) {
	if os.Getenv("GOCACHEPROG_MAIN") != "" {
		if n, _ := strconv.Atoi(os.Getenv("GOCACHEPROG_DIES")); n > 0 {
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, &dying{n: n}, os.Stderr))
		}
		main()
	}
	os.Exit(m.Run())
}

// dying is a standard output that kills the process behind the nth response.
type dying struct{ n int }

func (d *dying) Write(p []byte) (int, error) {
	n, err := os.Stdout.Write(p)
	if d.n--; d.n == 0 {
		self, _ := os.FindProcess(os.Getpid())
		self.Kill()
		select {}
	}
	return n, err
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// client is the go command's side of the protocol.
type client struct {
	t      *testing.T
	in     io.WriteCloser
	out    *json.Decoder
	id     int64
	stderr bytes.Buffer
	status func() int // waits for the end
	cmd    *exec.Cmd  // nil if the program runs in this process
}

// start runs the program in this process, which can have one at a time in a
// directory: a second one would share its session.
func start(t *testing.T, args ...string) *client {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &client{t: t, in: inW, out: json.NewDecoder(outR)}
	status := make(chan int, 1)
	go func() {
		status <- run(t.Context(), args, inR, outW, &c.stderr)
		inR.Close()
		outW.Close()
	}()
	c.status = func() int {
		io.Copy(io.Discard, io.MultiReader(c.out.Buffered(), outR))
		return <-status
	}
	c.hello()
	return c
}

// startProcess runs the program in a process of its own.
func startProcess(t *testing.T, args ...string) *client {
	t.Helper()
	exe, err := os.Executable()
	ok(t, err)
	c := &client{t: t, cmd: exec.CommandContext(t.Context(), exe, args...)}
	c.cmd.Env = append(os.Environ(), "GOCACHEPROG_MAIN=1")
	c.cmd.Stderr = &c.stderr
	c.in, err = c.cmd.StdinPipe()
	ok(t, err)
	out, err := c.cmd.StdoutPipe()
	ok(t, err)
	c.out = json.NewDecoder(out)
	ok(t, c.cmd.Start())
	c.status = func() int {
		c.cmd.Wait()
		return c.cmd.ProcessState.ExitCode()
	}
	c.hello()
	return c
}

func (c *client) hello() {
	c.t.Helper()
	equal(c.t, c.receive(), response{KnownCommands: []string{"get", "put", "close"}})
}

func (c *client) receive() (res response) {
	c.t.Helper()
	ok(c.t, c.out.Decode(&res))
	return res
}

func (c *client) send(text string) {
	c.t.Helper()
	_, err := io.WriteString(c.in, text)
	ok(c.t, err)
}

// ask sends a request as the go command does, and returns the response to it.
func (c *client) ask(req request) response {
	c.t.Helper()
	c.id++
	req.ID = c.id
	req.BodySize = int64(len(req.body))
	line, err := json.Marshal(req)
	ok(c.t, err)
	text := string(line) + "\n\n"
	if len(req.body) > 0 {
		text += `"` + base64.StdEncoding.EncodeToString(req.body) + "\"\n"
	}
	c.send(text)
	res := c.receive()
	equal(c.t, res.ID, c.id)
	return res
}

func action(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func (c *client) get(name string) response {
	c.t.Helper()
	return c.ask(request{Command: "get", ActionID: action(name)})
}

// put puts a body, and returns the path to it.
func (c *client) put(name string, body []byte) string {
	c.t.Helper()
	sum := sha256.Sum256(body)
	res := c.ask(request{Command: "put", ActionID: action(name), OutputID: sum[:], body: body})
	equal(c.t, res.Err, "")
	c.holds(res.DiskPath, body)
	return res.DiskPath
}

// holds sees that a path is absolute and that body is there.
func (c *client) holds(path string, body []byte) {
	c.t.Helper()
	data, err := os.ReadFile(path)
	ok(c.t, err)
	if !filepath.IsAbs(path) || !bytes.Equal(data, body) {
		c.t.Errorf("%s has %d bytes that are not the %d of the body", path, len(data), len(body))
	}
}

// hit sees that body is there.
func (c *client) hit(name string, body []byte) string {
	c.t.Helper()
	res := c.get(name)
	if res.Miss || res.Err != "" {
		c.t.Fatalf("%q: %+v", name, res)
	}
	sum := sha256.Sum256(body)
	equal(c.t, res.OutputID, sum[:])
	equal(c.t, res.Size, int64(len(body)))
	if res.Time == nil || time.Since(*res.Time).Abs() > time.Hour {
		c.t.Errorf("time is %v", res.Time)
	}
	c.holds(res.DiskPath, body)
	return res.DiskPath
}

func (c *client) miss(name string) {
	c.t.Helper()
	res := c.get(name)
	equal(c.t, res, response{ID: c.id, Miss: true})
}

// close says close, and returns the standard error of the program.
func (c *client) close() string {
	c.t.Helper()
	equal(c.t, c.ask(request{Command: "close"}), response{ID: c.id})
	equal(c.t, c.status(), exitOK)
	return c.stderr.String()
}

// end ends the input, as go list does, and returns the exit status.
func (c *client) end() int {
	c.in.Close()
	return c.status()
}

func body(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

// runs returns the folders of runs.
func runs(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "runs"))
	ok(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// sound checks the store.
func sound(t *testing.T, dir string) {
	t.Helper()
	s, err := openStore(t.Context(), dir, 0, &complaints{w: t.Output()})
	ok(t, err)
	defer s.outputs.Close()
	r, err := s.outputs.Store().Check(t.Context(), nil)
	ok(t, err)
	equal(t, r.Problems, r.Problems[:0])
}

func TestProtocol(t *testing.T) {
	dir := t.TempDir()
	bodies := map[string][]byte{"small": body(1), "of two": body(2), "of three": body(3), "middle": body(5000), "large": body(3 << 20), "none": {}}
	c := start(t, "-dir", dir)
	for name, b := range bodies {
		c.miss(name)
		c.put(name, b)
		c.hit(name, b)
	}
	first := c.hit("middle", bodies["middle"])
	c.put("middle", body(6000)) // by a compiler that does not always do the same
	c.hit("middle", body(6000))
	c.holds(first, bodies["middle"])
	c.put("middle", bodies["middle"])
	equal(t, len(runs(t, dir)), 1)
	equal(t, c.close(), "")
	equal(t, runs(t, dir), []string(nil))

	c = start(t, "-dir", dir)
	for name, b := range bodies {
		c.hit(name, b)
	}
	equal(t, c.close(), "")
	equal(t, runs(t, dir), []string(nil))
	sound(t, dir)

	var stdout, stderr bytes.Buffer
	equal(t, run(t.Context(), []string{"-dir", dir, "-stats"}, nil, &stdout, &stderr), exitOK)
	equal(t, stderr.String(), "")
	for _, want := range []string{dir, "entries    6", "of 10 GiB", "hits       14", "misses     6", "puts       8"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
}

func TestOddRequests(t *testing.T) {
	dir := t.TempDir()
	c := start(t, "-dir", dir)
	for _, req := range []request{
		{Command: "get2", ActionID: action("a")},
		{},
		{Command: "get"},
		{Command: "put", OutputID: action("a")},
		{Command: "put", ActionID: action("a")},
		{Command: "put", ActionID: action("a"), body: body(9)},
	} {
		if res := c.ask(req); res.Err == "" || res.DiskPath != "" {
			t.Errorf("%+v: %+v", req, res)
		}
	}
	c.miss("a")
	equal(t, c.close(), "")

	for _, text := range []string{
		"get\n",
		"{\n",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":-1}` + "\n",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3}` + "\nAAAA\n",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3}` + "\n\"AA A\"\n",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3}` + "\n\"AAAAAAAA\"\n",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":2}` + "\n\"AAAA\"\n",
	} {
		c := start(t, "-dir", dir)
		c.send(text)
		equal(t, c.status(), exitFailed)
		if !strings.Contains(c.stderr.String(), errProtocol.Error()) {
			t.Errorf("%q: standard error is %q", text, &c.stderr)
		}
	}
	for _, text := range []string{
		`{"ID":1,"Command":"close"}`,
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3}`,
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3}` + "\n",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3}` + "\n\"AA",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3}` + "\n\"AAAA",
		`{"ID":1,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":4611686018427387904}` + "\n\"AAAA\"\n",
	} {
		c := start(t, "-dir", dir)
		c.send(text)
		equal(t, c.end(), exitFailed)
		if !strings.Contains(c.stderr.String(), io.ErrUnexpectedEOF.Error()) {
			t.Errorf("%q: standard error is %q", text, &c.stderr)
		}
	}
	sound(t, dir)
	s, err := openStore(t.Context(), dir, 0, &complaints{w: t.Output()})
	ok(t, err)
	defer s.outputs.Close()
	n, err := s.outputs.Len(t.Context())
	ok(t, err)
	equal(t, n, int64(0))
}

// Many requests may be on the way at once. All are answered before a close is.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	c := start(t, "-dir", dir)
	const n = 100
	var text bytes.Buffer
	for i := range n {
		b := body(i * i * 50)
		sum := sha256.Sum256(b)
		line, err := json.Marshal(request{ID: int64(i), Command: "put", ActionID: action(fmt.Sprint(i)), OutputID: sum[:], BodySize: int64(len(b))})
		ok(t, err)
		text.Write(append(line, '\n'))
		if len(b) > 0 {
			fmt.Fprintf(&text, "\"%s\"\n", base64.StdEncoding.EncodeToString(b))
		}
	}
	fmt.Fprintf(&text, "{\"ID\":%d,\"Command\":\"close\"}\n", n)
	go c.in.Write(text.Bytes())
	answered := map[int64]bool{}
	for range n {
		res := c.receive()
		equal(t, res.Err, "")
		if !strings.HasPrefix(res.DiskPath, filepath.Join(dir, "runs")) {
			t.Fatalf("answer %d is %+v", len(answered), res)
		}
		answered[res.ID] = true
	}
	equal(t, c.receive(), response{ID: n})
	equal(t, len(answered), n)
	equal(t, c.status(), exitOK)
	equal(t, c.stderr.String(), "")
	equal(t, runs(t, dir), []string(nil))
	left, err := os.ReadDir(temp)
	ok(t, err)
	equal(t, len(left), 0)

	c = start(t, "-dir", dir)
	for i := range n {
		c.hit(fmt.Sprint(i), body(i*i*50))
	}
	equal(t, c.close(), "")
}

// What a run was told of stays while it runs, also when it is evicted meanwhile.
func TestEvicted(t *testing.T) {
	dir := t.TempDir()
	c := start(t, "-dir", dir, "-size", "300KiB")
	paths := map[string]int{}
	for i := range 20 {
		n := 40_000 + i
		paths[c.put(fmt.Sprint(n), body(n))] = n
	}
	c.hit("40019", body(40_019))
	c.miss("40000")
	for path, n := range paths {
		c.holds(path, body(n))
	}
	equal(t, c.stderr.String(), "")
	// What is larger than all of the cache is not kept, and evicts nothing.
	c.put("large", body(400_000))
	c.put("large, too", body(400_001))
	c.miss("large")
	c.hit("40019", body(40_019))
	if stderr := c.close(); strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "limit") {
		t.Errorf("standard error is %q", stderr)
	}
	sound(t, dir)
}

// An entry that another process evicts or overwrites between two steps of a get has
// a path all the same.
func TestWithoutLinks(t *testing.T) {
	for _, err := range []error{os.ErrNotExist, syscall.EMLINK, errors.ErrUnsupported} {
		linked := link
		link = func(string, string) error { return err }
		defer func() { link = linked }()
		c := start(t, "-dir", t.TempDir())
		put := c.put("a", body(5000))
		got := c.hit("a", body(5000))
		c.hit("a", body(5000))
		c.put("a", body(5001))
		c.holds(put, body(5000))
		c.holds(got, body(5000))
		equal(t, c.close(), "")
	}
}

// Paths that go list may have printed stay for a while after it.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	c := start(t, "-dir", dir)
	equal(t, c.end(), exitOK)
	equal(t, runs(t, dir), []string(nil)) // none was given

	c = start(t, "-dir", dir)
	first := c.put("a", body(5000))
	equal(t, c.end(), exitOK)
	c = start(t, "-dir", dir)
	second := c.hit("a", body(5000))
	equal(t, c.close(), "")
	c.holds(first, body(5000))
	if _, err := os.Stat(second); err == nil {
		t.Error("a path stays behind a close")
	}

	// Not for ever, whatever the clock does.
	for _, age := range []time.Duration{2 * keepFor, -2 * keepFor} {
		at := time.Now().Add(-age)
		ok(t, os.Chtimes(filepath.Join(filepath.Dir(first), kept), at, at))
		equal(t, start(t, "-dir", dir).close(), "")
		equal(t, runs(t, dir), []string(nil))
		c = start(t, "-dir", dir)
		first = c.hit("a", body(5000))
		equal(t, c.end(), exitOK)
	}
	// And not those of all runs.
	for i := range keepMost + 5 {
		path := filepath.Join(dir, "runs", fmt.Sprintf("%024x", i), kept)
		ok(t, os.Mkdir(filepath.Dir(path), 0o700))
		ok(t, os.WriteFile(path, nil, 0o600))
		at := time.Now().Add(-time.Minute)
		ok(t, os.Chtimes(path, at, at))
	}
	equal(t, start(t, "-dir", dir).close(), "")
	equal(t, len(runs(t, dir)), keepMost)
	c.holds(first, body(5000))
}

// A run that is killed loses nothing that it has acknowledged. The next one removes
// what it has left, and not what is of a run that lives.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	lives := startProcess(t, "-dir", dir)
	path := lives.put("a", body(5000))
	killed := startProcess(t, "-dir", dir)
	killed.put("b", body(6000))
	killed.send(`{"ID":9,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":3000}` + "\n\"AAAA")
	equal(t, len(runs(t, dir)), 2)
	ok(t, killed.cmd.Process.Kill())
	killed.status()
	equal(t, len(runs(t, dir)), 2)

	c := start(t, "-dir", dir)
	c.hit("a", body(5000))
	c.hit("b", body(6000))
	equal(t, c.close(), "")
	lives.holds(path, body(5000))
	equal(t, runs(t, dir), []string{filepath.Base(filepath.Dir(path))})
	equal(t, lives.close(), "")
	equal(t, runs(t, dir), []string(nil))
	sound(t, dir)
}

func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal")
	}
	dir := t.TempDir()
	c := startProcess(t, "-dir", dir)
	c.put("a", body(5000))
	// What a terminal sends to all is not the end, unless the go command ends.
	for _, s := range []os.Signal{os.Interrupt, os.Interrupt, syscall.SIGQUIT, syscall.SIGHUP} {
		ok(t, c.cmd.Process.Signal(s))
		c.hit("a", body(5000))
	}
	ok(t, c.cmd.Process.Signal(syscall.SIGTERM))
	equal(t, c.status(), exitTerminated)
	equal(t, c.stderr.String(), "")
	equal(t, runs(t, dir), []string(nil))

	c = startProcess(t, "-dir", dir)
	c.hit("a", body(5000))
	equal(t, c.close(), "")

	c = startProcess(t, "-dir", dir) // by hand
	ok(t, c.cmd.Process.Signal(os.Interrupt))
	equal(t, c.status(), exitTerminated)
}

// Where nothing can be kept a build goes on.
func TestNoCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	strange := t.TempDir()
	ok(t, os.Mkdir(filepath.Join(strange, "store"), 0o700))
	ok(t, os.WriteFile(filepath.Join(strange, "store", "other"), nil, 0o600))
	damaged := t.TempDir()
	ok(t, os.Mkdir(filepath.Join(damaged, "store"), 0o700))
	ok(t, os.WriteFile(filepath.Join(damaged, "store", "cache.db"), bytes.Repeat([]byte("?"), 1<<16), 0o600))
	temp := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP"} {
		t.Setenv(name, temp)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), strange, damaged} {
		c := start(t, "-dir", dir)
		c.miss("a")
		path := c.put("a", body(5000))
		c.put("b", nil)
		c.miss("a")
		c.holds(path, body(5000))
		if stderr := c.close(); strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "gocacheprog: ") {
			t.Errorf("standard error is %q", stderr)
		}
		left, err := os.ReadDir(temp)
		ok(t, err)
		equal(t, len(left), 0)
	}
	// Not even a temporary file.
	for _, name := range []string{"TMPDIR", "TMP"} {
		t.Setenv(name, filepath.Join(temp, "none"))
	}
	c := start(t, "-dir", strange)
	if res := c.ask(request{Command: "put", ActionID: action("a"), OutputID: action("b"), body: body(1)}); res.Err == "" {
		t.Errorf("%+v", res)
	}
	c.close()
}

// A writer of another process that does not end keeps one put waiting, and no more.
func TestStuck(t *testing.T) {
	defer func(d time.Duration) { patience = d }(patience)
	patience = 20 * time.Millisecond
	dir := t.TempDir()
	c := start(t, "-dir", dir)
	c.put("a", body(5000))
	s, err := openStore(t.Context(), dir, 0, &complaints{w: t.Output()})
	ok(t, err)
	defer s.outputs.Close()
	ok(t, s.outputs.Store().Update(t.Context(), func(tx *cache.Tx) error {
		c.put("b", body(6000))
		c.hit("a", body(5000))
		return nil
	}))
	c.put("b", body(6000))
	c.miss("b")
	if stderr := c.close(); strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, cache.ErrTimeout.Error()) {
		t.Errorf("standard error is %q", stderr)
	}
}

// Another process may store another output of an action at any moment: a put has the
// path of its own.
func TestOverwritten(t *testing.T) {
	dir := t.TempDir()
	c := start(t, "-dir", dir)
	c.put("a", body(5000))
	s, err := openStore(t.Context(), dir, 0, &complaints{w: t.Output()})
	ok(t, err)
	defer s.outputs.Close()
	changed, stop, err := s.outputs.Watch()
	ok(t, err)
	defer stop()
	var other sync.WaitGroup
	defer other.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			err := s.outputs.Set(ctx, action("a"), body(5001), cache.Tag(action("another")))
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for range 200 {
		c.put("a", body(5000))
	}
	equal(t, c.close(), "")
}

// A cache that is removed while it is in use is a miss.
func TestRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nobody can remove files that are open")
	}
	dir := t.TempDir()
	c := start(t, "-dir", dir)
	c.put("a", body(5000))
	ok(t, os.RemoveAll(dir))
	c.miss("b")
	c.miss("a")
	sum := sha256.Sum256(body(6000))
	for range 2 { // at first the store may not have noticed
		res := c.ask(request{Command: "put", ActionID: action("b"), OutputID: sum[:], body: body(6000)})
		equal(t, res.Err, "")
		c.holds(res.DiskPath, body(6000))
	}
	if stderr := c.close(); stderr == "" {
		t.Error("nothing is said")
	}
}

// A file of the store that somebody else has changed is not used.
func TestTouched(t *testing.T) {
	dir := t.TempDir()
	c := start(t, "-dir", dir)
	moved := filepath.Join(dir, "moved")
	ok(t, os.Rename(c.put("a", body(5000)), moved)) // as go build -o does
	c.hit("a", body(5000))
	later := time.Now().Add(time.Minute)
	ok(t, os.Chtimes(moved, later, later)) // a copy with other times
	c.hit("a", body(5000))
	data := body(5000)
	data[9]++
	ok(t, os.WriteFile(moved, data, 0o600))
	ok(t, os.Chtimes(moved, later, later))
	c.miss("a")
	c.put("a", body(5000))
	c.hit("a", body(5000))
	if stderr := c.close(); strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, errTouched.Error()) {
		t.Errorf("standard error is %q", stderr)
	}
}

func TestSize(t *testing.T) {
	dir := t.TempDir()
	limit := func(args ...string) int64 {
		equal(t, start(t, append([]string{"-dir", dir}, args...)...).close(), "")
		s, err := openStore(t.Context(), dir, 0, &complaints{w: t.Output()})
		ok(t, err)
		defer s.outputs.Close()
		equal(t, s.outputs.Settings().Policy, cache.LeastRecentlyUsed)
		return s.outputs.Settings().SizeLimit
	}
	equal(t, limit(), int64(10<<30))
	equal(t, limit("-size", "1.5 GB"), int64(1_500_000_000))
	equal(t, limit("-size=20MiB"), int64(20<<20))
	equal(t, limit(), int64(10<<30))
	for text, want := range map[string]byteSize{"1b": 1, "2KB": 2000, "2kib": 2048, "1TiB": 1 << 40, "0.5TB": 5e11, "7MB": 7e6} {
		var s byteSize
		ok(t, s.Set(text))
		equal(t, s, want)
	}
	for _, text := range []string{"", "1", "GiB", "0B", "-1MB", "1EB", "1 0B", "NaNB", "InfB", "1e30GB", "1G"} {
		if err := new(byteSize).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for n, want := range map[byteSize]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 10 << 30: "10 GiB", 123 << 20: "123 MiB", 1 << 50: "1024 TiB",
	} {
		equal(t, n.String(), want)
	}
	equal(t, number(1234567), "1,234,567")
	equal(t, number(123), "123")
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args   string
		status int
		stderr string
	}{
		{"-h", exitOK, "usage: "},
		{"-nonsense", exitFailed, "-nonsense"},
		{"-size 5", exitFailed, "10GiB"},
		{"-dir " + dir + " more", exitFailed, "more"},
		{"-stats -dir " + dir, exitFailed, "no cache"},
	} {
		var stdout, stderr bytes.Buffer
		equal(t, run(t.Context(), strings.Fields(test.args), strings.NewReader(""), &stdout, &stderr), test.status)
		equal(t, stdout.String(), "")
		if !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("gocacheprog %s: standard error is %q", test.args, &stderr)
		}
	}
	left, err := os.ReadDir(dir)
	ok(t, err)
	equal(t, len(left), 0)
}
