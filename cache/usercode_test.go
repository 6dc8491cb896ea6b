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
			set(t, c, "k", "leave")
			pushed := must(c.Queue("q").Push(ctx, "leave"))(t)
			must(skip.Queue("q").Push(ctx, "leave"))(t)
			for name, fn := range map[string]func(){
				"Pop":            func() { c.Pop(ctx, "k") },
				"Pull":           func() { c.Queue("q").Pull(ctx) },
				"Pull, skipping": func() { skip.Queue("q").Pull(ctx) },
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
				var beside sync.WaitGroup
				stop := make(chan struct{})
				for i := range 4 {
					beside.Go(func() {
						for k := string(rune('a' + i)); ; {
							select {
							case <-stop:
								return
							default:
							}
							if err := c.Set(ctx, k, "v"); err != nil {
								t.Errorf("%s with %s: Set beside: %v", name, how, err)
								return
							}
						}
					})
				}
				returned, done := false, make(chan struct{})
				go func() {
					defer close(done)
					defer func() { recover() }()
					fn()
					returned = true
				}()
				<-done
				close(stop)
				beside.Wait()
				if returned {
					t.Errorf("%s with %s has returned", name, how)
				}
				set(t, c, "other", "v")
				equal(t, must(c.Contains(ctx, "k"))(t), true)
				equal(t, must(c.Contains(ctx, pushed))(t), true)
				length(t, skip, 1)
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
