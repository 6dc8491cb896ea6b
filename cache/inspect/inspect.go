// Package inspect is a web page that looks into a store while programs use it: its
// collections and their entries, queues with their claims, locks with who holds them,
// throttles and averagers, and a live feed of what changes. It is mounted in the
// user's own server, which decides who may see it:
//
//	mux.Handle("/inspect/", http.StripPrefix("/inspect", inspect.Handler(st, nil)))
//
// The page works without JavaScript, but for what is live, and needs no network.
// To look changes nothing in the store: nothing is counted as read, and nothing that
// has expired or is due is removed. The command in examples/diskcache serves the same
// page for a directory.
package inspect

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/go-diskcache/diskcache/cache"
)

// Options say what the page shows, and what it lets its reader do. The zero value of
// each field is its default.
type Options struct {
	// Title is shown on every page. Defaults to the name of the store's directory.
	Title string

	// ShowValues shows the values of entries, of up to 1 MiB each. Defaults to their
	// sizes only, since what is cached is often private.
	ShowValues bool

	// HideKeys hides the keys and the tags of entries as well, and the names of throttles
	// and averagers, which are keys too. Names of collections, locks and semaphores are
	// always shown.
	HideKeys bool

	// AllowWrite lets the reader of the page remove entries, end claims and break locks.
	// Each such form has a token that other sites cannot know. In a read-only store
	// there are no such forms. Defaults to a page that can only be looked at.
	AllowWrite bool

	// Hosts are the names that a request may be for, without ports; all others are
	// refused. For a server that only listens on the loopback interface these are
	// localhost, 127.0.0.1 and ::1: another site whose name leads there would read the
	// page otherwise. Defaults to all names.
	Hosts []string
}

