//go:build linux

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of so many KiB.
func smallDisk(t *testing.T, kib int) string {
	t.Helper()
	return tmpfs(t, fmt.Sprintf("size=%dk,mode=0777", kib))
}

func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, options)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("no right to mount a small file system: run the tests as root")
	}
	ok(t, err)
	t.Cleanup(func() { ok(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// ballast takes what is left of the space on a disk.
func ballast(t *testing.T, disk string) (free func()) {
	t.Helper()
	f := must(os.Create(filepath.Join(disk, "ballast")))(t)
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			is(t, err, unix.ENOSPC)
			break
		}
	}
	ok(t, f.Close())
	return func() { ok(t, os.Remove(f.Name())) }
}

// failed demands of an error that it is one of the package, names operation
// and collection, is of a kind, and says what can be done.
func failed(t *testing.T, err, kind error, op, collection string) {
	t.Helper()
	var detail *cache.Error
	if !errors.Is(err, kind) || !errors.As(err, &detail) || detail.Op != op || detail.Collection != collection {
		t.Fatalf("got error %q, want one of %s in %q that is %q", err, op, collection, kind)
	}
	if msg := err.Error(); strings.Contains(msg, "secret") {
		t.Errorf("a key or a value is in %q", msg)
	}
}

// fills are the ways to fill a disk. Each writes the ith value of "secret" and
// tells under which keys.
var fills = []struct {
	name, op, collection string
	write                func(ctx context.Context, c collections, i int) ([]string, error)
}{
	{"inline", "Set", "", func(ctx context.Context, c collections, i int) ([]string, error) {
		k := fmt.Sprint("secret", i)
		return []string{k}, c.lru.Set(ctx, k, fillValue(i, 900))
	}},
	{"files", "Set", "cache/named", func(ctx context.Context, c collections, i int) ([]string, error) {
		k := fmt.Sprint("secret", i)
		return []string{k}, c.named.Set(ctx, k, fillValue(i, 40_000))
	}},
	{"streams", "SetFrom", "", func(ctx context.Context, c collections, i int) ([]string, error) {
		k := fmt.Sprint("secret", i)
		return []string{k}, c.lru.SetFrom(ctx, k, strings.NewReader(fillValue(i, 90_000)))
	}},
	{"queue", "PushBack", "cache/jobs", func(ctx context.Context, c collections, i int) ([]string, error) {
		k, err := c.jobs.Queue("q").PushBack(ctx, fillValue(i, 3000+i%2*40_000))
		return []string{k}, err
	}},
	{"many", "SetMany", "cache/named", func(ctx context.Context, c collections, i int) ([]string, error) {
		keys := []string{fmt.Sprint("secret", i), fmt.Sprint("secret-", i), fmt.Sprint("secret--", i)}
		return keys, c.named.SetMany(ctx, func(yield func(string, string) bool) {
			for j, k := range keys {
				if !yield(k, fillValue(i, 2000+j*20_000)) {
					return
				}
			}
		})
	}},
	{"transactions", "", "", func(ctx context.Context, c collections, i int) ([]string, error) {
		keys := []string{fmt.Sprint("secret", i), fmt.Sprint("secret-", i)}
		return keys, c.st.Update(ctx, func(tx *cache.Tx) error {
			if err := c.named.In(tx).Set(ctx, keys[0], fillValue(i, 33_000)); err != nil {
				return err
			}
			if err := c.lru.In(tx).Set(ctx, keys[1], fillValue(i, 500)); err != nil {
				return err
			}
			_, err := cache.Incr(ctx, c.n.In(tx), "total", 1)
			return err
		})
	}},
}

func fillValue(i, size int) string {
	v := fmt.Sprint("secret value ", i, " ")
	return v + strings.Repeat("x", size-len(v))
}

// TestFullDisk fills a disk in several ways. What was acknowledged is there,
// what failed is not there in part, room can be made by deleting, and then
// everything goes on.
func TestFullDisk(t *testing.T) {
	for _, f := range fills {
		t.Run(f.name, func(t *testing.T) {
			ctx := t.Context()
			disk := smallDisk(t, 3<<10+1540) // the table of versions has 1540
			dir := filepath.Join(disk, "store")
			st := must(cache.OpenStore(ctx, dir, nil))(t)
			c := must(openCollections(ctx, st))(t)
			t.Cleanup(func() { st.Close() }) // if something fails
			reserve := must(os.Create(filepath.Join(disk, "reserve")))(t)
			must(reserve.Write(make([]byte, 512<<10)))(t)
			ok(t, reserve.Close())
			var acked [][]string
			fill := func() {
				t.Helper()
				for i := len(acked); ; i++ {
					keys, err := f.write(ctx, c, i)
					if err == nil {
						acked = append(acked, keys)
						continue
					}
					if f.op != "" {
						failed(t, err, cache.ErrFull, f.op, f.collection)
					}
					is(t, err, cache.ErrFull)
					if !strings.Contains(err.Error(), "free space") {
						t.Errorf("message %q", err)
					}
					return
				}
			}
			intact := func() {
				t.Helper()
				if r := must(st.Check(ctx, nil))(t); !r.OK() {
					t.Fatalf("a full disk did damage: %+v", r.Problems)
				}
				equal(t, unused(t, dir), 0)
				present(t, c, acked)
			}
			fill()
			t.Logf("%d operations", len(acked))
			intact()

			// Deleting needs no more room than there is.
			if err := deleteAll(ctx, c, acked[len(acked)-1:]); err != nil {
				t.Errorf("nothing can be deleted on the full disk: %v", err)
			}
			ok(t, os.Remove(reserve.Name()))
			ok(t, deleteAll(ctx, c, acked[len(acked)/2:]))
			acked = acked[:len(acked)/2]
			intact()
			half := len(acked)
			fill()
			if len(acked) <= half {
				t.Errorf("no room after deleting half of %d entries", 2*half)
			}
			intact()
			ok(t, st.Close())

			st = must(cache.OpenStore(ctx, dir, nil))(t)
			c = must(openCollections(ctx, st))(t)
			intact()
			ok(t, st.Close())
		})
	}
}

func deleteAll(ctx context.Context, c collections, all [][]string) error {
	for _, k := range slices.Concat(all...) {
		for _, coll := range []*cache.Cache[string, string]{c.lru, c.named, c.jobs} {
			if _, err := coll.Delete(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// unused counts the temporary files of a store.
func unused(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "cache.db-sessions"), func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			n++
		}
		return err
	})
	ok(t, err)
	return n
}

// present demands that the store holds what fills have been acknowledged, and
// nothing else.
func present(t *testing.T, c collections, acked [][]string) {
	t.Helper()
	want := map[string]int{}
	for i, keys := range acked {
		for _, k := range keys {
			want[k] = i
		}
	}
	total := int64(0)
	for _, coll := range []*cache.Cache[string, string]{c.lru, c.named, c.jobs} {
		for e, err := range coll.All(t.Context()) {
			ok(t, err)
			i, known := want[e.Key]
			if !known {
				t.Fatalf("key %q of a write that failed is there", e.Key)
			}
			if e.Value != fillValue(i, len(e.Value)) || len(e.Value) < 500 {
				t.Fatalf("the value of %q is not what was written", e.Key)
			}
			delete(want, e.Key)
			if strings.HasPrefix(e.Key, "secret-") {
				total++
			}
		}
	}
	for k := range want {
		t.Fatalf("key %q was acknowledged and is lost", k)
	}
	n, _, err := c.n.Get(t.Context(), "total")
	ok(t, err)
	if n > 0 && n < total {
		t.Fatalf("%d transactions were counted, %d are there", n, total)
	}
}

// On a full disk reads work, and are counted when there is room again.
func TestFullDiskReads(t *testing.T) {
	ctx := t.Context()
	disk := smallDisk(t, 3<<10)
	dir := filepath.Join(disk, "store")
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	c := must(openCollections(ctx, st))(t)
	for i := range 100 {
		set(t, c.lru, fmt.Sprint(i), fillValue(i, 100+i%2*40_000*(i%20/19)))
	}
	must(c.lru.Stats(ctx))(t)
	free := ballast(t, disk)
	for range 3 {
		for i := range 100 {
			v, found, err := c.lru.Get(ctx, fmt.Sprint(i))
			ok(t, err)
			equal(t, found && v == fillValue(i, len(v)), true)
		}
	}
	equal(t, len(must(cache.Collect(c.lru.All(ctx)))(t)), 100)
	// Long enough for the reads to be written in the background, or not to be.
	var err error
	for i := range 1000 {
		if err = c.named.Set(ctx, fmt.Sprint("k", i), strings.Repeat("v", 10_000)); err != nil {
			break
		}
	}
	failed(t, err, cache.ErrFull, "Set", "cache/named")
	time.Sleep(1200 * time.Millisecond)
	has(t, c.lru, "2", fillValue(2, 100))
	free()
	equal(t, must(c.lru.Stats(ctx))(t).Hits, 301)
	set(t, c.named, "k", "v")
	ok(t, st.Close())
	clean(t, dir)
}

// A store can be closed on a full disk, opened again, and read.
func TestFullDiskOpen(t *testing.T) {
	ctx := t.Context()
	disk := smallDisk(t, 3<<10)
	free := ballast(t, disk)
	_, err := cache.OpenStore(ctx, filepath.Join(disk, "new"), nil)
	failed(t, err, cache.ErrFull, "OpenStore", "")
	free()
	st := must(cache.OpenStore(ctx, filepath.Join(disk, "new"), nil))(t)
	c := must(openCollections(ctx, st))(t)
	set(t, c.lru, "k", "v")
	set(t, c.lru, "big", strings.Repeat("v", 40_000))

	free = ballast(t, disk)
	has(t, c.lru, "k", "v")
	if err := st.Close(); err != nil { // counts of reads may be lost, nothing else
		failed(t, err, cache.ErrFull, "Close", "")
	}
	for _, readOnly := range []bool{false, true} {
		st, err := cache.OpenStore(ctx, filepath.Join(disk, "new"), &cache.StoreOptions{ReadOnly: readOnly})
		if err != nil {
			failed(t, err, cache.ErrFull, "OpenStore", "")
			t.Logf("read-only %v: %v", readOnly, err)
			continue
		}
		c := must(cache.New[string, string](ctx, st, "", nil))(t)
		has(t, c, "k", "v")
		has(t, c, "big", strings.Repeat("v", 40_000))
		if err := st.Close(); err != nil {
			failed(t, err, cache.ErrFull, "Close", "")
		}
	}
	free()
	st = must(cache.OpenStore(ctx, filepath.Join(disk, "new"), nil))(t)
	c = must(openCollections(ctx, st))(t)
	has(t, c.lru, "k", "v")
	ok(t, st.Close())
	clean(t, filepath.Join(disk, "new"))
}

// A store whose table of versions has no room works without a near cache, and
// what could be written of the table gives its room back.
func TestFullDiskNear(t *testing.T) {
	ctx := t.Context()
	disk := smallDisk(t, 3<<10)
	dir := filepath.Join(disk, "store")
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	set(t, open[string, string](t, st, "", nil), "k", "v")
	ok(t, st.Close())
	table := filepath.Join(dir, "cache.db-near2")
	ok(t, os.Remove(table))
	room := must(os.Create(filepath.Join(disk, "room")))(t)
	must(room.Write(make([]byte, 256<<10)))(t)
	ok(t, room.Close())
	free := ballast(t, disk)
	ok(t, os.Remove(room.Name()))

	st = must(cache.OpenStore(ctx, dir, nil))(t)
	c := open[string, string](t, st, "", nil)
	has(t, c, "k", "v")
	if info, err := os.Stat(table); err != nil || info.Size() != 0 {
		t.Errorf("the table: %v, %v", info, err)
	}
	set(t, c, "k", "w")
	has(t, c, "k", "w")
	ok(t, st.Close())
	free()
	st = must(cache.OpenStore(ctx, dir, nil))(t)
	if info, err := os.Stat(table); err != nil || info.Size() == 0 {
		t.Errorf("with room again, the table: %v, %v", info, err)
	}
	ok(t, st.Close())
	clean(t, dir)
}

// Backup and Compact need room. Without it they fail and leave the store as
// it was; a backup that failed can be begun anew.
func TestFullDiskMaintenance(t *testing.T) {
	ctx := t.Context()
	disk := smallDisk(t, 8<<10)
	dir := filepath.Join(disk, "store")
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	c := must(openCollections(ctx, st))(t)
	var acked [][]string
	ok(t, st.Update(ctx, func(tx *cache.Tx) error {
		bound := c
		bound.lru = c.lru.In(tx)
		for i := range 900 {
			acked = append(acked, must(fills[0].write(ctx, bound, i))(t))
		}
		return nil
	}))
	for i := range 10 {
		acked = append(acked, must(fills[2].write(ctx, c, 900+i))(t))
	}
	ok(t, st.Close()) // empties the log
	st = must(cache.OpenStore(ctx, dir, nil))(t)
	c = must(openCollections(ctx, st))(t)
	set(t, c.named, "k", "v")
	free := ballast(t, disk)

	failed(t, st.Compact(ctx), cache.ErrFull, "Compact", "")
	present(t, collections{lru: c.lru, named: c.jobs, jobs: c.jobs, n: c.n}, acked)
	free()
	for _, space := range []int{2, 40, 300, 1200} {
		other := smallDisk(t, space*4)
		to := filepath.Join(other, "backup")
		err := st.Backup(ctx, to)
		if err == nil && space == 1200 {
			clean(t, to)
			continue
		}
		failed(t, err, cache.ErrFull, "Backup", "")
		if entries, err := os.ReadDir(to); err == nil && len(entries) > 0 {
			t.Errorf("%d blocks: a part of a backup stays: %v", space, entries)
		}
	}
	equal(t, unused(t, dir), 0)
	if r := must(st.Check(ctx, nil))(t); !r.OK() {
		t.Errorf("problems: %+v", r.Problems)
	}
	ok(t, st.Compact(ctx))
	ok(t, st.Close())
	clean(t, dir)
}

// A store that has filled its disk can be emptied: what the error advises works,
// before and after it was opened again.
func TestFullDiskCanBeEmptied(t *testing.T) {
	for _, f := range []struct {
		name string
		size int // of values
		wipe func(ctx context.Context, c *cache.Cache[int, string]) error
	}{
		{"rows, Clear", 3000, func(ctx context.Context, c *cache.Cache[int, string]) error {
			_, err := c.Clear(ctx)
			return err
		}},
		{"files, Clear", 40_000, func(ctx context.Context, c *cache.Cache[int, string]) error {
			_, err := c.Clear(ctx)
			return err
		}},
		{"rows, Delete", 3000, func(ctx context.Context, c *cache.Cache[int, string]) error {
			for k, err := range c.Keys(ctx) {
				if err != nil {
					return err
				}
				if _, err := c.Delete(ctx, k); err != nil {
					return err
				}
			}
			return nil
		}},
		{"rows, Compact", 3000, func(ctx context.Context, c *cache.Cache[int, string]) error {
			if _, err := c.Clear(ctx); err != nil {
				return err
			}
			return c.Store().Compact(ctx)
		}},
	} {
		for _, again := range []string{"", ", opened again", ", opened again when others have filled the disk"} {
			if raceEnabled && again != "" {
				continue // nothing runs at the same time
			}
			t.Run(f.name+again, func(t *testing.T) {
				ctx := t.Context()
				disk := smallDisk(t, 12<<10)
				dir := filepath.Join(disk, "store")
				open := func() *cache.Cache[int, string] {
					return must(cache.Open(ctx, dir, &cache.Options[int, string]{Persistent: true}))(t)
				}
				c := open()
				fill := func() (stored int) { // of those of f.size
					size := f.size
					for n, failures := 0, 0; failures < 50; n++ {
						if err := c.Set(ctx, n, strings.Repeat("x", size)); err != nil {
							is(t, err, cache.ErrFull)
							failures++
							size = 10
						} else if size == f.size {
							stored++
						}
					}
					return stored
				}
				first := fill()
				others := filepath.Join(disk, "others")
				if again != "" {
					ok(t, c.Close())
					if strings.Contains(again, "others") {
						is(t, os.WriteFile(others, make([]byte, 12<<20), 0o600), unix.ENOSPC)
					}
					c = open()
				}
				ok(t, f.wipe(ctx, c))
				equal(t, must(c.Len(ctx))(t), 0)
				ok(t, c.Set(ctx, -1, strings.Repeat("x", f.size))) // at once
				ok(t, os.RemoveAll(others))
				if second := fill(); second < first/2 {
					t.Errorf("%d entries found room, and later %d", first, second)
				}
				ok(t, f.wipe(ctx, c))
				ok(t, c.Close())
				clean(t, dir)
			})
		}
	}
}

// Value files that were just removed make room at once.
func TestFullDiskFilesGoAtOnce(t *testing.T) {
	for name, remove := range map[string]func(ctx context.Context, c *cache.Cache[int, string]) error{
		"Clear": func(ctx context.Context, c *cache.Cache[int, string]) error { _, err := c.Clear(ctx); return err },
		"Evict": func(ctx context.Context, c *cache.Cache[int, string]) error {
			_, err := c.Evict(ctx, cache.Tag("t"))
			return err
		},
		"Delete": func(ctx context.Context, c *cache.Cache[int, string]) error {
			for k, err := range c.Keys(ctx) {
				if err == nil {
					_, err = c.Delete(ctx, k)
				}
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			dir := filepath.Join(smallDisk(t, 12<<10), "store")
			c := must(cache.Open(ctx, dir, &cache.Options[int, string]{Persistent: true}))(t)
			value := strings.Repeat("x", 200_000)
			var err error
			for n := 0; err == nil; n++ {
				err = c.Set(ctx, n, value, cache.Tag("t"))
			}
			is(t, err, cache.ErrFull)
			ok(t, remove(ctx, c))
			ok(t, c.Set(ctx, -1, value))
			ok(t, remove(ctx, c))
			ok(t, c.SetFrom(ctx, -2, strings.NewReader(value)))
			ok(t, c.Close())
			clean(t, dir)
		})
	}
}

// limitedChild is a process whose files may have 4 MiB.
func limitedChild(ch *inChild) error {
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4 << 20, Max: 4 << 20}); err != nil {
		return err
	}
	c, err := cache.Open(ch.ctx, ch.arg(0), &cache.Options[int, string]{Persistent: true})
	if err != nil {
		return err
	}
	for i := 0; err == nil; i++ {
		err = c.Set(ch.ctx, i, strings.Repeat("x", 10_000))
	}
	ch.say("rows: %s", outcome(err))
	ch.say("a file: %s", outcome(c.Set(ch.ctx, -1, strings.Repeat("x", 5<<20))))
	return nil
}

