package main

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// search is one search for duplicates.
type search struct {
	hashes   *hashes
	progress *progress

	found   atomic.Int64 // files so far
	leftOut atomic.Int64
	hashed  atomic.Int64 // files whose hash is known
	done    counts
}

// counts is what a search did.
type counts struct {
	Files     int64 `json:"files"`
	Empty     int64 `json:"empty"`
	Compared  int64 `json:"compared"`
	LeftOut   int64 `json:"left_out"`
	Hits      int64 `json:"hits"`
	Misses    int64 `json:"misses"`
	BytesRead int64 `json:"bytes_read"`
}

func (s *search) counts() counts {
	c := s.done
	c.LeftOut = s.leftOut.Load()
	c.Misses, c.BytesRead = s.hashes.misses.Load(), s.hashes.read.Load()
	c.Hits = s.hashed.Load() - c.Misses
	return c
}

// run returns the duplicates under the roots.
func (s *search) run(ctx context.Context, roots []string) ([]group, error) {
	stop := s.progress.walking(&s.found)
	files, err := s.walk(ctx, roots)
	stop()
	if err != nil {
		return nil, err
	}
	s.done.Files = int64(len(files))
	for _, f := range files {
		if f.size == 0 {
			s.done.Empty++
		}
	}
	files = candidates(withoutLinks(files))
	s.done.Compared = int64(len(files))
	sums, err := s.hash(ctx, files)
	if err != nil {
		return nil, err
	}
	return groups(files, sums), nil
}

// leaveOut reports a file that cannot be compared.
func (s *search) leaveOut(err error) {
	s.leftOut.Add(1)
	s.progress.println("dupes: left out:", message(err))
}

// hash returns the hashes of files by path, without those that were left out.
func (s *search) hash(ctx context.Context, files []file) (map[string]sum, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var total int64
	for _, f := range files {
		total += f.size
	}
	var doneFiles, doneBytes atomic.Int64
	bytes := func() int64 { return doneBytes.Load() + s.hashes.reading.Load() }
	defer s.progress.hashing(&doneFiles, int64(len(files)), bytes, total)()

	// A worker takes the next file, in an order that differs between processes.
	order := rand.Perm(len(files))
	var next atomic.Int64
	var mu sync.Mutex
	sums := make(map[string]sum, len(files))
	var workers sync.WaitGroup
	for range max(4, 2*runtime.GOMAXPROCS(0)) { // more than processors: some wait for the disk
		workers.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(files)) {
					return
				}
				f := files[order[i]]
				v, err := s.hashes.of(ctx, f.fileID)
				var bad *fileError
				switch {
				case err == nil:
					s.hashed.Add(1)
					mu.Lock()
					sums[f.path] = v
					mu.Unlock()
				case errors.Is(err, fs.ErrNotExist): // removed since
				case errors.As(err, &bad):
					s.leaveOut(err)
				default:
					cancel(err)
					return
				}
				doneFiles.Add(1)
				doneBytes.Add(f.size)
			}
		})
	}
	workers.Wait()
	return sums, context.Cause(ctx)
}
