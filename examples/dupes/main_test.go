package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The test program is also the program, so that processes can be tested.
func TestMain(m *testing.M) {
	if os.Getenv("DUPES_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// old is a time at which modification times are believed.
var old = time.Now().Add(-time.Hour)

// tree makes files in a new directory: name and content.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	ok(t, err)
	for name, content := range files {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	ok(t, os.MkdirAll(filepath.Dir(name), 0o700))
	ok(t, os.WriteFile(name, []byte(content), 0o600))
	ok(t, os.Chtimes(name, old, old))
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

// outcome is what a run printed with -json -stats.
type outcome struct {
	groups []group
	counts
	store  storeStats
	stderr string
	status int
}

// files returns the groups' files, below dir.
func (o outcome) files(dir string) [][]string {
	var all [][]string
	for _, g := range o.groups {
		var names []string
		for _, f := range g.Files {
			names = append(names, filepath.ToSlash(strings.TrimPrefix(f, dir+string(filepath.Separator))))
		}
		all = append(all, names)
	}
	return all
}

// dupes runs the program in this process.
func dupes(t *testing.T, store string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), append([]string{"-json", "-stats", "-store", store}, args...), &stdout, &stderr)
	return parse(t, &stdout, stderr.String(), status)
}

func parse(t *testing.T, stdout io.Reader, stderr string, status int) outcome {
	t.Helper()
	o := outcome{stderr: stderr, status: status}
	for d := json.NewDecoder(stdout); ; {
		var line struct {
			group
			Stats *struct {
				counts
				Store storeStats
			}
		}
		if err := d.Decode(&line); err == io.EOF {
			return o
		} else {
			ok(t, err)
		}
		if line.Stats != nil {
			o.counts, o.store = line.Stats.counts, line.Stats.Store
		} else {
			o.groups = append(o.groups, line.group)
		}
	}
}

// process prepares a process of the program.
func process(t *testing.T, store string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	ok(t, err)
	cmd = exec.CommandContext(t.Context(), exe, append([]string{"-json", "-stats", "-store", store}, args...)...)
	cmd.Env = append(os.Environ(), "DUPES_MAIN=1")
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func TestDuplicates(t *testing.T) {
	odd := "odd\x01"
	if runtime.GOOS == "windows" {
		odd = "odd" // since no name has such a character
	}
	dir := tree(t, map[string]string{
		"a":         "same",
		"b":         "same",
		"sub/c":     "same",
		"d":         "diff",
		"big1":      strings.Repeat("x", 300_000),
		"sub/big2":  strings.Repeat("x", 300_000),
		"alone":     "the only one of its size",
		"empty":     "",
		"sub/empty": "",
		odd:         "odd content",
		"odder":     "odd content",
	})
	store := t.TempDir()
	want := [][]string{{"big1", "sub/big2"}, {odd, "odder"}, {"a", "b", "sub/c"}}
	first := dupes(t, store, dir, filepath.Join(dir, "sub"))
	equal(t, first.files(dir), want)
	equal(t, first.counts, counts{Files: 11, Empty: 2, Compared: 8, Misses: 8, BytesRead: 600_038})
	equal(t, first.groups[0].Reclaimable, int64(300_000))
	equal(t, first.groups[2].Reclaimable, int64(8))

	again := dupes(t, store, dir)
	equal(t, again.files(dir), want)
	equal(t, again.counts, counts{Files: 11, Empty: 2, Compared: 8, Hits: 8})
	equal(t, again.status, exitOK)
}

// A file is read again when its time or its size has changed, and only then.
func TestChanged(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1111", "b": "1111", "c": "2222"})
	store := t.TempDir()
	dupes(t, store, dir)
	write(t, filepath.Join(dir, "b"), "2222")
	old := old.Add(time.Minute)
	ok(t, os.Chtimes(filepath.Join(dir, "b"), old, old))
	o := dupes(t, store, dir)
	equal(t, o.files(dir), [][]string{{"b", "c"}})
	equal(t, o.Hits, int64(2))
	equal(t, o.Misses, int64(1))
}

// What was written a moment ago may be written again without another time.
func TestRecentIsNotKept(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1", "b": "1"})
	now := time.Now().Add(time.Hour) // stays recent however slow the test is
	ok(t, os.Chtimes(filepath.Join(dir, "a"), now, now))
	store := t.TempDir()
	for _, hits := range []int64{0, 1} {
		o := dupes(t, store, dir)
		equal(t, o.files(dir), [][]string{{"a", "b"}})
		equal(t, o.Hits, hits)
	}
}

func TestLinks(t *testing.T) {
	dir := tree(t, map[string]string{"a": "linked", "b": "linked"})
	ok(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "hard")))
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "soft")); err != nil {
		t.Log("without a symbolic link:", err)
	}
	equal(t, dupes(t, t.TempDir(), dir).files(dir), [][]string{{"a", "b"}})
	ok(t, os.Remove(filepath.Join(dir, "b")))
	equal(t, dupes(t, t.TempDir(), dir).files(dir), [][]string(nil))
}

