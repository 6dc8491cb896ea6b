package drivertest

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

var checkTests = tests{
	{"FindsNothing", func(e *env) {
		before := seeded(e)
		pending := e.large(driver.Put{Key: val("pending"), Now: now}, codec.Blob, []byte("not put yet"))
		s := e.s.(driver.Checker)
		for _, mend := range []bool{false, true} {
			e.ok(s.Check(e.ctx, mend, func(p driver.Problem) { e.Errorf("Check found %+v", p) }))
		}
		e.wantRows(e.scan(driver.Scan{}), before)
		e.put(pending)
		e.wantContent("pending", "not put yet")
	}},

	{"AmongWrites", func(e *env) {
		stop := make(chan struct{})
		wait := e.background(func() error {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return nil
				default:
				}
				p := driver.Put{Key: val(i % 5), Value: val("content"), Now: now}
				if s, ok := e.s.(driver.Filer); ok {
					f, err := s.Create(e.ctx, codec.Blob)
					if err != nil {
						return err
					}
					f.Write([]byte("content"))
					f.Finish()
					p.File = f
				}
				err := e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
					if i%3 == 0 {
						_, err := tx.Delete(e.ctx, e.c, val(i%5), now)
						return err
					}
					return errOf(tx.Put(e.ctx, e.c, p))
				})
				if p.File != nil {
					p.File.Discard()
				}
				if err != nil {
					return err
				}
			}
		})
		for range 10 {
			checkStore(e, e.s)
		}
		close(stop)
		e.ok(wait())
	}},
}

var volumeTests = tests{
	{"Grows", func(e *env) {
		volume := func() int64 {
			v, err := e.s.(driver.Measurer).Volume(e.ctx)
			e.ok(err)
			var sum int64
			for _, n := range v.Parts {
				sum += n
			}
			if sum != v.Total {
				e.Errorf("the parts of %+v are %d", v, sum)
			}
			return v.Total
		}
		before := volume()
		e.putFile("k", codec.Blob, make([]byte, 1<<20))
		if grown := volume() - before; grown < 1<<20 {
			e.Errorf("the volume grew by %d with a value of a mebibyte", grown)
		}
		full := volume()
		e.delete("k", now)
		if shrunk := full - volume(); shrunk < 1<<20-1<<16 {
			e.Errorf("the volume shrank by %d", shrunk)
		}
	}},
}

var compactTests = tests{
	{"ChangesNothing", func(e *env) {
		before := seeded(e)
		e.ok(e.s.(driver.Compacter).Compact(e.ctx))
		e.wantUntouched(before)
	}},
}

var backupTests = tests{
	{"IsAStore", func(e *env) {
		before := seeded(e)
		_, err := e.fence(e.s, driver.Alone)
		e.ok(err)
		original, copied := e.dir, filepath.Join(e.TempDir(), "copy")
		s := e.s.(driver.Directory)
		err = s.Backup(e.ctx, copied)
		if errors.Is(err, errors.ErrUnsupported) {
			return // it is made of stores that are in no directory
		}
		e.ok(err)
		if err := s.Backup(e.ctx, copied); err == nil {
			e.Error("Backup writes into a directory that is not empty")
		}
		empty := filepath.Join(e.TempDir(), "empty")
		e.ok(os.Mkdir(empty, 0o700))
		e.ok(s.Backup(e.ctx, empty))

		e.put(pair("later", 1))
		e.closeAll()
		e.dir = copied
		e.s = e.open(Options{})
		e.c = e.collection(e.s, "test")
		e.wantGone("later")
		rows := e.scan(driver.Scan{})
		if got, want := keys(rows), keys(before); got != want {
			e.Errorf("the copy has [%s], want [%s]", got, want)
		}
		e.wantContent("file", "content")
		if n, err := e.fence(e.s, driver.Alone); err != nil || n < 2 {
			e.Errorf("Fence is %d, %v", n, err)
		}
		checkStore(e, e.s)
		e.closeAll()
		e.dir = original
	}},
}