// Handler returns the page of a store. Paths are relative, so that it can be mounted
// anywhere, below a path that ends in a slash. It may serve many requests at once, also
// while the store is used, changed by other processes, or closed: it says so then.
func Handler(st *cache.Store, o *Options) http.Handler {
	h := &handler{st: st, secret: make([]byte, 32), feeds: make(chan struct{}, maxFeeds)}
	if o != nil {
		h.Options = *o
		h.Hosts = slices.Clone(o.Hosts)
	}
	if h.Title == "" {
		h.Title = path.Base(strings.ReplaceAll(st.Dir(), `\`, "/"))
		if st.Dir() == "" {
			h.Title = "store"
		}
	}
	h.AllowWrite = h.AllowWrite && !st.ReadOnly()
	rand.Read(h.secret)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page("overview", h.overview))
	mux.HandleFunc("GET /collections", h.page("collections", h.collections))
	mux.HandleFunc("GET /collection", h.page("collection", h.collection))
	mux.HandleFunc("GET /entry", h.page("entry", h.entry))
	mux.HandleFunc("GET /queues", h.page("queues", h.queues))
	mux.HandleFunc("GET /queue", h.page("queue", h.queue))
	mux.HandleFunc("GET /locks", h.page("locks", h.locks))
	mux.HandleFunc("GET /live", h.page("live", h.live))
	mux.HandleFunc("GET /events", h.events)
	mux.HandleFunc("POST /delete", h.form(h.deleteEntry))
	mux.HandleFunc("POST /requeue", h.form(h.requeue))
	mux.HandleFunc("POST /break", h.form(h.breakLock))
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static())))
	mux.HandleFunc("/", h.page("nothing", func(r *http.Request) (any, error) { return nil, errNothing }))
	h.mux = http.NewCrossOriginProtection().Handler(mux)
	return h
}

type handler struct {
	Options
	st     *cache.Store
	secret []byte // of the tokens in forms
	mux    http.Handler
	feeds  chan struct{}
}

//go:embed page
var files embed.FS

var templates = template.Must(template.New("").Funcs(functions).ParseFS(files, "page/*.html"))

const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cache-Control", "no-store")
	if !h.isHost(r.Host) {
		http.Error(w, "This page is not served under that name.", http.StatusMisdirectedRequest)
		return
	}
	if r.URL.Path == "" { // mounted without the slash that relative links need
		redirect(w, "./"+url.PathEscape(path.Base(strings.SplitN(r.RequestURI, "?", 2)[0]))+"/")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// redirect sends a browser to a relative URL. http.Redirect would make it absolute, with
// a path that lacks what http.StripPrefix has removed.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

func (h *handler) isHost(host string) bool {
	if len(h.Hosts) == 0 {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return slices.ContainsFunc(h.Hosts, func(h string) bool { return strings.EqualFold(strings.Trim(h, "[]"), host) })
}

// view is what a template is given.
type view struct {
	*handler
	Page   string // the template
	Place  string // the directory
	Said   string // what a form has done
	Data   any
	Failed string
	token  string
}

// Token is that of a form.
func (v *view) Token() string { return v.token }

// Closed reports whether nothing can be shown.
func (v *view) Closed() bool { return v.Failed != "" }

// notice is an error in words for the reader of the page.
type notice string

func (n notice) Error() string { return string(n) }

const (
	errNothing = notice("There is no such page.")
	errGone    = notice("This collection does not exist, or not any more.")
	errEntry   = notice("This entry does not exist, or not any more.")
	errToken   = notice("The form is too old. Go back, load the page anew and try again.")
	errWrite   = notice("This page can only be looked at.")
	errHidden  = notice("Keys are hidden on this page.")
)

// failure returns what a reader of the page is told of an error.
func (h *handler) failure(r *http.Request, err error) (status int, text string) {
	switch {
	case errors.Is(err, errToken), errors.Is(err, errWrite), errors.Is(err, errHidden):
		return http.StatusForbidden, err.Error()
	case errors.Is(err, errNothing), errors.Is(err, errGone), errors.Is(err, errEntry):
		return http.StatusNotFound, err.Error()
	case errors.Is(err, cache.ErrNotFound):
		return http.StatusNotFound, errGone.Error()
	case errors.Is(err, cache.ErrClosed):
		if _, err := h.st.Collections(r.Context()); err == nil {
			return http.StatusNotFound, errGone.Error() // it was dropped meanwhile
		}
		return http.StatusServiceUnavailable, "The program has closed the store."
	case errors.Is(err, cache.ErrInvalid):
		return http.StatusBadRequest, err.Error()
	}
	return http.StatusInternalServerError, err.Error()
}

// page serves a template with what look finds.
func (h *handler) page(name string, look func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data, err := look(r)
		h.show(w, r, name, data, err)
	}
}

func (h *handler) show(w http.ResponseWriter, r *http.Request, name string, data any, err error) {
	v := &view{handler: h, Page: name, Place: h.st.Dir(), Data: data}
	status := http.StatusOK
	if err != nil {
		v.Page = "failed"
		status, v.Failed = h.failure(r, err)
	}
	if h.AllowWrite {
		v.token = h.tokenOf(session(w, r))
	}
	v.Said = said[r.URL.Query().Get("said")]
	var b bytes.Buffer // an error in the middle shows no half page
	if err := templates.ExecuteTemplate(&b, v.Page+".html", v); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		h.st.Logger().ErrorContext(r.Context(), "a page could not be made", "page", name, "err", err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

const sessionCookie = "diskcache-inspect"

// session returns the secret that a reader's browser keeps, and has it keep one.
func session(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(sessionCookie); err == nil && len(c.Value) >= 26 {
		return c.Value
	}
	s := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: s, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
	return s
}

func (h *handler) tokenOf(session string) string {
	m := hmac.New(sha256.New, h.secret)
	m.Write([]byte(session))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

var said = map[string]string{
	"deleted":  "The entry was removed.",
	"requeued": "The claim was ended, and the item is back in the queue.",
	"broken":   "The lock was taken from its holder.",
	"free":     "Nobody held the lock.",
}

// form serves a form that changes something. do returns where to go on, and what to say
// there.
func (h *handler) form(do func(r *http.Request) (to string, query url.Values, word string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		err := h.allowed(r)
		if err == nil {
			var to, word string
			var query url.Values
			if to, query, word, err = do(r); err == nil {
				query.Set("said", word)
				redirect(w, to+"?"+query.Encode())
				return
			}
		}
		h.show(w, r, "failed", nil, err)
	}
}

func (h *handler) allowed(r *http.Request) error {
	if !h.AllowWrite {
		return errWrite
	}
	c, err := r.Cookie(sessionCookie)
	if err != nil || !hmac.Equal([]byte(h.tokenOf(c.Value)), []byte(r.PostFormValue("token"))) {
		return errToken
	}
	return nil
}

// count is a number with a word.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", number(n), many)
}
