package drivertest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing/iotest"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// putFile stores a large value and returns the row.
func (e *env) putFile(key any, kind codec.Kind, content []byte) driver.Row {
	e.Helper()
	e.put(e.large(driver.Put{Key: val(key), Now: now}, kind, content))
	return e.row(key)
}

func (e *env) wantContent(key any, want string) {
	e.Helper()
	if got := string(e.content(e.row(key))); got != want {
		e.Errorf("content is %q, want %q", abbreviate(got), abbreviate(want))
	}
}

// noise returns bytes that do not repeat.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

var fileTests = tests{
	{"PutAndRead", func(e *env) {
		for _, kind := range []codec.Kind{codec.Text, codec.Blob} {
			for _, content := range []string{"", "x", "some more"} {
				r := e.putFile("k", kind, []byte(content))
				if r.File == "" || r.FileKind != kind || r.Size != int64(len(content)) || !r.Value.IsNull() {
					e.Errorf("row is %+v", r)
				}
				e.wantContent("k", content)
			}
		}
		e.wantCount(1)
	}},

	{"OtherFields", func(e *env) {
		e.put(driver.Put{Key: val("k"), Value: val("ignored"), File: e.file(codec.Text, []byte("content")), Expire: now + 5, Tag: val(1), Now: now})
		r := e.row("k")
		file := r.File
		r.File = ""
		e.wantRows([]driver.Row{r}, []driver.Row{{
			ID: r.ID, Key: val("k"), FileKind: codec.Text, Size: 7, Stored: now, Expire: now + 5, Accessed: now, Tag: val(1),
		}})
		for _, bare := range []bool{false, true} {
			if got := e.scan(driver.Scan{Bare: bare})[0]; got.File != file {
				e.Errorf("Scan has File %q, Get has %q", got.File, file)
			}
		}
	}},

	{"Large", func(e *env) {
		content := noise(5 << 20)
		f, err := filer(e.s).Create(e.ctx, codec.Blob)
		e.ok(err)
		defer f.Discard()
		for part := range bytes.SplitSeq(content, []byte{0}) { // in pieces of all sizes
			_, err := f.Write(part)
			e.ok(err)
			_, err = f.Write([]byte{0})
			e.ok(err)
		}
		content = append(content, 0)
		if f.Size() != int64(len(content)) {
			e.Errorf("Size is %d, want %d", f.Size(), len(content))
		}
		e.ok(f.Finish())
		e.put(driver.Put{Key: val("k"), File: f, Now: now}, pair("inline", content))
		r := e.row("k")
		if r.Size != int64(len(content)) || !bytes.Equal(e.content(r), content) {
			e.Error("content differs")
		}
		if got := e.row("inline").Value.Blob(); !bytes.Equal(got, content) {
			e.Error("content of the value in the row differs")
		}
	}},

	{"Content", func(e *env) {
		want := noise(100_000)
		r := e.putFile("k", codec.Blob, want)
		f, err := filer(e.s).OpenFile(e.ctx, e.c, r)
		e.ok(err)
		if err := iotest.TestReader(f, want); err != nil { // reads, seeks and reads at
			e.Error(err)
		}
		if f.Size() != int64(len(want)) {
			e.Errorf("Size is %d", f.Size())
		}
		e.ok(f.Close())
	}},

	{"ReopenedStore", func(e *env) {
		e.putFile("k", codec.Text, []byte("content"))
		e.reopen()
		e.wantContent("k", "content")
	}},

	{"InsideTheTransaction", func(e *env) {
		e.putFile("old", codec.Blob, []byte("old"))
		e.update(func(tx driver.Tx) {
			e.putTx(tx, driver.Put{Key: val("new"), File: e.file(codec.Blob, []byte("new")), Now: now})
			for _, k := range []string{"old", "new"} {
				r, _, err := tx.Get(e.ctx, e.c, val(k), quiet)
				e.ok(err)
				if got := string(e.content(r)); got != k {
					e.Errorf("content of %s is %q", k, got)
				}
			}
		})
		e.wantContent("new", "new")
	}},

	{"StaysReadable", func(e *env) {
		content := string(noise(200_000))
		for name, end := range map[string]func(tx driver.Tx) error{
			"Delete": func(tx driver.Tx) error { _, err := tx.Delete(e.ctx, e.c, val("k"), now); return err },
			"Put":    func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair("k", 1))) },
			"Put file": func(tx driver.Tx) error {
				return errOf(tx.Put(e.ctx, e.c, driver.Put{Key: val("k"), File: e.file(codec.Blob, []byte("x")), Now: now}))
			},
			"Remove": func(tx driver.Tx) error { _, err := tx.Remove(e.ctx, e.c, driver.Filter{}, 9); return err },
		} {
			r := e.putFile("k", codec.Blob, []byte(content))
			f, err := filer(e.s).OpenFile(e.ctx, e.c, r)
			e.ok(err)
			e.ok(e.s.Update(e.ctx, driver.Alone, end))
			if got, err := io.ReadAll(f); err != nil || string(got) != content {
				e.Errorf("after %s: %d bytes, %v", name, len(got), err)
			}
			// A reader that has the row of before gets what that had, or is told.
			if again, err := filer(e.s).OpenFile(e.ctx, e.c, r); err == nil {
				if got, err := io.ReadAll(again); err != nil || string(got) != content {
					e.Errorf("after %s: %d bytes of the row before, %v", name, len(got), err)
				}
				e.ok(again.Close())
			} else if !errors.Is(err, fs.ErrNotExist) {
				e.Errorf("after %s: OpenFile of the row before: %v", name, err)
			}
			e.ok(f.Close())
		}
	}},

	{"OverwriteKeepsContentUntilCommit", func(e *env) {
		e.putFile("k", codec.Text, []byte("old"))
		err := e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			e.putTx(tx, driver.Put{Key: val("k"), File: e.file(codec.Text, []byte("new")), Now: now})
			e.wantContent("k", "old") // for others
			return errRollback
		})
		e.wantErr(err, errRollback)
		e.wantContent("k", "old")
		e.put(driver.Put{Key: val("k"), File: e.file(codec.Text, []byte("new")), Keep: true, Now: now})
		e.wantContent("k", "new")
		e.put(pair("k", "inline"))
		if r := e.row("k"); r.File != "" || r.FileKind != codec.Null {
			e.Errorf("row is %+v", r)
		}
	}},

	{"PutAgainAfterRollback", func(e *env) {
		f := e.file(codec.Blob, []byte("content"))
		for _, end := range []error{errRollback, errRollback, nil} {
			err := e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
				e.putTx(tx, driver.Put{Key: val("k"), File: f, Now: now})
				return end
			})
			e.wantErr(err, end)
		}
		f.Discard() // is the store's now
		e.wantContent("k", "content")
	}},

	{"SharedRetry", func(e *env) {
		// Members of a group may run again, with the same file.
		release := e.hold(e.s, e.ctx, nil)
		var waits []func() error
		for i := range 20 {
			f := e.file(codec.Blob, []byte{byte(i)})
			waits = append(waits, e.background(func() error {
				defer f.Discard()
				return e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
					if err := errOf(tx.Put(e.ctx, e.c, driver.Put{Key: val(i), File: f, Now: now})); err != nil {
						return err
					}
					if i%4 == 0 {
						return errRollback
					}
					return nil
				})
			}))
		}
		e.ok(release())
		for i, wait := range waits {
			if err := wait(); i%4 == 0 {
				e.wantErr(err, errRollback)
				e.wantGone(i)
			} else {
				e.ok(err)
				e.wantContent(i, string([]byte{byte(i)}))
			}
		}
	}},

	{"Discard", func(e *env) {
		unfinished, err := filer(e.s).Create(e.ctx, codec.Blob)
		e.ok(err)
		_, err = unfinished.Write([]byte("x"))
		e.ok(err)
		unfinished.Discard()
		unfinished.Discard()
		finished := e.file(codec.Blob, []byte("x"))
		finished.Discard()
		err = e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			return errOf(tx.Put(e.ctx, e.c, driver.Put{Key: val("k"), File: finished, Now: now}))
		})
		if err == nil {
			e.Error("a discarded file can be put")
		}
		e.wantCount(0)
		checkStore(e, e.s)
	}},

	{"UnfinishedCannotBePut", func(e *env) {
		f, err := filer(e.s).Create(e.ctx, codec.Blob)
		e.ok(err)
		defer f.Discard()
		err = e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			return errOf(tx.Put(e.ctx, e.c, driver.Put{Key: val("k"), File: f, Now: now}))
		})
		if err == nil {
			e.Error("an unfinished file can be put")
		}
		e.wantCount(0)
	}},

	{"PutAndDeleteInOneTransaction", func(e *env) {
		f := e.file(codec.Blob, []byte("content"))
		e.update(func(tx driver.Tx) {
			e.putTx(tx, driver.Put{Key: val("k"), File: f, Now: now})
			_, err := tx.Delete(e.ctx, e.c, val("k"), now)
			e.ok(err)
			e.putTx(tx, driver.Put{Key: val("l"), File: e.file(codec.Blob, []byte("1")), Now: now})
			e.putTx(tx, driver.Put{Key: val("l"), File: e.file(codec.Blob, []byte("2")), Now: now})
		})
		f.Discard()
		e.wantGone("k")
		e.wantContent("l", "2")
		checkStore(e, e.s)
	}},

	{"OpenFileWithoutFile", func(e *env) {
		e.put(pair("k", 1))
		if _, err := filer(e.s).OpenFile(e.ctx, e.c, e.row("k")); err == nil {
			e.Error("OpenFile of a value in the row succeeds")
		}
	}},

	{"KindsWithoutFiles", func(e *env) {
		for _, k := range []codec.Kind{codec.Null, codec.Integer, codec.Real} {
			if f, err := filer(e.s).Create(e.ctx, k); err == nil {
				f.Discard()
				e.Errorf("Create accepts a value of kind %v", k)
			}
		}
	}},
}
