package drivertest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// odd has a value of its own in each field.
var odd = driver.Settings{
	Policy: driver.LeastFrequentlyUsed, SizeLimit: 123_456_789, CullLimit: 7, MinFileSize: 1234, Statistics: true, TagIndex: true,
}

func (e *env) wantSettings(c driver.Collection, want driver.Settings) {
	e.Helper()
	if d := cmp.Diff(want, c.Settings()); d != "" {
		e.Errorf("settings (-want +got):\n%s", d)
	}
}

var settingsTests = tests{
	{"StoredWhenCreated", func(e *env) {
		for name, s := range map[string]driver.Settings{
			"default": driver.DefaultSettings(), "persistent": driver.PersistentSettings(), "odd": odd,
		} {
			e.wantSettings(e.collectionWith(e.s, name, s), s)
			// Those of an existing collection stay.
			e.wantSettings(e.collectionWith(e.s, name, driver.Settings{Policy: driver.NoEviction}), s)
		}
		e.reopen()
		e.wantSettings(e.collectionWith(e.s, "odd", driver.DefaultSettings()), odd)
	}},

	{"ConfigureOnOpen", func(e *env) {
		open := func(fn func(*driver.Settings)) driver.Collection {
			c, err := e.s.Open(e.ctx, "c", driver.Spec{Settings: odd, Configure: fn})
			e.ok(err)
			return c
		}
		want := odd
		want.CullLimit = 8
		e.wantSettings(open(func(s *driver.Settings) { s.CullLimit++ }), want)
		e.wantSettings(open(nil), want)
		want.MinFileSize = 5
		e.wantSettings(open(func(s *driver.Settings) { s.MinFileSize = 5 }), want)
		e.reopen()
		e.wantSettings(open(nil), want)
	}},

	{"Configure", func(e *env) {
		before := e.c.Settings()
		given := driver.Settings{}
		got, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) {
			given = *s
			*s = odd
		})
		e.ok(err)
		if d := cmp.Diff(before, given); d != "" {
			e.Errorf("given settings (-want +got):\n%s", d)
		}
		if d := cmp.Diff(odd, got); d != "" {
			e.Errorf("returned settings (-want +got):\n%s", d)
		}
		e.wantSettings(e.c, odd)
		e.reopen()
		e.wantSettings(e.c, odd)
	}},

	{"ConfigureAtOnce", func(e *env) {
		var waits []func() error
		for range 10 {
			waits = append(waits, e.background(func() error {
				_, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) { s.CullLimit++ })
				return err
			}))
		}
		for _, wait := range waits {
			e.ok(wait())
		}
		if got := e.c.Settings().CullLimit; got != 10 {
			e.Errorf("CullLimit is %d, want 10", got)
		}
	}},

	{"SeenBySecondHandle", func(e *env) {
		first, c := e.s, e.c
		e.s = e.open(Options{})
		e.c = e.collection(e.s, "test")
		_, err := first.Configure(e.ctx, c, func(s *driver.Settings) { *s = odd })
		e.ok(err)
		e.put(pair("k", 1)) // with its next write it takes notice
		e.wantSettings(e.c, odd)
	}},

	{"SeenBySecondHandleThatOnlyReads", func(e *env) {
		first, c := e.s, e.c
		e.s = e.open(Options{ReadOnly: true})
		e.c = e.collection(e.s, "test")
		_, err := first.Configure(e.ctx, c, func(s *driver.Settings) { *s = odd })
		e.ok(err)
		for deadline := time.Now().Add(patience); e.c.Settings() != odd; time.Sleep(10 * time.Millisecond) {
			e.find("k", now)
			if time.Now().After(deadline) {
				e.Fatal("new settings are not seen")
			}
		}
	}},

	{"BelongToACollection", func(e *env) {
		second := e.collection(e.s, "second")
		before := e.c.Settings()
		_, err := e.s.Configure(e.ctx, second, func(s *driver.Settings) { *s = odd })
		e.ok(err)
		e.wantSettings(e.c, before)
		e.wantSettings(second, odd)
	}},
}

// errRollback is returned by functions to roll their transaction back.
var errRollback = errors.New("rolled back by the test")
