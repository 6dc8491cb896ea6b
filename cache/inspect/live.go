package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

const (
	maxFeeds    = 32                     // readers of the live feed at once
	maxWatches  = 256                    // collections that a reader is told of
	feedRest    = 250 * time.Millisecond // between two events, so that a busy store does not flood a browser
	feedLook    = 5 * time.Second        // new collections are looked for so often
	feedTimeout = 15 * time.Second       // for a reader that does not read
)

// live is the page of the feed; its script reads events.
func (h *handler) live(r *http.Request) (any, error) {
	return h.collections(r)
}

// change is what an event tells of a collection.
type change struct {
	Name    string `json:"name"`
	Label   string `json:"label"`
	Entries int64  `json:"entries"`
	Inner   bool   `json:"inner"`
}

// watcher collects which collections have changed.
type watcher struct {
	mu      sync.Mutex
	changed map[string]bool
	wake    chan struct{}
	watched map[string]func()
	done    sync.WaitGroup
}

// watch watches a collection until stop is called.
func (w *watcher) watch(c *rawCache) error {
	ch, stop, err := c.Watch()
	if err != nil {
		return err
	}
	end := make(chan struct{})
	w.watched[c.Name()] = func() { close(end); stop() }
	w.done.Go(func() {
		for {
			select {
			case _, ok := <-ch:
				w.mu.Lock()
				w.changed[c.Name()] = true
				w.mu.Unlock()
				select {
				case w.wake <- struct{}{}:
				default:
				}
				if !ok {
					return
				}
			case <-end:
				return
			}
		}
	})
	return nil
}

// take returns what has changed since the last call.
func (w *watcher) take() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.changed
	w.changed = map[string]bool{}
	return all
}

// events is a stream of server-sent events: that something was committed, by any
// process, and the collections whose numbers of entries have changed since the last one.
// What a commit has changed is not known better: a watch may be woken by a commit to
// another collection.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	select {
	case h.feeds <- struct{}{}:
		defer func() { <-h.feeds }()
	default:
		http.Error(w, "Too many are watching.", http.StatusServiceUnavailable)
		return
	}
	ctx := r.Context()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(event string, data any) bool {
		text, err := json.Marshal(data)
		if err == nil {
			_ = control.SetWriteDeadline(time.Now().Add(feedTimeout)) // not all servers have one
			_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text)
		}
		if err == nil {
			err = control.Flush()
		}
		return err == nil
	}
	watch := &watcher{changed: map[string]bool{}, wake: make(chan struct{}, 1), watched: map[string]func(){}}
	defer func() {
		for _, stop := range watch.watched {
			stop()
		}
		watch.done.Wait()
	}()
	told := map[string]int64{} // entries
	look := func() error {
		names, err := h.st.Collections(ctx)
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for _, name := range names {
			there[name] = true
			if watch.watched[name] != nil || len(watch.watched) == maxWatches {
				continue
			}
			c, err := cache.NewRaw(ctx, h.st, name, nil)
			if err == nil {
				err = watch.watch(c)
			}
			if err != nil {
				continue // dropped meanwhile; if the store is closed, Collections says so
			}
			watch.mu.Lock()
			watch.changed[name] = true // what it has now
			watch.mu.Unlock()
		}
		for name, stop := range watch.watched {
			if !there[name] {
				stop()
				delete(watch.watched, name)
				delete(told, name)
				send("gone", change{Name: ref(name), Label: labelOf(name)})
			}
		}
		return nil
	}
	tick := time.NewTicker(feedLook)
	defer tick.Stop()
	err := look()
	for first, woken := true, true; err == nil; first = false {
		var all []change
		for name := range watch.take() {
			s, err := h.summary(ctx, name)
			if n, known := told[name]; err == nil && (!known || n != s.Entries) {
				told[name] = s.Entries
				all = append(all, change{ref(name), s.Label, s.Entries, s.Inner})
			}
		}
		word := "change"
		if first {
			word = "begin"
		}
		if (woken || len(all) > 0) && !send(word, all) {
			return
		}
		if _, err = h.st.Collections(ctx); err != nil {
			break
		}
		rest := time.NewTimer(feedRest)
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-watch.wake:
			woken = true
		case <-tick.C:
			woken = false
			err = look()
			if err == nil && !send("alive", nil) {
				return
			}
		}
	}
	if ctx.Err() == nil {
		_, text := h.failure(r, err)
		send("closed", text)
	}
}
