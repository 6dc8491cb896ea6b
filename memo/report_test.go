package memo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/memo"
)

// told is what OnError and the logger are told.
type told struct {
	mu   sync.Mutex
	errs []error
	log  bytes.Buffer
}

func (o *told) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(b)
}

func (o *told) store(e *memory.Data, now func() time.Time) *cache.Store {
	return cache.NewStore(e.Open(&memory.Options{Timeout: time.Millisecond}),
		&cache.StoreOptions{Logger: slog.New(slog.NewTextHandler(o, nil)), Now: now})
}

func (o *told) onError(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.errs = append(o.errs, err)
}

// once checks that one error was told since the last call, logged and counted,
// and returns it.
func (o *told) once(t *testing.T, op string, failures int64, n int64) error {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.errs) != 1 {
		t.Fatalf("%d errors were told, want 1: %v", len(o.errs), o.errs)
	}
	err := o.errs[0]
	var e *cache.Error
	if !errors.As(err, &e) || e.Op != op || e.Collection != "memo/m" {
		t.Errorf("told %v, want the operation %q", err, op)
	}
	log := o.log.String()
	if !strings.Contains(log, "level=WARN") || !strings.Contains(log, "memo=m") {
		t.Errorf("logged %q", log)
	}
	for _, text := range []string{log, err.Error()} {
		if strings.Contains(text, "secret") {
			t.Errorf("%q has the argument", text)
		}
	}
	equal(t, failures, n)
	o.errs = nil
	o.log.Reset()
	return err
}

func reported[A, R any](t *testing.T, m *memo.Memo[A, R]) int64 {
	t.Helper()
	s, err := m.Stats(t.Context())
	ok(t, err)
	return s.Reported
}

// What fails in the background is told, and the old result stays.
func TestBackgroundError(t *testing.T) {
	failed := errors.New("failed")
	var fails func() error // of the function
	for name, test := range map[string]struct {
		fail  func() error
		panic any
	}{
		"error":  {fail: func() error { return failed }},
		"panic":  {fail: func() error { panic(failed) }, panic: failed},
		"Goexit": {fail: func() error { runtime.Goexit(); return nil }, panic: memo.ErrGoexit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var o told
				st := o.store(&memory.Data{}, nil)
				defer st.Close()
				fails = func() error { return nil }
				m := newMemo(t, st, func(context.Context, string) (int, error) { return 1, fails() },
					&memo.Options[string, int]{RefreshAfter: time.Minute, OnError: o.onError})
				for range 2 {
					_, err := m.Call(t.Context(), "secret")
					ok(t, err)
				}
				fails = test.fail
				for n := range int64(3) {
					time.Sleep(time.Minute)
					v, err := m.Call(t.Context(), "secret")
					ok(t, err)
					equal(t, v, 1)
					synctest.Wait()
					err = o.once(t, "background refresh", reported(t, m), n+1)
					var p *memo.PanicError
					if test.panic == nil {
						is(t, err, failed)
					} else if !errors.As(err, &p) || p.Value != test.panic {
						t.Errorf("told %v, want a panic with %v", err, test.panic)
					}
				}
				fails = func() error { return nil }
				v, err := m.Call(t.Context(), "secret")
				ok(t, err)
				equal(t, v, 1)
				synctest.Wait()
				equal(t, len(o.errs), 0)
			})
		})
	}
}

// A codec that panics in the background, and a store that is busy.
func TestBackgroundStoreError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o told
		var data memory.Data
		st, busy := o.store(&data, nil), openMemory(t, &data)
		defer st.Close()
		values := &breakable{}
		m := newMemo(t, st, func(context.Context, string) (string, error) { return "secret", nil },
			&memo.Options[string, string]{RefreshAfter: time.Minute, OnError: o.onError, Values: values})
		call := func() {
			v, err := m.Call(t.Context(), "secret")
			ok(t, err)
			equal(t, v, "secret")
		}
		call()
		time.Sleep(time.Minute)
		values.broken = errors.New("broken codec")
		call()
		synctest.Wait()
		var p *memo.PanicError
		if err := o.once(t, "background refresh", reported(t, m), 1); !errors.As(err, &p) || p.Value != values.broken {
			t.Errorf("told %v", err)
		}
		values.broken = nil

		ok(t, busy.Update(t.Context(), func(*cache.Tx) error {
			call()
			time.Sleep(time.Second)
			is(t, o.once(t, "background refresh", reported(t, m), 2), cache.ErrTimeout)
			return nil
		}))

		// What fails since the store is closed is nobody's error.
		ok(t, busy.Update(t.Context(), func(*cache.Tx) error {
			call()
			go st.Close()
			time.Sleep(time.Second)
			return nil
		}))
		synctest.Wait()
		equal(t, len(o.errs), 0)
	})
}