// The store may lie among the files.
func TestStoreInside(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1", "b": "1"})
	store := filepath.Join(dir, "cache", "dupes")
	for range 2 {
		o := dupes(t, store, dir)
		equal(t, o.Files, int64(2))
		equal(t, o.status, exitOK)
	}
}

// A file that is not the one that was seen is an error and is not remembered.
func TestChangesMeanwhile(t *testing.T) {
	dir := tree(t, map[string]string{"a": "before"})
	name := filepath.Join(dir, "a")
	info, err := os.Stat(name)
	ok(t, err)
	write(t, name, "after it")
	h, err := openHashes(t.Context(), t.TempDir())
	ok(t, err)
	defer h.Close()
	_, err = h.of(t.Context(), fileID{name, info.Size(), info.ModTime()})
	if err == nil || !strings.Contains(err.Error(), errChanged.Error()) {
		t.Errorf("error is %v", err)
	}
	n, err := h.ofFile.Len(t.Context())
	ok(t, err)
	equal(t, n, int64(0))
}

func TestKeys(t *testing.T) {
	for _, id := range []fileID{
		{"/a b/c\"d\n", 12, time.Unix(1700000000, 7)},
		{"/not \xff UTF-8", 1 << 60, time.Unix(-5, 999999999)},
	} {
		text, err := id.MarshalText()
		ok(t, err)
		var back fileID
		ok(t, back.UnmarshalText(text))
		equal(t, back, id)
	}
	if err := new(sum).UnmarshalText([]byte("00")); err == nil {
		t.Error("half a hash was taken")
	}
}

// Copies that run at once find the same and share what they compute.
func TestProcesses(t *testing.T) {
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprintf("%d/%d", i%7, i)] = strings.Repeat(fmt.Sprintf("%8d", i/3), 10_000)
	}
	dir, store := tree(t, files), t.TempDir()
	const n = 3
	var cmds [n]*exec.Cmd
	var outs, errs [n]*bytes.Buffer
	for i := range n {
		cmds[i], outs[i], errs[i] = process(t, store, dir)
		ok(t, cmds[i].Start())
	}
	for i := range n {
		err := cmds[i].Wait()
		if err != nil {
			t.Fatalf("%v: %s", err, errs[i])
		}
		o := parse(t, outs[i], errs[i].String(), 0)
		equal(t, len(o.groups), 100)
		equal(t, o.Hits+o.Misses, int64(300))
		t.Logf("process %d: %d hits, %d misses", i, o.Hits, o.Misses)
	}
	o := dupes(t, store, dir)
	equal(t, o.Hits, int64(300))
}

