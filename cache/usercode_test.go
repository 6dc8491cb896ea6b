package cache_test

import (
	"context"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// leaving is a codec that does not return when it decodes a value. Its name is
// that of one which always does.
type leaving struct {
	codec.Codec[string]
	do func()
}

func (c leaving) Decode(v codec.Value) (string, error) {
	if v.Text() == "leave" {
		c.do()
	}
	return c.Codec.Decode(v)
}

// leavingInt is the same for numbers, and leaves when it decodes 7 or encodes 9.
type leavingInt struct {
	codec.Codec[int64]
	do func()
}

func (c leavingInt) Decode(v codec.Value) (int64, error) {
	if v.Integer() == 7 {
		c.do()
	}
	return c.Codec.Decode(v)
}

func (c leavingInt) Encode(n int64) (codec.Value, error) {
	if n == 9 {
		c.do()
	}
	return c.Codec.Encode(n)
}

// A panic or a Goexit in code of the user's ends the goroutine that called, or
// is recovered there, and nothing else: not the transaction of the writers
// beside it, and no file stays.
func TestUserCodeLeaves(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		for how, do := range map[string]func(){"panic": func() { panic("user") }, "Goexit": runtime.Goexit} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := open(t, e.st, how, &cache.Options[string, string]{Values: leaving{codec.String[string](), do}})
			skip := open(t, e.st, how+"-skip", &cache.Options[string, string]{
				Values: leaving{codec.String[string](), do}, SkipUndecodable: true,
			})
			numbers := open(t, e.st, how+"-numbers", &cache.Options[string, int64]{Values: leavingInt{codec.Int[int64](), do}})
			ok(t, numbers.Set(ctx, "seven", 7))
			ok(t, numbers.Set(ctx, "eight", 8))
			set(t, c, "k", "leave")
			pushed := must(c.Queue("q").PushBack(ctx, "leave"))(t)
			must(skip.Queue("q").PushBack(ctx, "leave"))(t)
			for name, fn := range map[string]func(){
				"Pop":                func() { c.Pop(ctx, "k") },
				"PopFront":           func() { c.Queue("q").PopFront(ctx) },
				"PopFront, skipping": func() { skip.Queue("q").PopFront(ctx) },
				"Incr, decoding":     func() { cache.Incr(ctx, numbers, "seven", 2) },
				"Incr, encoding":     func() { cache.Incr(ctx, numbers, "eight", 1) },
				"Pop in Update": func() {
					e.st.Update(ctx, func(tx *cache.Tx) error {
						_, _, err := c.In(tx).Pop(ctx, "k")
						return err
					})
				},
				"SetFrom": func() {
					c.SetFrom(ctx, "k", readerFunc(func(p []byte) (int, error) {
						do()
						return len(p), nil
					}))
				},
			} {
				var beside, begun sync.WaitGroup
				stop := make(chan struct{})
				for i := range 4 {
					begun.Add(1)
					beside.Go(func() {
						for k, first := string(rune('a'+i)), true; ; first = false {
							select {
							case <-stop:
								return
							default:
							}
							if err := c.Set(ctx, k, "v"); err != nil {
								t.Errorf("%s with %s: Set beside: %v", name, how, err)
							}
							if first {
								begun.Done()
							}
						}
					})
				}
				begun.Wait()
				for range 10 { // often in the transaction of another
					returned, done := false, make(chan struct{})
					go func() {
						defer close(done)
						defer func() { recover() }()
						fn()
						returned = true
					}()
					<-done
					if returned {
						t.Errorf("%s with %s has returned", name, how)
					}
				}
				close(stop)
				beside.Wait()
				set(t, c, "other", "v")
				equal(t, must(c.Contains(ctx, "k"))(t), true)
				equal(t, must(c.Contains(ctx, pushed))(t), true)
				length(t, skip, 1)
				equal(t, must(numbers.Contains(ctx, "seven"))(t), true)
			}
		}
		if e.st.Dir() == "" {
			return
		}
		ok(t, filepath.WalkDir(e.st.Dir(), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".val") {
				t.Error("left over:", path)
			}
			return err
		}))
	})
}