// breakable is a codec that panics when it is broken.
type breakable struct {
	codec.Codec[string]
	broken error
}

func (b *breakable) Name() string { return "string" }

func (b *breakable) Encode(s string) (codec.Value, error) {
	if b.broken != nil {
		panic(b.broken)
	}
	return codec.String[string]().Encode(s)
}

func (b *breakable) Decode(v codec.Value) (string, error) { return codec.String[string]().Decode(v) }

// An error in whose place callers get something else is told.
func TestSwallowedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o told
		var data memory.Data
		st, busy := o.store(&data, nil), openMemory(t, &data)
		defer st.Close()
		var c counted
		opts := memo.Options[string, int64]{TTL: time.Minute, StaleIfError: time.Hour, OnError: o.onError}
		m := newMemo(t, st, c.call, &opts)
		calls(t, m, "secret", 1, &c, 1)
		time.Sleep(time.Minute)
		failed := errors.New("failed")
		c.failWith(failed)
		calls(t, m, "secret", 1, &c, 2)
		is(t, o.once(t, "Call", reported(t, m), 1), failed)
		_, err := m.Refresh(t.Context(), "secret")
		ok(t, err)
		is(t, o.once(t, "Refresh", reported(t, m), 2), failed)
		_, err = m.Call(t.Context(), "another")
		is(t, err, failed) // a caller got it
		equal(t, len(o.errs), 0)
		c.failWith(nil)

		lenient := newMemo(t, st, c.call, &memo.Options[string, int64]{CallOnStoreError: true, OnError: o.onError})
		ok(t, busy.Update(t.Context(), func(*cache.Tx) error {
			n := c.n.Load()
			calls(t, lenient, "secret2", n+1, &c, n+1)
			is(t, o.once(t, "Call", reported(t, lenient), 1), cache.ErrTimeout)
			return nil
		}))
		var during func()
		late := newMemo(t, st, func(ctx context.Context, arg string) (int64, error) {
			during()
			return c.call(ctx, arg)
		}, &memo.Options[string, int64]{CallOnStoreError: true, OnError: o.onError, CacheError: func(error) time.Duration { return time.Minute }})
		// The store is busy when the result, or the error, is to be stored.
		release, released := make(chan bool), make(chan error)
		during = func() {
			held := make(chan bool)
			go func() {
				released <- busy.Update(context.Background(), func(*cache.Tx) error {
					close(held)
					<-release
					return nil
				})
			}()
			<-held
		}
		for n, fail := range []error{nil, failed} {
			c.failWith(fail)
			_, err = late.Call(t.Context(), fmt.Sprint("secret3", n))
			if fail == nil {
				ok(t, err)
			} else {
				is(t, err, fail)
			}
			is(t, o.once(t, "Call", reported(t, late), int64(n)+1), cache.ErrTimeout)
			release <- true
			ok(t, <-released)
		}
	})
}

// A panic of OnError ends nothing but OnError.
func TestOnErrorPanics(t *testing.T) {
	for _, end := range []func(){func() { panic("of OnError") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			var o told
			st := o.store(&memory.Data{}, nil)
			defer st.Close()
			var c counted
			m := newMemo(t, st, c.call, &memo.Options[string, int64]{
				TTL: time.Hour, RefreshAfter: time.Minute, StaleIfError: time.Hour,
				OnError: func(err error) {
					o.onError(err)
					end()
				},
			})
			calls(t, m, "secret", 1, &c, 1)
			c.failWith(errors.New("failed"))
			time.Sleep(time.Minute)
			calls(t, m, "secret", 1, &c, 1)
			synctest.Wait()
			equal(t, c.n.Load(), 2)
			if log := o.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "OnError") {
				t.Errorf("logged %q", log)
			}
			o.once(t, "background refresh", reported(t, m), 1)
			time.Sleep(time.Hour)
			calls(t, m, "secret", 1, &c, 3)
			o.once(t, "Call", reported(t, m), 2)
		})
	}
}

