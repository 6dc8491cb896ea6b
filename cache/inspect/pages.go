package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
)

type rawCache = cache.Cache[cache.Raw, cache.Raw]

// summary is a line in the table of collections.
type summary struct {
	Name, Label  string
	Inner        bool // made by a package for itself
	Entries      int64
	Schema       cache.Schema
	Hits, Misses int64
	HitRate      int // percent; -1 if nothing was counted
}

// Limit is what the collection may take.
func (s *summary) Limit() string {
	if s.Schema.Settings.Policy == cache.NoEviction || s.Schema.Settings.SizeLimit == math.MaxInt64 {
		return "keeps all"
	}
	return size(s.Schema.Settings.SizeLimit)
}

// Codecs are their names.
func (s *summary) Codecs() string {
	k, v := s.Schema.Keys, s.Schema.Values
	if k == "" && v == "" {
		return "not stored"
	}
	return k + " → " + v
}

// labelOf is the name of a collection for people.
func labelOf(name string) string {
	if name == "" {
		return "(default)"
	}
	return visible(name, shownKey)
}

// isInner reports whether a package has made a collection for itself.
func isInner(name string) bool {
	family, rest, _ := strings.Cut(name, "/")
	return family == "sync" || strings.HasPrefix(family, "deque-") ||
		strings.HasPrefix(family, "memo-") || family == "memo" && strings.Contains(rest, "/")
}

// nameOf is what a family's package calls a collection.
func nameOf(collection, family string) (string, bool) {
	if collection == "" {
		return "", true
	}
	return strings.CutPrefix(collection, family+"/")
}

