package sqlite3

import (
	"testing"
)

// BenchmarkVFS compares our VFS with SQLite's own.
func BenchmarkVFS(b *testing.B) {
	for _, op := range []struct {
		name string
		run  func(b *testing.B, path string, c *Conn)
	}{
		{"get", benchGets},
		{"set", func(b *testing.B, _ string, c *Conn) { benchSet(b, c, 1) }},
		{"sixteen", func(b *testing.B, _ string, c *Conn) { benchSet(b, c, 16) }},
		{"delete+insert", benchReplace},
		{"set+get", benchSetGet},
	} {
		for _, v := range []struct {
			name  string
			flags OpenFlags
		}{{"default", DefaultVFS}, {"ours", 0}} {
			b.Run(op.name+"/"+v.name, func(b *testing.B) {
				path, c := benchCache(b, "PRAGMA mmap_size = 67108864", v.flags)
				op.run(b, path, c)
			})
		}
	}
}

func benchGets(b *testing.B, _ string, c *Conn) {
	keys := benchKeys()
	s := prepare(b, c, cacheGet)
	i := 0
	for b.Loop() {
		i++
		get(b, s, keys[i*7919%cacheRows])
	}
}

// benchReplace deletes and inserts rows in transactions of their own, which
// change pages of the table and of its index.
func benchReplace(b *testing.B, _ string, c *Conn) {
	keys := benchKeys()
	del := prepare(b, c, "DELETE FROM Cache WHERE key = ? AND raw = 1")
	ins := prepare(b, c, "INSERT INTO Cache(key, raw, store_time, access_time, value) VALUES (?, 1, 1.5, 1.5, ?)")
	frames := 0
	c.SetWALHook(func(n int) { frames = n })
	value := make([]byte, 100)
	i := 0
	for b.Loop() {
		i++
		k := keys[i*7919%cacheRows]
		del.BindText(1, k)
		must(b, del.Run())
		ins.BindText(1, k)
		ins.BindBlob(2, value)
		must(b, ins.Run())
		if frames >= 1000 {
			_, _, err := c.Checkpoint(Passive)
			must(b, err)
		}
	}
}

// benchSetGet writes and reads on the same connection in turn.
func benchSetGet(b *testing.B, _ string, c *Conn) {
	keys := benchKeys()
	set, s := prepare(b, c, cacheSet), prepare(b, c, cacheGet)
	frames := 0
	c.SetWALHook(func(n int) { frames = n })
	value := make([]byte, 100)
	i := 0
	for b.Loop() {
		i++
		set.BindBlob(3, value)
		set.BindInt(4, int64(i*7919%cacheRows+1))
		must(b, set.Run())
		get(b, s, keys[i*6007%cacheRows])
		if frames >= 1000 {
			_, _, err := c.Checkpoint(Passive)
			must(b, err)
		}
	}
}
