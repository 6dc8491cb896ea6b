package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// patience is how long one write waits for others. The go command waits with it.
var patience = 10 * time.Second

// store is the cache in a directory: bodies under the IDs of actions, each with its
// OutputID as tag. Bodies are files, whatever their size, so that a path to one costs
// a hard link and not a copy; only empty ones are not.
type store struct {
	outputs *cache.Cache[[]byte, []byte]
	counts  *cache.Cache[string, int64] // what all runs have counted
}

// openStore opens the cache of dir, and makes it if need be. A size of 0 leaves the
// limit as it is.
func openStore(ctx context.Context, dir string, size int64, say *complaints) (*store, error) {
	if err := makeFolder(dir, "store"); err != nil {
		return nil, err
	}
	var s store
	var err error
	s.outputs, err = cache.Open(ctx, filepath.Join(dir, "store"), &cache.Options[[]byte, []byte]{
		Policy:    cache.LeastRecentlyUsed,
		SizeLimit: size,
		Store: &cache.StoreOptions{
			Timeout: patience,
			Logger:  say.logger(),
			SQLite:  &sqlite.Options{NearCache: -1}, // a run asks for each action once
		},
	})
	if err != nil {
		return nil, err
	}
	s.counts, err = cache.New(ctx, s.outputs.Store(), "counts", &cache.Options[string, int64]{Persistent: true})
	if err != nil {
		return nil, errors.Join(err, s.outputs.Close())
	}
	return &s, nil
}

// The counts.
const (
	hits   = "hits"
	misses = "misses"
	puts   = "puts"
)

func printStats(ctx context.Context, w io.Writer, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "store", "cache.db")); err != nil {
		return fmt.Errorf("there is no cache yet: %w", err)
	}
	s, err := openStore(ctx, dir, 0, &complaints{w: io.Discard})
	if err != nil {
		return err
	}
	defer s.outputs.Close()
	n, err := s.outputs.Len(ctx)
	if err != nil {
		return err
	}
	volume, err := s.outputs.Store().Volume(ctx)
	if err != nil {
		return err
	}
	var counts [3]int64
	for i, name := range []string{hits, misses, puts} {
		if counts[i], _, err = s.counts.Get(ctx, name); err != nil {
			return err
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "directory\t%s\n", dir)
	fmt.Fprintf(t, "entries\t%s\n", number(n))
	fmt.Fprintf(t, "size\t%s of %s\n", byteSize(volume.Total), byteSize(s.outputs.Settings().SizeLimit))
	fmt.Fprintf(t, "hits\t%s\n", number(counts[0]))
	fmt.Fprintf(t, "misses\t%s\n", number(counts[1]))
	fmt.Fprintf(t, "puts\t%s\n", number(counts[2]))
	if err := t.Flush(); err != nil {
		return err
	}
	return s.outputs.Close()
}

// builds is what a run of the go command gets and puts.
type builds struct {
	say   *complaints
	paths *paths
	ready chan struct{} // closed when the cache is open, or cannot be
	swept chan struct{}
	store *store // nil if the cache cannot be used

	stuck              atomic.Bool // another writer kept a put waiting too long: no more of them
	hits, misses, puts atomic.Int64
}

// newBuilds begins to open the cache.
func newBuilds(dir string, size int64, say *complaints) *builds {
	b := &builds{say: say, paths: &paths{}, ready: make(chan struct{}), swept: make(chan struct{})}
	go func() {
		defer close(b.swept)
		ctx := context.Background()
		err := b.open(ctx, dir, size)
		if err != nil {
			say.about("the cache cannot be used", err)
		}
		close(b.ready)
		if err == nil {
			if err := sweep(ctx, b.store.outputs.Store(), filepath.Join(dir, "runs")); err != nil {
				say.about("what ended runs have left cannot be removed", err)
			}
		}
	}()
	return b
}

func (b *builds) open(ctx context.Context, dir string, size int64) error {
	s, err := openStore(ctx, dir, size, b.say)
	if err != nil {
		return err
	}
	session, _, err := s.outputs.Store().Session(ctx)
	if err == nil {
		err = makeFolder(dir, "runs")
	}
	if err != nil {
		return errors.Join(err, s.outputs.Close())
	}
	b.store = s
	b.paths.dir = filepath.Join(dir, "runs", session)
	return nil
}