// A result that is damaged is computed anew, once, and replaced.
func TestDamagedResult(t *testing.T) {
	page := strings.Repeat("page ", 10_000)
	for what, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"shorter": func(path string) error { return os.Truncate(path, 40_000) },
		"longer":  func(path string) error { return os.Truncate(path, 60_000) },
		"a folder": func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
		"undecodable": func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte{0xff}, len(page)), 0o600)
		},
	} {
		for _, lenient := range []bool{false, true} {
			for _, op := range []string{"Call", "Peek", "error"} {
				if what == "undecodable" && op == "error" {
					continue // any bytes are a message
				}
				t.Run(fmt.Sprint(what, lenient, op), func(t *testing.T) {
					t.Parallel()
					var o told
					dir := t.TempDir()
					st, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{Logger: slog.New(slog.NewTextHandler(&o, nil))})
					ok(t, err)
					defer func() { ok(t, st.Close()) }()
					calls, failed := 0, error(nil)
					m := newMemo(t, st, func(context.Context, string) (string, error) {
						calls++
						return page, failed
					}, &memo.Options[string, string]{
						CallOnStoreError: lenient, OnError: o.onError, Values: codec.JSON[string](),
						CacheError: func(error) time.Duration { return time.Hour },
					})
					if op == "error" {
						failed = errors.New(page)
					}
					_, err = m.Call(t.Context(), "secret")
					is(t, err, failed)
					failed = nil
					n := 0
					ok(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
						if err == nil && strings.HasSuffix(path, ".val") && !strings.Contains(path, "-sessions") && !e.IsDir() {
							n++
							err = damage(path)
						}
						return err
					}))
					equal(t, n, 1)

					failures := int64(0)
					reported := func(op string) {
						t.Helper()
						if what != "undecodable" { // that is as if it were missing
							failures++
							o.once(t, op, reported(t, m), failures)
						}
					}
					if op == "Peek" {
						_, found, err := m.Peek(t.Context(), "secret")
						ok(t, err)
						equal(t, found, false)
						reported("Peek")
					}
					for range 3 {
						v, err := m.Call(t.Context(), "secret")
						ok(t, err)
						equal(t, v, page)
					}
					equal(t, calls, 2)
					reported("Call")
					v, found, err := m.Peek(t.Context(), "secret")
					ok(t, err)
					equal(t, found, true)
					equal(t, v, page)
				})
			}
		}
	}
}

// An error has the user's operation and the memo, once. One of the function keeps
// what it says.
func TestErrorNames(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	st := cache.NewStore((&memory.Data{}).Open(nil), &cache.StoreOptions{Now: func() time.Time { return now }})
	inner := &cache.Error{Op: "Get", Collection: "cache/users", Err: cache.ErrCorrupt}
	var o told
	fails := false
	m := newMemo(t, st, func(context.Context, string) (int, error) {
		if fails {
			return 0, inner
		}
		return 1, nil
	}, &memo.Options[string, int]{TTL: time.Minute, StaleIfError: time.Hour, OnError: o.onError})
	_, err := m.Call(t.Context(), "a")
	ok(t, err)
	fails = true
	now = now.Add(2 * time.Minute)
	_, err = m.Call(t.Context(), "b")
	if err != error(inner) {
		t.Errorf("an error of the function comes as %v", err)
	}
	_, err = m.Call(t.Context(), "a")
	ok(t, err)
	if got, want := o.errs[0].Error(), `cache: Call in "memo/m": `+inner.Error(); !strings.HasPrefix(got, want) {
		t.Errorf("told %s, want %s", got, want)
	}
	ok(t, st.Close())
	_, call := m.Call(t.Context(), "c")
	_, forget := m.Forget(t.Context(), "c")
	_, removed := m.Clear(t.Context())
	_, evicted := m.Evict(t.Context(), cache.Tag("tag"))
	_, _, peek := m.Peek(t.Context(), "c")
	for op, err := range map[string]error{"Call": call, "Forget": forget, "Clear": removed, "Evict": evicted, "Peek": peek} {
		if got, want := err.Error(), `cache: `+op+` in "memo/m": `; !strings.HasPrefix(got, want) || strings.Count(got, "cache: ") != 1 {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
