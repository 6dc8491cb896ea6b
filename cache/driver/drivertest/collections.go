package drivertest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

var collectionTests = tests{
	{"AreSeparate", func(e *env) {
		first := e.c
		e.put(pair("k", "first"), pair("only", 1))
		e.c = e.collection(e.s, "second")
		e.wantGone("k")
		e.put(pair("k", "second"))
		e.wantCount(1)
		e.remove(driver.Filter{}, 100)
		e.c = first
		e.wantValue("k", "first")
		e.wantCount(2)
	}},

	{"Names", func(e *env) {
		want := []string{
			"", "test", "Test", "TEST", "with space", `quo"te's`, "semi;colon -- [x]", "日本", "a/b", "../up", ".", "%", "_", "Cache", "Settings",
			"sqlite_master", strings.Repeat("long", 50), "null\x00byte",
		}
		for i, name := range want {
			e.c = e.collection(e.s, name)
			if e.c.Name() != name {
				e.Errorf("Name is %q, want %q", e.c.Name(), name)
			}
			e.put(pair("k", i))
		}
		for i, name := range want {
			e.c = e.collection(e.s, name)
			e.wantValue("k", i)
			e.wantCount(1)
		}
		slices.Sort(want)
		for range 2 {
			got, err := e.s.Names(e.ctx)
			e.ok(err)
			if d := cmp.Diff(want, got); d != "" {
				e.Errorf("Names (-want +got):\n%s", d)
			}
			e.reopen()
		}
	}},

	{"OpenTwice", func(e *env) {
		again := e.collection(e.s, "test")
		e.put(pair("k", 1))
		e.c = again
		e.wantValue("k", 1)
	}},

	{"OpenAtOnce", func(e *env) {
		second := e.open(Options{})
		for round := range 20 {
			name := fmt.Sprint("new", round)
			var waits []func() error
			for i := range 8 {
				s := []driver.Store{e.s, second}[i%2]
				waits = append(waits, e.background(func() error {
					c, err := s.Open(e.ctx, name, driver.Spec{KeyCodec: "key", ValueCodec: "value", Settings: driver.DefaultSettings()})
					if err == nil {
						_, _, err = s.Get(e.ctx, c, val("k"), driver.Lookup{Now: now})
					}
					return err
				}))
			}
			for _, wait := range waits {
				e.ok(wait())
			}
		}
		e.c = e.collection(e.s, "new0")
		e.put(pair("k", 1))
		e.c = e.collection(second, "new0")
		e.s = second
		e.wantValue("k", 1)
	}},

	{"CodecMismatch", func(e *env) {
		for _, spec := range []driver.Spec{
			{KeyCodec: "other", ValueCodec: "value"},
			{KeyCodec: "key", ValueCodec: "other"},
		} {
			spec.Settings = driver.DefaultSettings()
			_, err := e.s.Open(e.ctx, "test", spec)
			e.wantErr(err, driver.ErrCodecMismatch)
		}
		e.reopen() // which names the right ones
		e.put(pair("k", 1))
	}},

	{"CodecsAreKeptOnceGiven", func(e *env) {
		open := func(key, value string) error {
			_, err := e.s.Open(e.ctx, "nameless", driver.Spec{KeyCodec: key, ValueCodec: value, Settings: driver.DefaultSettings()})
			return err
		}
		e.ok(open("", ""))
		e.ok(open("k", "v"))
		e.reopen()
		e.wantErr(open("k", "w"), driver.ErrCodecMismatch)
		e.wantErr(open("j", "v"), driver.ErrCodecMismatch)
		e.ok(open("k", "v"))
	}},

	{"Existing", func(e *env) {
		open := func(s driver.Store, name string) (driver.Collection, error) {
			return s.Open(e.ctx, name, driver.Spec{Existing: true})
		}
		_, err := open(e.s, "never was")
		e.wantErr(err, driver.ErrNotFound)
		names, err := e.s.Names(e.ctx)
		e.ok(err)
		if slices.Contains(names, "never was") {
			e.Error("Open with Existing has created a collection")
		}
		e.put(pair("k", 1))
		e.c, err = open(e.s, "test")
		e.ok(err)
		e.wantValue("k", 1)
		e.collection(e.s, "dropped")
		e.ok(e.s.Drop(e.ctx, "dropped"))
		_, err = open(e.s, "dropped")
		e.wantErr(err, driver.ErrNotFound)
	}},

	{"Codecs", func(e *env) {
		want := func(name string, spec driver.Spec, keys, values string) {
			e.Helper()
			spec.Settings = driver.DefaultSettings()
			c, err := e.s.Open(e.ctx, name, spec)
			e.ok(err)
			coded, ok := c.(driver.Coded)
			if !ok {
				e.Skip("the engine does not tell")
			}
			if k, v := coded.Codecs(); k != keys || v != values {
				e.Errorf("codecs %q and %q, want %q and %q", k, v, keys, values)
			}
		}
		want("new", driver.Spec{}, "", "")
		want("new", driver.Spec{KeyCodec: "k"}, "k", "")
		want("new", driver.Spec{Existing: true}, "k", "")
		want("new", driver.Spec{ValueCodec: "v"}, "k", "v")
		e.reopen()
		want("new", driver.Spec{}, "k", "v")
	}},

	{"Drop", func(e *env) {
		e.put(pair("k", 1), e.large(driver.Put{Key: val("f"), Now: now}, codec.Blob, make([]byte, 100)))
		e.ok(e.s.Drop(e.ctx, "test"))
		e.ok(e.s.Drop(e.ctx, "test"))
		e.ok(e.s.Drop(e.ctx, "never was"))
		names, err := e.s.Names(e.ctx)
		e.ok(err)
		if slices.Contains(names, "test") {
			e.Error("Names has a dropped collection")
		}
		dropped := e.c
		e.wantUnusable(dropped)
		e.c = e.collection(e.s, "test")
		e.wantCount(0)
		e.put(pair("k", 2))
		e.wantUnusable(dropped) // the new one is another
		e.wantValue("k", 2)
	}},

	{"DropDefault", func(e *env) {
		e.c = e.collection(e.s, "")
		e.put(pair("k", 1))
		e.ok(e.s.Drop(e.ctx, ""))
		names, err := e.s.Names(e.ctx)
		e.ok(err)
		if !slices.Contains(names, "") {
			e.Error("the default collection is gone")
		}
		e.c = e.collection(e.s, "")
		e.wantCount(0)
		e.put(pair("k", 2))
		e.wantValue("k", 2)
	}},

	{"DropSeenBySecondHandle", func(e *env) {
		first, second := e.s, e.open(Options{})
		e.c = e.collection(second, "test")
		e.s = second
		e.put(pair("k", 1))
		e.ok(first.Drop(e.ctx, "test"))
		e.wantUnusable(e.c)
	}},

	{"OfAnotherEngine", func(e *env) {
		e.c = strange{}
		if _, _, err := e.s.Get(e.ctx, e.c, val("k"), quiet); err == nil {
			e.Error("Get accepts a collection that the engine did not make")
		}
		if err := e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair("k", 1))) }); err == nil {
			e.Error("Put accepts a collection that the engine did not make")
		}
		if _, _, err := e.s.Watch(e.c); err == nil {
			e.Error("Watch accepts a collection that the engine did not make")
		}
	}},
}

