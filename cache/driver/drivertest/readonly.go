package drivertest

import (
	"errors"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// readOnly fills the store and opens it for reading only.
func readOnly(e *env) (s driver.Store, c driver.Collection, rows []driver.Row) {
	rows = seeded(e)
	s = e.open(Options{ReadOnly: true})
	return s, e.collection(s, "test"), rows
}

var readOnlyTests = tests{
	{"Reports", func(e *env) {
		s, _, _ := readOnly(e)
		if !s.ReadOnly() || e.s.ReadOnly() {
			e.Errorf("ReadOnly is %v and %v, want true and false", s.ReadOnly(), e.s.ReadOnly())
		}
	}},

	{"Reads", func(e *env) {
		s, c, rows := readOnly(e)
		writer, wc := e.s, e.c
		e.s, e.c = s, c
		e.wantRows(e.scan(driver.Scan{}), rows)
		e.wantValue(5, 2)
		if got := string(e.content(e.row("file"))); got != "content" {
			e.Errorf("value file holds %q", got)
		}
		checkStore(e, s)
		e.ok(writer.Update(e.ctx, driver.Alone, func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, wc, pair(5, "new"))) }))
		e.wantValue(5, "new")
	}},

	{"AfterTheWriterIsGone", func(e *env) {
		before := seeded(e)
		e.closeAll()
		e.s = e.open(Options{ReadOnly: true})
		e.c = e.collection(e.s, "test")
		e.wantRows(e.scan(driver.Scan{}), before)
	}},

	{"RefusesToWrite", func(e *env) {
		s, c, before := readOnly(e)
		for name, call := range e.writes(s, c) {
			if err := call(e.ctx); !errors.Is(err, driver.ErrReadOnly) {
				e.Errorf("%s: %v", name, err)
			}
		}
		if s, ok := s.(driver.Filer); ok {
			_, err := s.Create(e.ctx, codec.Blob)
			e.wantErr(err, driver.ErrReadOnly)
		}
		for name, use := range txUses(e.ctx, c) {
			if err := s.View(e.ctx, use.run); use.writes && !errors.Is(err, driver.ErrReadOnly) {
				e.Errorf("%s: %v", name, err)
			}
		}
		e.wantUntouched(before)
	}},

	{"OpenWritesNothing", func(e *env) {
		s, _, _ := readOnly(e)
		before := e.c.Settings()
		_, err := s.Open(e.ctx, "missing", driver.Spec{Settings: driver.DefaultSettings()})
		e.wantErr(err, driver.ErrReadOnly)
		_, err = s.Open(e.ctx, "test", driver.Spec{KeyCodec: "other", ValueCodec: "value"})
		e.wantErr(err, driver.ErrCodecMismatch)
		_, err = s.Open(e.ctx, "test", driver.Spec{
			KeyCodec: "key", ValueCodec: "value",
			Configure: func(s *driver.Settings) { s.CullLimit = 99 },
		})
		e.ok(err)
		e.s = e.open(Options{})
		e.c = e.collection(e.s, "test")
		e.settle()
		e.wantSettings(e.c, before)
	}},

	{"ReadsAreNotCounted", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.enableStats(true)
		e.put(until("k", now+10))
		want := e.row("k")
		s := e.open(Options{ReadOnly: true})
		c := e.collection(s, "test")
		_, ok, err := s.Get(e.ctx, c, val("k"), driver.Lookup{Now: now, Slide: now + 99})
		if !ok || err != nil {
			e.Errorf("found %v, %v", ok, err)
		}
		e.ok(s.Close())
		e.settle()
		if d := cmp.Diff(want, e.row("k"), same); d != "" {
			e.Errorf("row (-want +got):\n%s", d)
		}
		e.wantStats(false, 0, 0)
	}},
}
