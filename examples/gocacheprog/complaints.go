package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/go-diskcache/diskcache/cache"
)

// complaints are the lines on standard error, one for each kind of trouble: it is
// the go command's, and a build has thousands of requests.
type complaints struct {
	w    io.Writer
	mu   sync.Mutex
	said map[string]bool
}

// kinds are the errors of a store that concern more than one request.
var kinds = []error{
	cache.ErrFull, cache.ErrTooLarge, cache.ErrTimeout, cache.ErrReadOnly, cache.ErrPermission,
	cache.ErrNotStore, cache.ErrCorrupt, cache.ErrClosed, errTouched,
}

// about says what is wrong, unless something of that kind has been said.
func (c *complaints) about(what string, err error) {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			c.once(kind.Error(), fmt.Sprintf("%s: %v", what, err))
			return
		}
	}
	c.once(what, fmt.Sprintf("%s: %v", what, err))
}

func (c *complaints) once(kind, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said[kind] {
		return
	}
	if c.said == nil {
		c.said = map[string]bool{}
	}
	c.said[kind] = true
	fmt.Fprintln(c.w, "gocacheprog:", strings.ReplaceAll(text, "\n", "; "))
}

// logger returns what the store tells, of which warnings and errors are passed on.
func (c *complaints) logger() *slog.Logger { return slog.New(storeLog{c}) }

type storeLog struct{ say *complaints }

func (l storeLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l storeLog) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l storeLog) WithGroup(string) slog.Handler                    { return l }

func (l storeLog) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(", %s: %v", a.Key, a.Value)
		return true
	})
	l.say.once(r.Message, text)
	return nil
}
