package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/codec"
)

// Each access to a file fails once, in each kind of operation: the operation says
// so, with an error that a program can go by, nothing that was acknowledged is
// lost, and the store can be used afterwards.
//
// By default accesses that differ only in random parts of names are taken for
// one, and not every kind of error is tried for each; with DISKCACHE_FAULTS=all
// there are no such exceptions.
func TestFaults(t *testing.T) {
	all := os.Getenv("DISKCACHE_FAULTS") == "all"
	template := newFaulty(t, nil)
	template.fill(t)
	sites := copyFaulty(t, template, nil).run(t, all)
	if len(sites) < 50 {
		t.Fatalf("only %d accesses: %v", len(sites), sites)
	}
	for i, site := range sites {
		for j, fault := range faults {
			if fault.kinds != nil && !slices.Contains(fault.kinds, site.kind) {
				continue
			}
			if !all && j > 0 && (i+j)%3 > 0 || raceEnabled && i%4 > 0 {
				continue
			}
			t.Run(fmt.Sprint(site, " ", fault.name), func(t *testing.T) {
				t.Parallel()
				f := copyFaulty(t, template, &injection{site: site, fault: fault})
				f.run(t, all)
				f.verify(t)
			})
		}
	}
}

// fault is a way to fail.
type fault struct {
	name  string
	err   error
	typed error // what the error of the operation has to be
	short bool  // half of it is written
	kinds []osfs.OpKind
}

// diskFull is what the system says when there is no room.
var diskFull = func() error {
	if runtime.GOOS == "windows" {
		return syscall.Errno(112) // ERROR_DISK_FULL
	}
	return syscall.ENOSPC
}()

var faults = []fault{
	{name: "EIO", err: syscall.EIO, typed: syscall.EIO},
	{name: "ENOSPC", err: diskFull, typed: driver.ErrFull, kinds: []osfs.OpKind{osfs.OpCreate, osfs.OpMkdir, osfs.OpLink, osfs.OpWrite, osfs.OpSync, osfs.OpClose}},
	{name: "short", err: diskFull, typed: driver.ErrFull, short: true, kinds: []osfs.OpKind{osfs.OpWrite}},
	{name: "EACCES", err: syscall.EACCES, typed: driver.ErrPermission, kinds: []osfs.OpKind{osfs.OpCreate, osfs.OpOpen, osfs.OpMkdir, osfs.OpRemove, osfs.OpReadDir}},
}

// site is a place where an access may fail.
type site struct {
	step  string // of the program
	kind  osfs.OpKind
	name  string // without its random parts
	count int    // how many there were before
}

func (s site) String() string {
	return strings.ReplaceAll(fmt.Sprintf("%s %s %s %d", s.step, s.kind, s.name, s.count), "/", "_")
}

type injection struct {
	site
	fault fault
}

// faulty is a store, the accesses to whose files may fail, and what is known of
// its content.
type faulty struct {
	dir, backup string
	s           *Store
	colls       map[string]driver.Collection

	// may has the values that a key may have, "" is none.
	may map[[2]string][]string

	mu     sync.Mutex
	step   string
	seen   map[site]int
	sites  []site
	inject *injection
	failed bool // the injected fault has happened
}

func newFaulty(t *testing.T, inject *injection) *faulty {
	t.Helper()
	root := t.TempDir()
	return &faulty{dir: filepath.Join(root, "store"), backup: filepath.Join(root, "backup"), inject: inject,
		may: make(map[[2]string][]string), seen: make(map[site]int)}
}