// Of large files, each is read by one of the copies only.
func TestLargeFiles(t *testing.T) {
	files := map[string]string{}
	for i := range 8 {
		files[fmt.Sprint(i)] = strings.Repeat(fmt.Sprint(i/2), 3*large)
	}
	dir, store := tree(t, files), t.TempDir()
	var cmds [3]*exec.Cmd
	var outs, errs [3]*bytes.Buffer
	for i := range cmds {
		cmds[i], outs[i], errs[i] = process(t, store, dir)
		ok(t, cmds[i].Start())
	}
	var misses int64
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, errs[i])
		}
		o := parse(t, outs[i], errs[i].String(), 0)
		equal(t, o.files(dir), [][]string{{"0", "1"}, {"2", "3"}, {"4", "5"}, {"6", "7"}})
		equal(t, o.Hits+o.Misses, int64(8))
		misses += o.Misses
	}
	equal(t, misses, int64(8))
	equal(t, dupes(t, store, dir).Hits, int64(8))
}

// The bytes of a large file count while it is read.
func TestProgressOfLargeFile(t *testing.T) {
	h, err := openHashes(t.Context(), t.TempDir())
	ok(t, err)
	defer h.Close()
	huge := filepath.Join(t.TempDir(), "huge")
	write(t, huge, "")
	ok(t, os.Truncate(huge, 1<<39)) // a hole that takes long to read
	ok(t, os.Chtimes(huge, old, old))
	info, err := os.Stat(huge)
	ok(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines, w := io.Pipe()
	s := search{hashes: h, progress: &progress{w: w, terminal: true}}
	done := make(chan error, 1)
	go func() {
		_, err := s.hash(ctx, []file{{fileID: fileID{huge, info.Size(), info.ModTime()}}})
		done <- err
	}()
	buf := make([]byte, 1024)
	for line := ""; !strings.Contains(line, " left"); { // which it says once bytes are counted
		n, err := lines.Read(buf)
		ok(t, err)
		line = string(buf[:n])
		if strings.Contains(line, "1 of 1 file") {
			t.Fatal("the file was read before a line was shown")
		}
	}
	cancel()
	lines.Close()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	var reading atomic.Int64 // of a file that is done, nothing is left
	small := filepath.Join(t.TempDir(), "small")
	write(t, small, "content")
	info, err = os.Stat(small)
	ok(t, err)
	_, err = hashFile(t.Context(), fileID{small, info.Size(), info.ModTime()}, &reading)
	ok(t, err)
	equal(t, reading.Load(), int64(0))
}

// What was done before an interrupt is not done again.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal interrupts another process here")
	}
	dir := tree(t, map[string]string{"a": "1", "b": "1", "c": "22", "d": "22"})
	// Two of the workers do not end with these: holes that take long to read.
	for _, name := range []string{"huge1", "huge2"} {
		write(t, filepath.Join(dir, name), "x")
		ok(t, os.Truncate(filepath.Join(dir, name), 1<<39))
		ok(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	store := t.TempDir()
	cmd, _, stderr := process(t, store, dir)
	ok(t, cmd.Start())
	h, err := openHashes(t.Context(), store) // the same one, in another process
	ok(t, err)
	defer h.Close()
	changed, stop, err := h.ofFile.Watch()
	ok(t, err)
	defer stop()
	for {
		n, err := h.ofFile.Len(t.Context())
		ok(t, err)
		if n == 4 {
			break
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the hashes did not come")
		}
	}
	ok(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Fatalf("%v: %s", err, stderr)
	}
	for _, name := range []string{"huge1", "huge2"} {
		ok(t, os.Remove(filepath.Join(dir, name)))
	}
	o := dupes(t, store, dir)
	equal(t, o.files(dir), [][]string{{"c", "d"}, {"a", "b"}})
	equal(t, o.Hits, int64(4))
	equal(t, o.Misses, int64(0))
	r, err := h.ofFile.Store().Check(t.Context(), nil)
	ok(t, err)
	equal(t, r.Problems, r.Problems[:0])
}

func TestStatus(t *testing.T) {
	dir := tree(t, map[string]string{"file": "1", "a": "1", "b": "2"})
	store := t.TempDir()
	for _, test := range []struct {
		args   string
		status int
		stderr string
	}{
		{"-h", exitOK, "usage: dupes"},
		{"", exitFailed, "usage: dupes"},
		{"-nonsense", exitFailed, "-nonsense"},
		{"-store " + store + " " + dir + "/none", exitFailed, "none"},
		{"-store " + dir + "/file/store " + dir, exitFailed, "dupes: "},
		{"-store " + dir + " " + dir, exitFailed, "dupes: "}, // holds other files
		{"-store " + store + " " + dir + "/a", exitOK, ""},
	} {
		var stdout, stderr bytes.Buffer
		equal(t, run(t.Context(), strings.Fields(test.args), &stdout, &stderr), test.status)
		if !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("dupes %s: standard error is %q", test.args, &stderr)
		}
	}
}

