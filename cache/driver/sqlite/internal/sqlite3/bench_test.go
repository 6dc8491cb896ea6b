package sqlite3

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// The table of DiskCache and the statement behind its Get.
const (
	cacheSchema = `CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER,
		store_time REAL, expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0,
		tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB);
		CREATE UNIQUE INDEX Cache_key_raw ON Cache(key, raw)`
	cacheGet = `SELECT rowid, store_time, expire_time, tag, mode, filename, value
		FROM Cache WHERE key = ? AND raw = 1`
	cacheSet = `UPDATE Cache SET store_time = ?, expire_time = NULL, access_time = ?, access_count = 0,
		tag = NULL, size = 0, mode = 1, filename = NULL, value = ? WHERE rowid = ?`
)

const cacheRows = 10000

func benchKeys() []string {
	keys := make([]string, cacheRows)
	for i := range keys {
		keys[i] = fmt.Sprintf("key-%05d", i)
	}
	return keys
}

// benchCache is a table of DiskCache with cacheRows rows of 100 bytes, all
// of them in the database file.
func benchCache(b testing.TB, pragmas string, flags ...OpenFlags) (path string, c *Conn) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "cache.db")
	c = openBench(b, path, pragmas, flags...)
	must(b, c.Exec(cacheSchema))
	must(b, c.Exec("BEGIN"))
	ins := prepare(b, c, "INSERT INTO Cache(key, raw, store_time, access_time, value) VALUES (?, 1, 1.5, 1.5, ?)")
	for _, k := range benchKeys() {
		ins.BindText(1, k)
		ins.BindBlob(2, make([]byte, 100))
		must(b, ins.Run())
	}
	must(b, c.Exec("COMMIT"))
	_, _, err := c.Checkpoint(Truncate)
	must(b, err)
	return path, c
}

func openBench(b testing.TB, path, pragmas string, flags ...OpenFlags) *Conn {
	b.Helper()
	all := ReadWriteCreate
	for _, f := range flags {
		all |= f
	}
	c, err := Open(path, all)
	must(b, err)
	b.Cleanup(func() { must(b, c.Close()) })
	must(b, c.Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = 2000;"+pragmas))
	return c
}

func get(b testing.TB, s *Stmt, key string) (value []byte) {
	s.BindText(1, key)
	row, err := s.Step()
	if err != nil || !row {
		b.Fatalf("row %v, err %v", row, err)
	}
	_ = s.ColumnInt(0)
	_ = s.ColumnReal(1)
	_ = s.ColumnType(2)
	_ = s.ColumnType(3)
	_ = s.ColumnInt(4)
	_ = s.ColumnType(5)
	value = s.ColumnBlob(6)
	s.Reset()
	return value
}

func BenchmarkGet(b *testing.B) {
	keys := benchKeys()
	for _, v := range []struct{ name, pragmas, begin string }{
		{"pread", "PRAGMA mmap_size = 0", ""},
		{"mmap", "PRAGMA mmap_size = 67108864", ""},
		{"pread-tx", "PRAGMA mmap_size = 0", "BEGIN"},
		{"mmap-tx", "PRAGMA mmap_size = 67108864", "BEGIN"},
		{"exclusive", "PRAGMA mmap_size = 0; PRAGMA locking_mode = EXCLUSIVE", ""},
	} {
		b.Run(v.name, func(b *testing.B) {
			_, c := benchCache(b, v.pragmas)
			s := prepare(b, c, cacheGet)
			if v.begin != "" {
				must(b, c.Exec(v.begin))
			}
			for _, k := range keys {
				get(b, s, k)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i++; i == cacheRows {
					i = 0
				}
				get(b, s, keys[i*7919%cacheRows])
			}
		})
	}
}

// BenchmarkGetAfterSet reads on one connection what another has written
// since the last read: SQLite then drops the whole page cache of the reader.
func BenchmarkGetAfterSet(b *testing.B) {
	keys := benchKeys()
	for _, v := range []struct{ name, pragmas string }{
		{"pread", "PRAGMA mmap_size = 0"},
		{"mmap", "PRAGMA mmap_size = 67108864"},
	} {
		b.Run(v.name, func(b *testing.B) {
			path, w := benchCache(b, v.pragmas)
			r := openBench(b, path, v.pragmas)
			s, set := prepare(b, r, cacheGet), prepare(b, w, cacheSet)
			frames := 0
			w.SetWALHook(func(n int) { frames = n })
			var reading time.Duration
			i := 0
			for b.Loop() {
				i++
				set.BindBlob(3, make([]byte, 100))
				set.BindInt(4, int64(i*7919%cacheRows+1))
				must(b, set.Run())
				if frames >= 1000 {
					_, _, err := w.Checkpoint(Passive)
					must(b, err)
				}
				start := time.Now()
				get(b, s, keys[i*6007%cacheRows])
				reading += time.Since(start)
			}
			b.ReportMetric(float64(reading.Nanoseconds())/float64(b.N), "ns/get")
		})
	}
}

func BenchmarkGetParallel(b *testing.B) {
	keys := benchKeys()
	path, _ := benchCache(b, "")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		c, err := Open(path, ReadWrite)
		must(b, err)
		defer c.Close()
		s := prepare(b, c, cacheGet)
		for i := 0; pb.Next(); i++ {
			get(b, s, keys[i*7919%cacheRows])
		}
	})
}

func BenchmarkSet(b *testing.B) {
	for _, v := range []struct {
		name, pragmas string
		group         int
	}{
		{"one", "", 1},
		{"one-mmap", "PRAGMA mmap_size = 67108864", 1},
		{"one-exclusive", "PRAGMA locking_mode = EXCLUSIVE", 1},
		{"one-off", "PRAGMA synchronous = OFF", 1},
		{"sixteen", "", 16},
	} {
		b.Run(v.name, func(b *testing.B) {
			_, c := benchCache(b, v.pragmas)
			benchSet(b, c, v.group)
		})
	}
}

// benchSet updates rows, group of them in one transaction, and checkpoints
// as an engine would.
func benchSet(b *testing.B, c *Conn, group int) {
	begin, commit := prepare(b, c, "BEGIN IMMEDIATE"), prepare(b, c, "COMMIT")
	set := prepare(b, c, cacheSet)
	frames := 0
	c.SetWALHook(func(n int) { frames = n })
	value := make([]byte, 100)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i%group == 0 {
			must(b, begin.Run())
		}
		set.BindReal(1, float64(i))
		set.BindReal(2, float64(i))
		set.BindBlob(3, value)
		set.BindInt(4, int64(i*7919%cacheRows+1))
		must(b, set.Run())
		if i++; i%group == 0 {
			must(b, commit.Run())
			if frames >= 1000 {
				_, _, err := c.Checkpoint(Passive)
				must(b, err)
			}
		}
	}
	if !c.AutoCommit() {
		must(b, commit.Run())
	}
}