// fill makes what is there before, also by a process that has died.
func (f *faulty) fill(t *testing.T) {
	t.Helper()
	if err := f.open(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "c"} {
		for _, key := range []string{"old", "replaced", "deleted", "removed", "file"} {
			if err := f.put(t.Context(), name, key, "before "+key); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(f.dir, sessionsName, strings.Repeat("d", 24))
	for _, name := range []string{session.LockFile, strings.Repeat("ab", 16) + ".val", linksPrefix + strings.Repeat("0", 16) + "/0"} {
		name = filepath.Join(dead, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{nearName, reserveName} { // large, and made anew
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// copyFaulty makes a store as the template is.
func copyFaulty(t *testing.T, template *faulty, inject *injection) *faulty {
	t.Helper()
	f := newFaulty(t, inject)
	if err := os.CopyFS(f.dir, os.DirFS(template.dir)); err != nil {
		t.Fatal(err)
	}
	f.may = maps.Clone(template.may)
	t.Cleanup(osfs.SetHook(filepath.Dir(f.dir), f.hook))
	return f
}

func (f *faulty) open(ctx context.Context, o *Options) (err error) {
	if f.s, err = Open(ctx, f.dir, o); err != nil {
		return err
	}
	f.colls = make(map[string]driver.Collection)
	for _, name := range []string{"", "c"} {
		if f.colls[name], err = f.s.Open(ctx, name, driver.Spec{Settings: driver.PersistentSettings()}); err != nil {
			return errors.Join(err, f.s.Close())
		}
	}
	return nil
}

var random = regexp.MustCompile(`[0-9a-f]{28,}|[0-9a-f]{24}|[0-9a-f]{16}|\b[0-9a-f]{2}\b`)

// hook lets the chosen access fail.
func (f *faulty) hook(op *osfs.Op, do func() error) error {
	f.mu.Lock()
	name := op.Name
	if op.Dir != f.dir {
		name = filepath.Base(op.Dir) + ":" + name
	}
	s := site{step: f.step, kind: op.Kind, name: random.ReplaceAllString(name, "*")}
	n := f.seen[s]
	f.seen[s]++
	s.count = n
	f.sites = append(f.sites, s)
	hit := f.inject != nil && !f.failed && s == f.inject.site
	f.failed = f.failed || hit
	f.mu.Unlock()
	if !hit {
		return do()
	}
	if op.Kind == osfs.OpClose { // it is closed all the same
		do()
	}
	if f.inject.fault.short {
		op.Data = op.Data[:len(op.Data)/2]
		do()
	}
	return f.inject.fault.err
}

// run does the program and returns the accesses that there were.
func (f *faulty) run(t *testing.T, all bool) []site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if f.inject == nil {
		defer f.verify(t)
	}
	full := &Options{Synchronous: SyncFull}
	steps := []struct {
		name string
		do   func() error
	}{
		{"open", func() error { return f.open(ctx, full) }},
		{"sweep", func() error { <-f.s.core.maintainer.swept; return nil }},
		{"session", func() error { _, _, err := f.s.Session(ctx); return err }},
		{"alive", func() error { _, err := f.s.Alive(ctx, strings.Repeat("e", 24)); return err }},
		{"inline", func() error { return f.put(ctx, "c", "inline", "v") }},
		{"new", func() error { return f.put(ctx, "", "newfile", strings.Repeat("n", 5000)) }},
		{"named", func() error { return f.put(ctx, "c", "newfile", strings.Repeat("m", 5000)) }},
		{"replace", func() error { return f.put(ctx, "", "replaced", "after replaced") }},
		{"shrink", func() error { return f.put(ctx, "c", "replaced", "v") }},
		{"read", func() error { return f.check(ctx, "", "file") }},
		{"readnamed", func() error { return f.check(ctx, "c", "file") }},
		{"view", func() error {
			return f.s.View(ctx, func(driver.Tx) error { return f.delete(ctx, "", "deleted") })
		}},
		{"delete", func() error { return f.delete(ctx, "c", "deleted") }},
		{"rollback", func() error {
			err := f.s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
				if _, err := tx.Delete(ctx, f.colls["c"], codec.TextValue("old"), at()); err != nil {
					return err
				}
				return errRollback
			})
			if errors.Is(err, errRollback) {
				err = nil
			}
			return err
		}},
		{"discard", func() error {
			v, err := f.s.Create(ctx, codec.Blob)
			if err == nil {
				v.Discard()
			}
			return err
		}},
		{"putback", func() error { // a file that gets its name, and no row
			v, err := f.s.Create(ctx, codec.Blob)
			if err != nil {
				return err
			}
			defer v.Discard()
			if err := v.Finish(); err != nil {
				return err
			}
			err = f.s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
				if err := errOf(tx.Put(ctx, f.colls["c"], driver.Put{Key: codec.TextValue("never"), File: v, Now: at()})); err != nil {
					return err
				}
				return errRollback
			})
			if errors.Is(err, errRollback) {
				err = nil
			}
			return err
		}},
		{"backup", func() error { return f.s.Backup(ctx, f.backup) }},
		{"check", func() error { return f.s.Check(ctx, false, func(driver.Problem) {}) }},
		{"mend", func() error { return f.s.Check(ctx, true, func(driver.Problem) {}) }},
		{"volume", func() error { _, err := f.s.Volume(ctx); return err }},
		{"compact", func() error { return f.s.Compact(ctx) }},
		{"remove", func() error {
			err := f.s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
				_, err := tx.Remove(ctx, f.colls[""], driver.Filter{}, 1000)
				return err
			})
			for k := range f.may {
				if k[0] == "" {
					f.now(k, "", err)
				}
			}
			return err
		}},
		{"close", func() error { return f.s.Close() }},
		{"reopen", func() error { return f.open(ctx, &Options{ReadOnly: true}) }},
		{"reread", func() error { return f.check(ctx, "c", "newfile") }},
		{"reclose", func() error { return f.s.Close() }},
	}
	for _, step := range steps {
		f.mu.Lock()
		f.step = step.name
		before := f.failed
		f.mu.Unlock()
		err := step.do()
		f.mu.Lock()
		hit := f.failed && !before
		f.mu.Unlock()
		switch {
		case err == nil:
		case !hit:
			t.Errorf("%s fails, and nothing has failed in it: %v", step.name, err)
		case !errors.Is(err, f.inject.fault.typed):
			t.Errorf("%s: the error is %v", step.name, err)
		}
		if ctx.Err() != nil {
			t.Fatal(step.name, "does not end")
		}
		if err != nil && (step.name == "open" || step.name == "reopen" || step.name == "backup") {
			// The next try succeeds.
			if err := step.do(); err != nil {
				t.Fatalf("%s, again: %v", step.name, err)
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.step = "done"
	if f.inject != nil && !f.failed {
		t.Logf("there was no %v", f.inject.site)
	}
	var out []site
	for _, s := range f.sites {
		if all || s.count == 0 {
			out = append(out, s)
		}
	}
	return out
}

var errRollback = errors.New("rolled back")

// now notes what a key has after an operation.
func (f *faulty) now(key [2]string, value string, err error) {
	switch {
	case err == nil:
		f.may[key] = []string{value}
	case f.may[key] == nil:
		f.may[key] = []string{"", value}
	default:
		f.may[key] = append(f.may[key], value)
	}
}

// put stores a value, in a file if it is longer than one character.
func (f *faulty) put(ctx context.Context, name, key, value string) (err error) {
	defer func() { f.now([2]string{name, key}, value, err) }()
	p := driver.Put{Key: codec.TextValue(key), Now: at()}
	if len(value) > 1 {
		v, err := f.s.Create(ctx, codec.Blob)
		if err != nil {
			return err
		}
		defer v.Discard()
		if _, err := io.WriteString(v, value); err != nil {
			return err
		}
		if err := v.Finish(); err != nil {
			return err
		}
		p.File = v
	} else {
		p.Value = codec.BlobValue([]byte(value))
	}
	return f.s.Update(ctx, driver.Shared, func(tx driver.Tx) error { return errOf(tx.Put(ctx, f.colls[name], p)) })
}

func (f *faulty) delete(ctx context.Context, name, key string) (err error) {
	defer func() { f.now([2]string{name, key}, "", err) }()
	return f.s.Update(ctx, driver.Shared, func(tx driver.Tx) error {
		_, err := tx.Delete(ctx, f.colls[name], codec.TextValue(key), at())
		return err
	})
}

// value returns what a key has.
func (f *faulty) value(ctx context.Context, name, key string) (string, error) {
	r, ok, err := f.s.Get(ctx, f.colls[name], codec.TextValue(key), driver.Lookup{Now: at()})
	if err != nil || !ok {
		return "", err
	}
	if r.File == "" {
		return string(r.Value.Blob()), nil
	}
	c, err := f.s.OpenFile(ctx, f.colls[name], r)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), errors.Join(err, c.Close())
}

func (f *faulty) check(ctx context.Context, name, key string) error {
	v, err := f.value(ctx, name, key)
	if err == nil && !slices.Contains(f.may[[2]string{name, key}], v) {
		err = fmt.Errorf("%s in %q is %.20q, and not one of %.20q", key, name, v, f.may[[2]string{name, key}])
	}
	return err
}

// verify opens the store anew and demands that everything is as it should be.
func (f *faulty) verify(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	if err := f.open(ctx, nil); err != nil {
		t.Fatal(err)
	}
	<-f.s.core.maintainer.swept
	verifyContent := func(where string) {
		for k := range f.may {
			if err := f.check(ctx, k[0], k[1]); err != nil {
				t.Error(where, err)
			}
		}
	}
	verifyContent("afterwards:")
	if err := f.put(ctx, "c", "again", "after all that"); err != nil {
		t.Error(err)
	}
	delete(f.may, [2]string{"c", "again"})
	if err := f.s.Check(ctx, false, func(p driver.Problem) {
		if f.inject != nil && f.inject.kind == osfs.OpRemove && p.Kind == driver.EmptyDirectory {
			return // which is what could not be removed
		}
		t.Errorf("problem: %+v", p)
	}); err != nil {
		t.Error(err)
	}
	if err := f.s.Close(); err != nil {
		t.Error(err)
	}
}