func (h *handler) summaries(ctx context.Context) ([]summary, error) {
	names, err := h.st.Collections(ctx)
	if err != nil {
		return nil, err
	}
	var all []summary
	for _, name := range names {
		s, err := h.summary(ctx, name)
		if errors.Is(err, cache.ErrNotFound) || errors.Is(err, cache.ErrClosed) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (h *handler) summary(ctx context.Context, name string) (s summary, err error) {
	c, err := cache.NewRaw(ctx, h.st, name, nil)
	if err != nil {
		return s, err
	}
	s = summary{Name: name, Label: labelOf(name), Inner: isInner(name), Schema: c.Schema(), HitRate: -1}
	if s.Entries, err = c.Len(ctx); err != nil || !s.Schema.Settings.Statistics {
		return s, err
	}
	counts, err := c.Stats(ctx)
	s.Hits, s.Misses = counts.Hits, counts.Misses
	if n := s.Hits + s.Misses; n > 0 {
		s.HitRate = int(s.Hits * 100 / n)
	}
	return s, err
}

type part struct {
	Name    string
	Bytes   int64
	Percent int
}

type overview struct {
	Collections []summary
	Entries     int64
	Inner       int
	Queues      []queueLine
	Ready       int64
	Claimed     int64
	Total       int64
	Parts       []part
	Locks       int
	Waiters     int
	Dead        int // holders and claims of processes that have ended
	Metrics     driver.Metrics
}

// Works reports whether the process of the page uses the store for more than that.
func (o *overview) Works() bool { return o.Metrics.Commits.Count()+o.Metrics.Near.Hits > 0 }

// NearRate is the share of Gets that the near cache has answered, in percent.
func (o *overview) NearRate() int64 {
	n := o.Metrics.Near
	return n.Hits * 100 / max(n.Hits+n.Misses, 1)
}

// LockWait is the mean wait of a commit for the write lock.
func (o *overview) LockWait() string {
	w := o.Metrics.LockWaits
	return fmt.Sprintf("%.2f ms", w.Sum*1000/float64(max(w.Count(), 1)))
}

func (h *handler) overview(r *http.Request) (any, error) {
	ctx := r.Context()
	all, err := h.summaries(ctx)
	if err != nil {
		return nil, err
	}
	o := &overview{Metrics: h.st.Metrics()}
	for _, s := range all {
		if s.Inner {
			o.Inner++
			continue
		}
		if s.Name == "" && s.Entries == 0 && len(all) > 1 {
			continue // it is there in every directory
		}
		o.Entries += s.Entries
		o.Collections = append(o.Collections, s)
	}
	slices.SortStableFunc(o.Collections, func(a, b summary) int { return int(max(min(b.Entries-a.Entries, 1), -1)) })
	v, err := h.st.Volume(ctx)
	if err == nil {
		o.Total = v.Total
		for _, name := range []string{"database", "files", "log"} {
			if n, ok := v.Parts[name]; ok {
				o.Parts = append(o.Parts, part{name, n, int(n * 100 / max(v.Total, 1))})
			}
		}
	} else if !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	if o.Queues, err = h.queueLines(ctx, all); err != nil {
		return nil, err
	}
	for _, q := range o.Queues {
		o.Ready += q.State.Ready
		o.Claimed += q.State.Claimed
		o.Dead += q.Dead
	}
	l, err := h.readLocks(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Concat(l.Locks, l.Semaphores) {
		o.Locks += len(s.Holders)
		o.Waiters += len(s.Waiters)
		for _, u := range s.Holders {
			if !u.Alive {
				o.Dead++
			}
		}
	}
	return o, nil
}

type collectionList struct{ Own, Inner []summary }

func (h *handler) collections(r *http.Request) (any, error) {
	all, err := h.summaries(r.Context())
	if err != nil {
		return nil, err
	}
	var l collectionList
	for _, s := range all {
		if s.Inner {
			l.Inner = append(l.Inner, s)
		} else {
			l.Own = append(l.Own, s)
		}
	}
	return &l, nil
}

// row is an entry in a table.
type row struct {
	Key, Link string // Link is "" if the entry has no page
	Tag       string
	Size      int64
	Expiry    time.Time
	Left      string // until Expiry
	Stored    time.Time
	Age       string
	Accesses  int64
	Foreign   bool
}

type listing struct {
	summary
	Rows           []row
	Prefix         string
	First          bool // nothing is before
	Next, Previous string
	From           int64 // of the first row, where pages are numbered
}

const pageRows = 50

// collection is a page of entries, in the order of their keys. Its links name the keys
// at its ends, so that each page costs the same; where keys are hidden, they count.
func (h *handler) collection(r *http.Request) (any, error) {
	ctx, q := r.Context(), r.URL.Query()
	name := unref(q.Get("name"))
	c, err := cache.NewRaw(ctx, h.st, name, nil)
	if err != nil {
		return nil, err
	}
	l := &listing{First: true}
	if l.summary, err = h.summary(ctx, name); err != nil {
		return nil, err
	}
	entries := c.Sorted()
	if p := q.Get("prefix"); p != "" && !h.HideKeys {
		l.Prefix = p
		entries = entries.Prefix(cache.Raw{Value: codec.TextValue(p)})
	}
	after, isAfter := readKey(q.Get("after"))
	before, isBefore := readKey(q.Get("before"))
	back := false
	switch {
	case h.HideKeys:
		l.From, _ = strconv.ParseInt(q.Get("skip"), 10, 64)
		l.From = max(l.From, 0)
		l.First = l.From == 0
		entries = entries.Skip(l.From)
	case isAfter:
		l.First = false
		entries = entries.After(after)
	case isBefore:
		back = true
		entries = entries.Before(before).Desc()
	}
	found, err := cache.Collect(entries.Limit(pageRows + 1).Infos(ctx))
	if err != nil {
		return nil, err
	}
	more := len(found) > pageRows
	found = found[:min(len(found), pageRows)]
	if back {
		slices.Reverse(found)
		l.First, more = !more, true
	}
	now := h.st.Now()
	for _, e := range found {
		l.Rows = append(l.Rows, h.row(name, e, now))
	}
	link := func(key, value string) string {
		v := url.Values{"name": {ref(name)}, key: {value}}
		if l.Prefix != "" {
			v.Set("prefix", l.Prefix)
		}
		return "collection?" + v.Encode()
	}
	switch n := len(found); {
	case h.HideKeys:
		if more {
			l.Next = link("skip", strconv.FormatInt(l.From+pageRows, 10))
		}
		if !l.First {
			l.Previous = link("skip", strconv.FormatInt(max(l.From-pageRows, 0), 10))
		}
	case n > 0:
		if more {
			l.Next = link("after", writeKey(found[n-1].Key.Value))
		}
		if !l.First {
			l.Previous = link("before", writeKey(found[0].Key.Value))
		}
	}
	return l, nil
}

func (h *handler) row(collection string, e cache.Entry[cache.Raw, cache.Raw], now time.Time) row {
	r := row{Key: label(e.Key.Value, shownKey), Size: e.Size, Expiry: e.Expiry, Stored: e.Stored, Age: ago(now.Sub(e.Stored)), Accesses: e.Accesses, Foreign: e.Key.Foreign}
	if !e.Tag.IsNull() {
		r.Tag = label(e.Tag.Value, 60)
	}
	if !e.Expiry.IsZero() {
		r.Left = ago(e.Expiry.Sub(now))
	}
	switch {
	case h.HideKeys:
		r.Key, r.Tag = "hidden", ""
	case r.Foreign:
		r.Key = "pickled by Python, " + size(int64(e.Key.Len()))
	default:
		r.Link = "entry?" + url.Values{"name": {ref(collection)}, "key": {writeKey(e.Key.Value)}}.Encode()
		if r.Key == "" {
			r.Key = `""`
		}
	}
	return r
}

type entryPage struct {
	summary
	row
	KeyKind  string
	Raw      string // the key, for the form
	Accessed time.Time
	Policy   string
	Value    string
	Form     string
	Shown    bool
	Large    bool
	Pickled  bool
	Lost     bool
}

func (h *handler) entry(r *http.Request) (any, error) {
	ctx, q := r.Context(), r.URL.Query()
	if h.HideKeys {
		return nil, errHidden
	}
	c, err := cache.NewRaw(ctx, h.st, unref(q.Get("name")), nil)
	if err != nil {
		return nil, err
	}
	key, ok := readKey(q.Get("key"))
	if !ok {
		return nil, errEntry
	}
	p := &entryPage{KeyKind: key.Kind().String(), Raw: q.Get("key")}
	if p.summary, err = h.summary(ctx, c.Name()); err != nil {
		return nil, err
	}
	only := c.Sorted().From(key).To(key)
	found := false
	for e, err := range only.Infos(ctx) {
		if err != nil {
			return nil, err
		}
		if found = !e.Key.Foreign; found {
			p.row = h.row(c.Name(), e, h.st.Now())
			p.Key = label(e.Key.Value, shownValue)
			p.Accessed, p.Policy = e.Accessed, string(p.Schema.Settings.Policy)
			break
		}
	}
	if !found {
		return nil, errEntry
	}
	p.Large = p.row.Size > readValue
	if p.Shown = h.ShowValues; !p.Shown || p.Large {
		return p, nil
	}
	for e, err := range only.All(ctx) {
		if errors.Is(err, cache.ErrCorrupt) {
			p.Lost = true
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if e.Key.Foreign {
			continue
		}
		if p.Pickled = e.Value.Foreign; !p.Pickled {
			p.Value, p.Form = preview(e.Value.Value, p.Schema.Values)
		}
		return p, nil
	}
	return nil, errEntry
}

func (h *handler) deleteEntry(r *http.Request) (to string, query url.Values, word string, err error) {
	ctx, name := r.Context(), unref(r.PostFormValue("name"))
	key, ok := readKey(r.PostFormValue("key"))
	if !ok || h.HideKeys {
		return "", nil, "", errEntry
	}
	c, err := cache.NewRaw(ctx, h.st, name, nil)
	if err == nil {
		ok, err = c.Delete(ctx, key)
	}
	if err == nil && !ok {
		err = errEntry
	}
	return "collection", url.Values{"name": {ref(name)}}, "deleted", err
}

// queueLine is a deque.
type queueLine struct {
	Name, Label, Link string
	Collection        string
	State             deque.State
	Dead              int // claims of processes that have ended
}

// Items counts those that are there.
func (q *queueLine) Items() int64 { return q.State.Ready + q.State.Claimed + q.State.Delayed }

func (h *handler) queueLines(ctx context.Context, all []summary) (lines []queueLine, err error) {
	for _, s := range all {
		name, ok := nameOf(s.Name, "deque")
		if s.Name == "" { // a deque if there is what belongs to one
			ok = slices.ContainsFunc(all, func(s summary) bool { return s.Name == "deque-default/leases" })
		}
		if !ok {
			continue
		}
		l, err := h.queueLine(ctx, name)
		if errors.Is(err, cache.ErrNotFound) || errors.Is(err, cache.ErrClosed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func (h *handler) queueLine(ctx context.Context, name string) (l queueLine, err error) {
	l = queueLine{Name: name, Label: labelOf(name), Link: "queue?" + url.Values{"name": {ref(name)}}.Encode()}
	if name != "" {
		l.Collection = "deque/" + name
	}
	l.State, err = deque.Look(ctx, h.st, name)
	for _, c := range l.State.Claims {
		if !c.Alive {
			l.Dead++
		}
	}
	return l, err
}

func (h *handler) queues(r *http.Request) (any, error) {
	all, err := h.summaries(r.Context())
	if err != nil {
		return nil, err
	}
	return h.queueLines(r.Context(), all)
}

type queuePage struct {
	queueLine
	Claims []claimRow
	More   int
}

type claimRow struct {
	deque.ClaimState
	Left string
	Over bool
}

const shownClaims = 200

func (h *handler) queue(r *http.Request) (any, error) {
	l, err := h.queueLine(r.Context(), unref(r.URL.Query().Get("name")))
	if err != nil {
		return nil, err
	}
	p := &queuePage{queueLine: l}
	now := h.st.Now()
	for i, c := range l.State.Claims {
		if i == shownClaims {
			p.More = len(l.State.Claims) - i
			break
		}
		row := claimRow{ClaimState: c}
		if !c.Until.IsZero() {
			row.Left, row.Over = ago(c.Until.Sub(now)), !c.Until.After(now)
		}
		p.Claims = append(p.Claims, row)
	}
	return p, nil
}

func (h *handler) requeue(r *http.Request) (to string, query url.Values, word string, err error) {
	name := unref(r.PostFormValue("name"))
	id, err := strconv.ParseInt(r.PostFormValue("id"), 10, 64)
	if err != nil {
		return "", nil, "", errToken
	}
	err = deque.Requeue(r.Context(), h.st, name, id)
	if errors.Is(err, deque.ErrLost) {
		err = notice("This claim is over already.")
	}
	return "queue", url.Values{"name": {ref(name)}}, "requeued", err
}