// A limit of the size of files is a full disk.
func TestFileSizeLimit(t *testing.T) {
	c := spawn(t, "limited", t.TempDir())
	equal(t, c.hear(), "rows: full")
	equal(t, c.hear(), "a file: full")
	c.finish()
}

// A Set that fails leaves no folder behind, where there is room for the first of
// two and not for the second.
func TestFullDiskFolders(t *testing.T) {
	ctx := t.Context()
	disk := tmpfs(t, "size=8m,nr_inodes=100")
	dir := filepath.Join(disk, "store")
	c := must(cache.Open[string, string](ctx, dir, nil))(t)
	big := strings.Repeat("x", 40_000)
	set(t, c, "0", big) // the session has its folder
	var files []string
	for {
		name := filepath.Join(disk, fmt.Sprint("inode", len(files)))
		f, err := os.Create(name)
		if err != nil {
			is(t, err, unix.ENOSPC)
			break
		}
		ok(t, f.Close())
		files = append(files, name)
	}
	for _, name := range files[:2] { // the temporary file, and one folder
		ok(t, os.Remove(name))
	}
	failed(t, c.Set(ctx, "1", big), cache.ErrFull, "Set", "")
	for _, name := range files[2:] {
		ok(t, os.Remove(name))
	}
	r := must(c.Store().Check(ctx, nil))(t)
	if !r.OK() {
		t.Errorf("problems: %+v", r.Problems)
	}
	ok(t, c.Close())
	clean(t, dir)
}