type strange struct{}

func (strange) Name() string              { return "test" }
func (strange) Settings() driver.Settings { return driver.DefaultSettings() }

// wantUnusable checks that a dropped collection is closed for everything.
func (e *env) wantUnusable(c driver.Collection) {
	e.Helper()
	for name, err := range e.useCollection(e.s, c) {
		if err == nil {
			e.Errorf("%s works after Drop", name)
		} else if name != "OpenFile" {
			e.wantErr(err, driver.ErrClosed)
		}
	}
}

// useCollection calls everything that takes a collection and returns the
// errors by name.
func (e *env) useCollection(s driver.Store, c driver.Collection) map[string]error {
	errs := make(map[string]error)
	_, _, errs["Get"] = s.Get(e.ctx, c, val("k"), quiet)
	if s, ok := s.(driver.Filer); ok {
		_, errs["OpenFile"] = s.OpenFile(e.ctx, c, driver.Row{Key: val("k"), File: "nowhere.val", FileKind: codec.Blob})
	}
	_, errs["Stats"] = s.Stats(e.ctx, c, false)
	_, errs["Stats with reset"] = s.Stats(e.ctx, c, true)
	_, errs["Configure"] = s.Configure(e.ctx, c, func(*driver.Settings) {})
	var stop func()
	if _, stop, errs["Watch"] = s.Watch(c); errs["Watch"] == nil {
		stop()
	}
	for name, use := range txUses(e.ctx, c) {
		errs["View: "+name] = s.View(e.ctx, use.run)
		if use.writes {
			delete(errs, "View: "+name) // which of its two faults it names is open
		}
		errs["Update: "+name] = s.Update(e.ctx, driver.Alone, use.run)
	}
	return errs
}

type txUse struct {
	writes bool
	run    func(tx driver.Tx) error
}

// txUses are the methods of a transaction that take a collection.
func txUses(ctx context.Context, c driver.Collection) map[string]txUse {
	return map[string]txUse{
		"Get": {false, func(tx driver.Tx) error { _, _, err := tx.Get(ctx, c, val("k"), quiet); return err }},
		"GetMany": {false, func(tx driver.Tx) error {
			_, err := tx.GetMany(ctx, c, []codec.Value{val("k")}, quiet)
			return err
		}},
		"PutMany": {true, func(tx driver.Tx) error {
			_, err := tx.PutMany(ctx, c, []driver.Put{pair("k", 1)})
			return err
		}},
		"Scan": {false, func(tx driver.Tx) error {
			_, err := tx.Scan(ctx, c, driver.Scan{Limit: 1})
			return err
		}},
		"Count":  {false, func(tx driver.Tx) error { _, err := tx.Count(ctx, c); return err }},
		"Put":    {true, func(tx driver.Tx) error { return errOf(tx.Put(ctx, c, pair("k", 1))) }},
		"Touch":  {true, func(tx driver.Tx) error { _, err := tx.Touch(ctx, c, val("k"), 0, now); return err }},
		"Delete": {true, func(tx driver.Tx) error { _, err := tx.Delete(ctx, c, val("k"), now); return err }},
		"Remove": {true, func(tx driver.Tx) error { _, err := tx.Remove(ctx, c, driver.Filter{}, 1); return err }},
		"Cull":   {true, func(tx driver.Tx) error { _, err := tx.Cull(ctx, c, now, 1, null); return err }},
	}
}
