//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
	"github.com/go-diskcache/diskcache/memo"
	dsync "github.com/go-diskcache/diskcache/sync"
)

const (
	accounts = 20
	balance  = 1000 // of each account at the beginning
	ownFiles = 4    // keys of each process in files
	pages    = 3
)

// job is an item of the deque: the nth of a process. Every so often one is so
// large that it is in a file.
type job struct {
	From    string
	N       int64
	Padding string
}

// tables are the collections that all processes share.
type tables struct {
	dir string
	st  *cache.Store

	// counts has a count for each kind of operation of each process, as in
	// "push go3", which the operation's transaction increases; and "locked",
	// which only holders of the lock change, by reading, waiting and writing.
	counts *index.Index[string, int64]
	// shared is the default collection, with a count for each process, Python's
	// included, and "total".
	shared   *index.Index[string, int64]
	accounts *index.Index[int64, int64] // the sum stays the same
	files    *index.Index[string, string]
	jobs     *deque.Deque[job]
	churn    *cache.Cache[int64, string] // evicts
	lock     *dsync.Lock
	pages    *memo.Memo[string, string]
}

func open(ctx context.Context, dir string) (*tables, error) {
	st, err := cache.OpenStore(ctx, filepath.Join(dir, "store"), nil)
	if err != nil {
		return nil, err
	}
	t := &tables{dir: dir, st: st}
	var errs [8]error
	t.counts, errs[0] = index.New[string, int64](ctx, st, "counts", nil)
	t.shared, errs[1] = index.New[string, int64](ctx, st, "", nil)
	t.accounts, errs[2] = index.New[int64, int64](ctx, st, "accounts", nil)
	t.files, errs[3] = index.New[string, string](ctx, st, "files", nil)
	t.jobs, errs[4] = deque.New[job](ctx, st, "jobs", nil)
	t.churn, errs[5] = cache.New(ctx, st, "churn", &cache.Options[int64, string]{
		SizeLimit: 8 << 20, Policy: cache.LeastRecentlyUsed, Statistics: true,
	})
	t.lock, errs[6] = dsync.NewLock(ctx, st, "lock", nil)
	t.pages, errs[7] = memo.New(ctx, st, "pages", t.page, &memo.Options[string, string]{TTL: 50 * time.Millisecond})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return t, nil
}

// page makes a page, which nobody else may be doing.
func (t *tables) page(_ context.Context, name string) (string, error) {
	leave, err := t.enter("page " + name)
	if err != nil {
		return "", err
	}
	time.Sleep(time.Millisecond)
	return name + " made", leave()
}

// add increases a count in a transaction and returns it.
func (t *tables) add(ctx context.Context, tx *cache.Tx, key string, by int64) (int64, error) {
	return cache.Incr(ctx, t.counts.In(tx).Cache(), key, by)
}

// text is the nth value of a key: of one length or another, and not to be taken
// for another one.
func text(key string, n int64) string {
	length := 100
	if n%3 == 0 {
		length = 33_000 + int(n%10)*1000 // in a file
	}
	return fmt.Sprintf("%s %d %s", key, n, strings.Repeat(string(rune('a'+n%26)), length))
}

// number returns n of a value that text has made, and an error of any other.
func number(key, value string) (int64, error) {
	f := strings.SplitN(value, " ", 3)
	if len(f) == 3 && f[0] == key {
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && text(key, n) == value {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s has a value of %d bytes that nobody has written: %.40q", key, len(value), value)
}

func fileKey(name string, i int) string { return fmt.Sprintf("%s/%d", name, i) }
