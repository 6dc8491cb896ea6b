package deque

import (
	"context"
	"sync"

	"github.com/go-diskcache/diskcache/cache"
)

// mourning waits for the ends of sessions, of which any may give something
// back. One goroutine uses it.
type mourning struct {
	st     *cache.Store
	ctx    context.Context
	cancel context.CancelFunc
	came   chan struct{} // has room for one: a session has ended
	known  map[string]bool
	all    sync.WaitGroup
}

func mourn(ctx context.Context, st *cache.Store) *mourning {
	m := &mourning{st: st, came: make(chan struct{}, 1), known: map[string]bool{}}
	m.ctx, m.cancel = context.WithCancel(ctx)
	return m
}

// await waits for the ends of sessions too.
func (m *mourning) await(sessions []string) {
	for _, session := range sessions {
		if m.known[session] {
			continue
		}
		m.known[session] = true
		m.all.Go(func() {
			if m.st.AwaitEnd(m.ctx, session) == nil {
				select {
				case m.came <- struct{}{}:
				default: // one is enough
				}
			}
		})
	}
}

func (m *mourning) stop() {
	m.cancel()
	m.all.Wait()
}
