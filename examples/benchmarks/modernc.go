package main

import (
	"fmt"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// modernc is a connection of modernc.org/sqlite/lib, SQLite translated to Go.
// It binds parameters with buffers of SQLite's memory, which hold one key and
// one value.
type modernc struct {
	tls *libc.TLS
	db  uintptr
	mem uintptr // results of two words, then the key, then the value

	beginS, commitS, getS, findS, insertS, overwriteS, deleteS uintptr
}

// Layout of modernc.mem.
const (
	memKey   = 16
	memValue = memKey + 256
	memSize  = memValue + 64<<10
)

func connectModernc(file string) (floorConn, error) {
	c := &modernc{tls: libc.NewTLS()}
	lib.PatchIssue199() // page size of the WAL-index on arm64, as package sqlite does
	lib.Xsqlite3_initialize(c.tls)
	if c.mem = lib.Xsqlite3_malloc64(c.tls, memSize); c.mem == 0 {
		return nil, fmt.Errorf("no memory")
	}
	name, err := libc.CString(file)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	rc := lib.Xsqlite3_open_v2(c.tls, name, c.mem, lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(at(c.mem))
	if err := c.check(rc); err != nil {
		return nil, err
	}
	sql, err := libc.CString(floorPragmas)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, sql)
	if err := c.check(lib.Xsqlite3_exec(c.tls, c.db, sql, 0, 0, 0)); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		stmt *uintptr
		sql  string
	}{
		{&c.beginS, floorBegin}, {&c.commitS, floorCommit}, {&c.getS, floorGet}, {&c.findS, floorFind},
		{&c.insertS, floorInsert}, {&c.overwriteS, floorOverwrite}, {&c.deleteS, floorDelete},
	} {
		if *s.stmt, err = c.prepare(s.sql); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// at makes a pointer of an address in SQLite's memory, which is not the
// garbage collector's business.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

func (c *modernc) check(rc int32) error {
	switch rc {
	case lib.SQLITE_OK, lib.SQLITE_ROW, lib.SQLITE_DONE:
		return nil
	}
	return fmt.Errorf("sqlite: %s", libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db)))
}

func (c *modernc) prepare(sql string) (uintptr, error) {
	p, err := libc.CString(sql)
	if err != nil {
		return 0, err
	}
	defer libc.Xfree(c.tls, p)
	rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, p, -1, lib.SQLITE_PREPARE_PERSISTENT, c.mem, 0)
	return *(*uintptr)(at(c.mem)), c.check(rc)
}

func (c *modernc) bindKey(s uintptr, key string) {
	n := copy(unsafe.Slice((*byte)(at(c.mem+memKey)), memValue-memKey), key)
	lib.Xsqlite3_bind_text(c.tls, s, 1, c.mem+memKey, int32(n), lib.SQLITE_STATIC)
}

func (c *modernc) bindValue(s uintptr, i int32, value []byte) {
	n := copy(unsafe.Slice((*byte)(at(c.mem+memValue)), memSize-memValue), value)
	lib.Xsqlite3_bind_blob(c.tls, s, i, c.mem+memValue, int32(n), lib.SQLITE_STATIC)
}

// run runs a statement that returns no rows.
func (c *modernc) run(s uintptr) error {
	err := c.check(lib.Xsqlite3_step(c.tls, s))
	lib.Xsqlite3_reset(c.tls, s)
	return err
}

func (c *modernc) begin() error  { return c.run(c.beginS) }
func (c *modernc) commit() error { return c.run(c.commitS) }

func (c *modernc) get(key string) (value []byte, ok bool, err error) {
	c.bindKey(c.getS, key)
	rc := lib.Xsqlite3_step(c.tls, c.getS)
	if ok = rc == lib.SQLITE_ROW; ok {
		for i := range int32(10) {
			if i != 4 {
				lib.Xsqlite3_column_type(c.tls, c.getS, i)
				continue
			}
			p := lib.Xsqlite3_column_blob(c.tls, c.getS, i)
			n := int(lib.Xsqlite3_column_bytes(c.tls, c.getS, i))
			value = append(make([]byte, 0, n), unsafe.Slice((*byte)(at(p)), n)...)
		}
	}
	err = c.check(rc)
	lib.Xsqlite3_reset(c.tls, c.getS)
	return value, ok, err
}

func (c *modernc) find(key string) (rowid int64, ok bool, err error) {
	c.bindKey(c.findS, key)
	rc := lib.Xsqlite3_step(c.tls, c.findS)
	if ok = rc == lib.SQLITE_ROW; ok {
		rowid = int64(lib.Xsqlite3_column_int64(c.tls, c.findS, 0))
	}
	err = c.check(rc)
	lib.Xsqlite3_reset(c.tls, c.findS)
	return rowid, ok, err
}

func (c *modernc) insert(key string, now float64, value []byte) error {
	c.bindKey(c.insertS, key)
	lib.Xsqlite3_bind_double(c.tls, c.insertS, 2, now)
	c.bindValue(c.insertS, 3, value)
	return c.run(c.insertS)
}

func (c *modernc) overwrite(rowid int64, now float64, value []byte) error {
	lib.Xsqlite3_bind_int64(c.tls, c.overwriteS, 1, lib.Tsqlite_int64(rowid))
	lib.Xsqlite3_bind_double(c.tls, c.overwriteS, 2, now)
	c.bindValue(c.overwriteS, 3, value)
	return c.run(c.overwriteS)
}

func (c *modernc) remove(rowid int64) error {
	lib.Xsqlite3_bind_int64(c.tls, c.deleteS, 1, lib.Tsqlite_int64(rowid))
	return c.run(c.deleteS)
}

func (c *modernc) close() error {
	for _, s := range []uintptr{c.beginS, c.commitS, c.getS, c.findS, c.insertS, c.overwriteS, c.deleteS} {
		lib.Xsqlite3_finalize(c.tls, s)
	}
	err := c.check(lib.Xsqlite3_close_v2(c.tls, c.db))
	lib.Xsqlite3_free(c.tls, c.mem)
	c.tls.Close()
	return err
}
