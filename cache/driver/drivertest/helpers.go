package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

var null codec.Value

// val encodes a Go value in the storage class that is natural for it.
func val(v any) codec.Value {
	switch v := v.(type) {
	case nil:
		return null
	case int:
		return codec.IntegerValue(int64(v))
	case int64:
		return codec.IntegerValue(v)
	case float64:
		return codec.RealValue(v)
	case string:
		return codec.TextValue(v)
	case []byte:
		return codec.BlobValue(v)
	case codec.Value:
		return v
	}
	panic(fmt.Sprintf("no storage class for %T", v))
}

// show writes a value so that its kind can be told.
func show(v codec.Value) string {
	switch v.Kind() {
	case codec.Integer:
		return fmt.Sprint(v.Integer())
	case codec.Real:
		return fmt.Sprintf("%gr", v.Real())
	case codec.Text:
		return abbreviate(fmt.Sprintf("%q", v.Text()))
	case codec.Blob:
		return abbreviate(fmt.Sprintf("x%x", v.Blob()))
	}
	return "null"
}

func abbreviate(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%s...(%d)", s[:40], len(s))
	}
	return s
}

// same compares values by kind and content, which codec.Equal does not.
var same = cmp.Comparer(func(a, b codec.Value) bool { return a.Kind() == b.Kind() && codec.Equal(a, b) })

// update runs fn in a transaction that must commit.
func (e *env) update(fn func(tx driver.Tx)) {
	e.Helper()
	e.ok(e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
		fn(tx)
		return nil
	}))
}

func (e *env) view(fn func(tx driver.Tx)) {
	e.Helper()
	e.ok(e.s.View(e.ctx, func(tx driver.Tx) error {
		fn(tx)
		return nil
	}))
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("unexpected error: %v", err)
	}
}

func (e *env) wantErr(err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("error is %v, want %v", err, want)
	}
}

// put puts rows, one after the other, in one transaction.
func (e *env) put(rows ...driver.Put) {
	e.Helper()
	e.update(func(tx driver.Tx) { e.putTx(tx, rows...) })
}

func (e *env) putTx(tx driver.Tx, rows ...driver.Put) {
	e.Helper()
	for _, p := range rows {
		e.ok(errOf(tx.Put(e.ctx, e.c, p)))
	}
}

// pair is a row put at now that never expires.
func pair(key, value any) driver.Put {
	return driver.Put{Key: val(key), Value: val(value), Now: now}
}

// quiet reads at now and leaves no trace.
var quiet = driver.Lookup{Now: now, Quiet: true}

// row returns the row of a key that must be there at now.
func (e *env) row(key any) driver.Row {
	e.Helper()
	r, ok := e.find(key, now)
	if !ok {
		e.Fatalf("no row for key %s", show(val(key)))
	}
	return r
}

// find is a quiet Get at some instant.
func (e *env) find(key any, at driver.Instant) (driver.Row, bool) {
	e.Helper()
	r, ok, err := e.s.Get(e.ctx, e.c, val(key), driver.Lookup{Now: at, Quiet: true})
	e.ok(err)
	return r, ok
}

func (e *env) wantValue(key, value any) {
	e.Helper()
	if d := cmp.Diff(val(value), e.row(key).Value, same); d != "" {
		e.Errorf("value of %s (-want +got):\n%s", show(val(key)), d)
	}
}

func (e *env) wantGone(keys ...any) {
	e.Helper()
	for _, k := range keys {
		if _, ok := e.find(k, now); ok {
			e.Errorf("key %s is there", show(val(k)))
		}
	}
}

func (e *env) wantCount(want int64) {
	e.Helper()
	e.view(func(tx driver.Tx) {
		n, err := tx.Count(e.ctx, e.c)
		e.ok(err)
		if n != want {
			e.Errorf("Count is %d, want %d", n, want)
		}
	})
}

// scan returns a page read in a View. Without a limit of s's own it is 1000.
func (e *env) scan(s driver.Scan) []driver.Row {
	e.Helper()
	if s.Limit == 0 {
		s.Limit = 1000
	}
	var rows []driver.Row
	e.view(func(tx driver.Tx) {
		var err error
		rows, err = tx.Scan(e.ctx, e.c, s)
		e.ok(err)
	})
	return rows
}

// wantScan compares the keys of a page, written as in show.
func (e *env) wantScan(s driver.Scan, want string) {
	e.Helper()
	if got := keys(e.scan(s)); got != want {
		e.Errorf("scan %+v yields [%s], want [%s]", s, got, want)
	}
}

func keys(rows []driver.Row) string {
	var all []string
	for _, r := range rows {
		all = append(all, show(r.Key))
	}
	return strings.Join(all, " ")
}

// large is p with a value that is kept in a file, if the engine has files.
func (e *env) large(p driver.Put, kind codec.Kind, content []byte) driver.Put {
	e.Helper()
	switch _, ok := e.s.(driver.Filer); {
	case ok:
		p.File = e.file(kind, content)
	case kind == codec.Text:
		p.Value = codec.TextValue(string(content))
	default:
		p.Value = codec.BlobValue(content)
	}
	return p
}

// filer is a store that is asked for files.
func filer(s driver.Store) driver.Filer { return s.(driver.Filer) }

// file writes a finished file. It is discarded when the test ends.
func (e *env) file(kind codec.Kind, content []byte) driver.File {
	e.Helper()
	f, err := filer(e.s).Create(e.ctx, kind)
	e.ok(err)
	e.Cleanup(f.Discard)
	n, err := f.Write(content)
	e.ok(err)
	if n != len(content) {
		e.Fatalf("Write returned %d, want %d", n, len(content))
	}
	e.ok(f.Finish())
	return f
}

// content reads the value of a row, in its file if it has one.
func (e *env) content(r driver.Row) []byte {
	e.Helper()
	switch {
	case r.File != "":
	case r.Value.Kind() == codec.Text:
		return []byte(r.Value.Text())
	default:
		return r.Value.Blob()
	}
	f, err := filer(e.s).OpenFile(e.ctx, e.c, r)
	e.ok(err)
	defer f.Close()
	b, err := io.ReadAll(f)
	e.ok(err)
	return b
}

// background runs fn on another goroutine and returns a function that waits
// for its result. The test ends in any case only after it.
func (e *env) background(fn func() error) (wait func() error) {
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		done <- fn()
	}()
	e.Cleanup(func() { <-ended })
	return func() error {
		e.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			e.Fatal("still waiting: the call does not return")
			return nil
		}
	}
}

// hold occupies the writer with a transaction until release is called, which
// returns the transaction's error.
func (e *env) hold(s driver.Store, ctx context.Context, fn func(tx driver.Tx) error) (release func() error) {
	e.Helper()
	holding, let := make(chan struct{}), make(chan struct{})
	wait := e.background(func() error {
		return s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			var err error
			if fn != nil {
				err = fn(tx)
			}
			close(holding)
			<-let
			return err
		})
	})
	e.await(holding)
	released := false
	release = func() error {
		if !released {
			released = true
			close(let)
		}
		return wait()
	}
	e.Cleanup(func() {
		if !released {
			close(let)
		}
	})
	return release
}

// await waits for a signal.
func (e *env) await(c <-chan struct{}) {
	e.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		e.Fatal("still waiting: no signal")
	}
}

// wantRows compares lists of rows, in every field.
func (e *env) wantRows(got, want []driver.Row) {
	e.Helper()
	if d := cmp.Diff(want, got, same); d != "" {
		e.Errorf("rows (-want +got):\n%s", d)
	}
}

// errOf returns the error of a call that also returns something else.
func errOf[T any](_ T, err error) error { return err }