// close ends the run. Its paths stay for a while if they are kept.
func (b *builds) close(ctx context.Context, keep bool) {
	<-b.swept
	if err := b.paths.close(keep); err != nil {
		b.say.about("the paths of this run stay until another one removes them", err)
	}
	if b.store == nil {
		return
	}
	if err := b.count(ctx); err != nil {
		b.say.about("hits and misses of this run are not counted", err)
	}
	if err := b.store.outputs.Close(); err != nil {
		b.say.about("the cache cannot be closed", err)
	}
}

func (b *builds) count(ctx context.Context) error {
	return b.store.counts.Update(ctx, func(tx *cache.Tx) error {
		for name, n := range map[string]*atomic.Int64{hits: &b.hits, misses: &b.misses, puts: &b.puts} {
			if n.Load() == 0 {
				continue
			}
			if _, err := cache.Incr(ctx, b.store.counts.In(tx), name, n.Load()); err != nil {
				return err
			}
		}
		return nil
	})
}

// get answers a get. Whatever is wrong is a miss: the go command can build it.
func (b *builds) get(ctx context.Context, action []byte) response {
	<-b.ready
	if b.store == nil {
		return response{Miss: true}
	}
	res, err := b.find(ctx, action)
	switch {
	case err != nil:
		b.say.about("what was stored cannot be used, and is built again", err)
		fallthrough
	case res.DiskPath == "":
		b.misses.Add(1)
		return response{Miss: true}
	}
	b.hits.Add(1)
	return res
}

// find returns the response with the output of an action; it has no DiskPath if there
// is none.
func (b *builds) find(ctx context.Context, action []byte) (res response, err error) {
	f, ok, err := b.store.outputs.OpenValue(ctx, action)
	if err != nil || !ok {
		return res, err
	}
	defer f.Close()
	output, stored := f.Tag.Blob(), f.Stored
	path, linked, err := b.paths.to(f)
	if err != nil {
		return res, err
	}
	if linked {
		err := untouched(path, output, stored)
		if errors.Is(err, errTouched) {
			_, err2 := b.store.outputs.Delete(ctx, action)
			err = errors.Join(err, err2)
		}
		if err != nil {
			return res, err
		}
	}
	return response{OutputID: output, Size: f.Size, Time: &stored, DiskPath: path}, nil
}

var errTouched = errors.New("another program has changed a file of the cache")

// untouched sees that a file is what was stored. Go build with -o may move a path
// that it was given to where the user wants it, who then has a link to the file in
// the cache, and may write to it. A copy of the cache that did not keep times is
// read once more: an OutputID is the SHA-256 of the output.
func untouched(path string, output []byte, stored time.Time) error {
	info, err := os.Stat(path)
	if err != nil || !info.ModTime().After(stored.Add(2*time.Second)) {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), output) {
		return errTouched
	}
	return nil
}

// put answers a put. What cannot be stored has a path nevertheless, for this run.
func (b *builds) put(ctx context.Context, req request) response {
	<-b.ready
	if b.store != nil && !b.stuck.Load() {
		path, err := b.keep(ctx, req)
		if err == nil {
			return response{DiskPath: path}
		}
		b.say.about("what is built cannot be stored", err)
		if errors.Is(err, cache.ErrTimeout) {
			b.stuck.Store(true)
		}
	}
	path, err := b.paths.copy(bytes.NewReader(req.body))
	if err != nil {
		return response{Err: err.Error()}
	}
	return response{DiskPath: path}
}

// keep stores an output and returns a path to it.
func (b *builds) keep(ctx context.Context, req request) (path string, err error) {
	c, tag := b.store.outputs, cache.Tag(req.OutputID)
	if len(req.body) > 0 {
		err = c.SetFrom(ctx, req.ActionID, bytes.NewReader(req.body), tag)
	} else {
		err = c.Set(ctx, req.ActionID, []byte{}, tag)
	}
	if err != nil {
		return "", err
	}
	b.puts.Add(1)
	f, ok, err := c.OpenValue(ctx, req.ActionID)
	if err != nil {
		return "", err
	}
	if ok {
		defer f.Close()
		if bytes.Equal(f.Tag.Blob(), req.OutputID) {
			path, _, err = b.paths.to(f)
			return path, err
		}
	}
	// Evicted already, or another process has built the same otherwise.
	return b.paths.copy(bytes.NewReader(req.body))
}
