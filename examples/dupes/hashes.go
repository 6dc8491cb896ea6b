package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/memo"
)

// settled is the age from which a modification time tells whether a file has
// changed. Until then the file may be written again without another time: the
// coarsest clock, that of FAT, ticks every two seconds.
const settled = 3 * time.Second

// large is the size from which copies that run at once do not read the same
// file: one does and the others wait for the hash. To agree on that takes longer
// than to read a small file.
const large = 1 << 20

// fileID is what a file's hash is kept under. It is the key of the store, as
// text: codec.Default takes MarshalText.
type fileID struct {
	path    string // absolute
	size    int64
	modTime time.Time
}

// MarshalText writes the path quoted, since a path may be any bytes and a key
// that is text should be UTF-8.
func (id fileID) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%q %d %d.%09d", id.path, id.size, id.modTime.Unix(), id.modTime.Nanosecond()), nil
}

func (id *fileID) UnmarshalText(text []byte) error {
	var sec, nsec int64
	_, err := fmt.Sscanf(string(text), "%q %d %d.%d", &id.path, &id.size, &sec, &nsec)
	id.modTime = time.Unix(sec, nsec)
	return err
}

// sum is the hash of a file's content, stored and printed as hexadecimal text.
type sum [sha256.Size]byte

func (s sum) MarshalText() ([]byte, error) {
	return hex.AppendEncode(nil, s[:]), nil
}

func (s *sum) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("a hash of %d characters", len(text))
	}
	_, err := hex.Decode(s[:], text)
	return err
}

// hashes is the memory of all hashes that were ever computed with a store.
type hashes struct {
	dir    string
	ofFile *cache.Cache[fileID, sum]
	ofBig  *memo.Memo[fileID, sum] // of large files

	misses atomic.Int64 // files that were read
	read   atomic.Int64 // bytes of them

	reading atomic.Int64 // bytes so far of files that are being read
}

func openHashes(ctx context.Context, dir string) (*hashes, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	h := &hashes{dir: dir}
	h.ofFile, err = cache.Open(ctx, dir, &cache.Options[fileID, sum]{
		Policy:    cache.LeastRecentlyUsed, // files that are gone are forgotten first
		SizeLimit: 256 << 20,               // about half a million hashes
	})
	if err != nil {
		return nil, err
	}
	h.ofBig, err = memo.New(ctx, h.ofFile.Store(), "sha256", h.compute, &memo.Options[fileID, sum]{
		Policy:    cache.LeastRecentlyUsed,
		SizeLimit: 64 << 20,
	})
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *hashes) Close() error { return h.ofFile.Close() }

// of returns the hash of a file, from the store or by reading the file. The
// error is a *fileError, or else one of the store or of ctx.
func (h *hashes) of(ctx context.Context, id fileID) (sum, error) {
	switch {
	case time.Since(id.modTime) < settled:
		return h.compute(ctx, id)
	case id.size >= large:
		return h.ofBig.Call(ctx, id)
	}
	s, ok, err := h.ofFile.Get(ctx, id)
	if err != nil {
		return s, err
	}
	if ok {
		return s, nil
	}
	if s, err = h.compute(ctx, id); err != nil {
		return s, err
	}
	return s, h.ofFile.Set(ctx, id, s)
}

func (h *hashes) compute(ctx context.Context, id fileID) (sum, error) {
	s, err := hashFile(ctx, id, &h.reading)
	if err == nil {
		h.misses.Add(1)
		h.read.Add(id.size)
	}
	return s, err
}

// storeStats is what the store takes on disk.
type storeStats struct {
	Dir    string `json:"dir"`
	Volume int64  `json:"volume"`
}

func (h *hashes) volume(ctx context.Context) (storeStats, error) {
	v, err := h.ofFile.Store().Volume(ctx)
	return storeStats{Dir: h.dir, Volume: v.Total}, err
}
