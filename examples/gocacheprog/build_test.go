package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module makes a module of two packages that import nothing else: for them the go
// command compiles nothing of the standard library.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n",
		"a/a.go": "package a\n\nfunc A() int { return 1 }\n",
		"b/b.go": "package b\n\nimport \"example.com/m/a\"\n\nfunc B() int { return a.A() }\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		ok(t, os.MkdirAll(filepath.Dir(path), 0o700))
		ok(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// golang runs the go command in a module, with the program and its flags.
type golang struct {
	t      *testing.T
	module string
	env    []string
}

func newGolang(t *testing.T, flags string) *golang {
	t.Helper()
	exe, err := os.Executable()
	ok(t, err)
	return &golang{t, module(t), append(os.Environ(),
		"GOCACHEPROG_MAIN=1", fmt.Sprintf("GOCACHEPROG='%s' %s", exe, flags), "GOCACHE="+t.TempDir(),
		"GOFLAGS=", "GOENV=off", "GOWORK=off", "GOTOOLCHAIN=local", "GO111MODULE=", "GOEXPERIMENT=")}
}

func (g *golang) run(env string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(g.t.Context(), "go", args...)
	cmd.Dir = g.module
	cmd.Env = append(slices.Clip(g.env), env) // several run at once
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// compiles builds the module, and returns how many packages were compiled.
func (g *golang) compiles() int {
	g.t.Helper()
	_, stderr, err := g.run("", "build", "-x", "./...")
	if err != nil {
		g.t.Fatalf("%v: %s", err, stderr)
	}
	if strings.Contains(stderr, "gocacheprog:") {
		g.t.Errorf("standard error is\n%s", stderr)
	}
	return strings.Count(stderr, " -complete ")
}

func TestBuildTwice(t *testing.T) {
	dir := t.TempDir()
	g := newGolang(t, "-dir "+dir)
	equal(t, g.compiles(), 2)
	equal(t, g.compiles(), 0)
	equal(t, runs(t, dir), []string(nil))
	ok(t, os.WriteFile(filepath.Join(g.module, "b", "b.go"), []byte("package b\n"), 0o600))
	equal(t, g.compiles(), 1)
	sound(t, dir)
}

// What go list prints is there when it has ended.
func TestList(t *testing.T) {
	dir := t.TempDir()
	g := newGolang(t, "-dir "+dir)
	for range 2 {
		stdout, stderr, err := g.run("", "list", "-export", "-f", "{{.Export}}", "./...")
		if err != nil || stderr != "" {
			t.Fatalf("%v: %s", err, stderr)
		}
		paths := strings.Fields(stdout)
		equal(t, len(paths), 2)
		for _, path := range paths {
			if data, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(data, []byte("!<arch>")) {
				t.Errorf("%s has %d bytes: %v", path, len(data), err)
			}
		}
	}
}

// Every build succeeds, however little is kept.
func TestBuildEvicts(t *testing.T) {
	dir := t.TempDir()
	g := newGolang(t, "-dir "+dir+" -size 8KiB")
	for range 3 {
		g.compiles()
	}
	sound(t, dir)
}

func TestBuildsAtOnce(t *testing.T) {
	dir := t.TempDir()
	g := newGolang(t, "-dir "+dir)
	var builds sync.WaitGroup
	for i := range 8 {
		builds.Go(func() {
			// Half of them build the same.
			_, stderr, err := g.run("", "build", fmt.Sprintf("-gcflags=-d=softfloat=%d", i/4), "./...")
			if err != nil || stderr != "" {
				t.Errorf("%v: %s", err, stderr)
			}
		})
	}
	builds.Wait()
	_, stderr, err := g.run("", "build", "-x", "-gcflags=-d=softfloat=1", "./...")
	ok(t, err)
	equal(t, strings.Count(stderr, " -complete "), 0)
	equal(t, runs(t, dir), []string(nil))
	sound(t, dir)
}

// The program is killed behind each response that it gives in a build. The next
// build succeeds, and has what was acknowledged.
func TestBuildKilled(t *testing.T) {
	dir := t.TempDir()
	g := newGolang(t, "-dir "+dir)
	for n := 1; ; n++ {
		if n == 100 {
			t.Fatal("no build is done")
		}
		_, stderr, err := g.run(fmt.Sprintf("GOCACHEPROG_DIES=%d", n), "build", "./...")
		if err == nil {
			t.Logf("killed %d times", n-1)
			break
		}
		if !strings.Contains(stderr, "GOCACHEPROG") || strings.Contains(stderr, "gocacheprog:") {
			t.Errorf("standard error is\n%s", stderr)
		}
	}
	equal(t, g.compiles(), 0)
	equal(t, runs(t, dir), []string(nil))
	sound(t, dir)
}
