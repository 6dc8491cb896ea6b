package cache_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestImports holds the arrow codec <- cache/driver <- cache <- cache/family <-
// {deque, index, sync} <- memo <- examples: each package imports only what is before
// it, and so does each package below sqlite/internal. Tests may import any engine.
func TestImports(t *testing.T) {
	const module = "github.com/go-diskcache/diskcache/"
	const engine = "cache/driver/sqlite/internal/"
	allowed := map[string][]string{
		"codec":                   {},
		"cache/clock":             {},
		"cache/driver":            {"codec", "cache/clock"},
		"cache/driver/drivertest": {"codec", "cache/driver"},
		"cache/driver/memory":     {"codec", "cache/driver"},
		"cache/driver/sqlite": {"codec", "cache/driver", engine + "access", engine + "group", engine + "inotify", engine + "mapped",
			engine + "near", engine + "notify", engine + "osfs", engine + "session", engine + "sqlite3", engine + "table",
			engine + "turnstile", engine + "valuefile", engine + "wake", engine + "wal"},
		engine + "osfs":                  {},
		engine + "wake":                  {},
		engine + "mapped":                {},
		engine + "inotify":               {},
		engine + "futex":                 {engine + "osfs"},
		engine + "notify":                {engine + "osfs", engine + "mapped", engine + "futex", engine + "wake"},
		engine + "group":                 {"cache/driver"},
		engine + "valuefile":             {"cache/driver", engine + "osfs"},
		engine + "turnstile":             {"cache/driver", engine + "osfs"},
		engine + "session":               {"cache/driver", engine + "osfs", engine + "wake"},
		engine + "near":                  {"codec", "cache/driver", engine + "osfs"},
		engine + "cabi":                  {},
		engine + "vfs":                   {engine + "cabi"},
		engine + "sqlite3":               {"codec", engine + "cabi", engine + "osfs", engine + "vfs"},
		engine + "table":                 {"codec", "cache/driver", engine + "sqlite3"},
		engine + "access":                {"cache/driver"},
		engine + "wal":                   {engine + "osfs"},
		"cache/driver/shard":             {"codec", "cache/driver"},
		"cache/driver/postgres":          {"codec", "cache/driver"},
		"cache/driver/sqlite/sqlitetest": {"codec", "cache/driver/sqlite/internal/sqlite3"},
		"cache/adapter":                  {"cache"},
		"cache/django":                   {"codec", "cache"},
		"cache":                          {"codec", "cache/driver", "cache/driver/shard", "cache/driver/sqlite"},
		"cache/family":                   {"cache"},
		"deque":                          {"codec", "cache", "cache/clock", "cache/family"},
		"index":                          {"codec", "cache", "cache/family"},
		"sync":                           {"codec", "cache", "cache/clock", "cache/family"},
		"cache/dump":                     {"codec", "cache"},
		"cache/inspect":                  {"codec", "cache", "cache/driver", "deque", "sync"},
		"memo":                           {"codec", "cache", "deque", "index", "sync", "cache/clock", "cache/family"},
		// A program that sets SQLite's options names their type.
		"examples":          {"codec", "cache", "cache/dump", "cache/inspect", "deque", "index", "sync", "memo", "examples", "cache/driver/memory", "cache/driver/sqlite"},
		"examples/cluster":  {"cache", "cache/driver/postgres", "cache/dump", "deque", "memo", "sync"},
		"examples/adapters": {"cache", "cache/adapter", "cache/driver"},
		// One engine is measured with options that a Store does not have.
		"examples/benchmarks": {"codec", "cache", "deque", "sync", "cache/driver/sqlite"},
	}
	// In the engine, these alone call the system or handle memory by its address.
	held := map[string][]string{
		"golang.org/x/sys/unix": {"futex", "inotify", "near", "notify", "osfs", "vfs"},
		"unsafe":                {"cabi", "futex", "near", "vfs"},
	}
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel("..", file)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(rel))
		rule := pkg
		for allowed[rule] == nil && rule != "." {
			rule = path.Dir(rule) // internal packages are held to their parent's rule
		}
		if strings.HasPrefix(pkg, engine) && rule != pkg {
			t.Errorf("%s: no rule says what it may import", pkg)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if holders := held[name]; holders != nil && strings.HasPrefix(pkg, "cache/driver/sqlite") && !slices.Contains(holders, strings.TrimPrefix(pkg, engine)) {
				t.Errorf("%s: %s must not import %s", rel, pkg, name)
			}
			dep, ours := strings.CutPrefix(name, module)
			if !ours || strings.HasPrefix(dep, rule+"/internal/") && rule != "cache/driver/sqlite" {
				continue
			}
			if !slices.Contains(allowed[rule], dep) {
				t.Errorf("%s: %s must not import %s", rel, pkg, dep)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFileLayer: in the engine, package osfs alone touches the file system, besides
// SQLite. What others do with paths is about the directory that the user has given, not about
// what is in it.
func TestFileLayer(t *testing.T) {
	allowed := []string{
		"driver/sqlite/backup.go os.ReadDir", "driver/sqlite/backup.go os.Remove",
	}
	apart := []string{"osfs", "vfs"}
	harmless := []string{"os.File", "os.NewFile", "os.NewSyscallError", "os.Getpid", "os.Getpagesize", "os.ErrClosed"}
	var used []string
	err := filepath.WalkDir("driver/sqlite", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") ||
			slices.ContainsFunc(apart, func(pkg string) bool { return strings.Contains(filepath.ToSlash(file), "/internal/"+pkg+"/") }) {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" && x.Obj == nil && !slices.Contains(harmless, "os."+s.Sel.Name) {
					used = append(used, filepath.ToSlash(file)+" os."+s.Sel.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(used)
	slices.Sort(allowed)
	if used = slices.Compact(used); !slices.Equal(used, allowed) {
		t.Errorf("os is used by\n%s\nand not by\n%s", strings.Join(used, "\n"), strings.Join(allowed, "\n"))
	}
}