// Without a directory for caches there is no place for the hashes but the one that is given.
func TestNoHome(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData", "home"} {
		t.Setenv(name, "")
	}
	dir := tree(t, map[string]string{"a": "1", "b": "1"})
	t.Chdir(dir)
	var stdout, stderr bytes.Buffer
	equal(t, run(t.Context(), []string{dir}, &stdout, &stderr), exitFailed)
	if !strings.Contains(stderr.String(), "-store") {
		t.Errorf("standard error is %q", &stderr)
	}
	entries, err := os.ReadDir(dir)
	ok(t, err)
	equal(t, len(entries), 2)
	equal(t, run(t.Context(), []string{"-store", t.TempDir(), dir}, &stdout, &stderr), exitOK)
}

// A path that is not text is told as it is, and does nothing to a terminal.
func TestStrangeNames(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("names are text")
	}
	dir := tree(t, map[string]string{"a\xff": "12345", "b": "12345"})
	var stdout, stderr bytes.Buffer
	equal(t, run(t.Context(), []string{"-json", "-store", t.TempDir(), dir}, &stdout, &stderr), exitOK)
	var got struct {
		Raw [][]byte `json:"files_base64"`
	}
	ok(t, json.Unmarshal(stdout.Bytes(), &got))
	if len(got.Raw) != 2 || string(got.Raw[0]) != filepath.Join(dir, "a\xff") {
		t.Errorf("%q in %s", got.Raw, &stdout)
	}
	equal(t, run(t.Context(), []string{"-store", t.TempDir(), dir + "/\x1b[31mred\xff"}, &stdout, &stderr), exitFailed)
	if s := stderr.String(); strings.Contains(s, "\x1b") || strings.Contains(s, "\xff") || !strings.Contains(s, `\x1b[31mred`) {
		t.Errorf("standard error is %q", s)
	}
}

func TestText(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no name has characters that have to be quoted")
	}
	dir := tree(t, map[string]string{"a\x1b": "12345", "b": "12345"})
	var stdout, stderr bytes.Buffer
	equal(t, run(t.Context(), []string{"-stats", "-store", t.TempDir(), dir}, &stdout, &stderr), exitOK)
	for _, want := range []string{
		"2 files of 5 B, sha256 5994471abb01112a\n",
		`a\x1b"` + "\n",
		"1 group of duplicates, 2 files in all; 5 B could be freed\n",
		"0 hits (hashes from the store), 2 misses (files read, 10 B)\n",
		"store: ",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	equal(t, stderr.String(), "") // no progress: it is no terminal
}

func TestPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949: "9.9 kB", 12_345: "12 kB",
		999_499: "999 kB", 999_999: "1.0 MB", 5_000_000_000: "5.0 GB", 1 << 62: "4.6 EB",
	} {
		equal(t, size(n), want)
	}
	equal(t, number(1234567), "1,234,567")
	equal(t, number(123), "123")
	equal(t, number(-1234), "-1,234")
	equal(t, number(-123), "-123")
	equal(t, hashingLine(1, 2000, 1_000_000, 3_000_000, 2*time.Second),
		"1 of 2,000 files, 1.0 MB of 3.0 MB, 500 kB/s, 4s left")
	equal(t, hashingLine(0, 1, 0, 5, time.Second), "0 of 1 file, 0 B of 5 B")
}
