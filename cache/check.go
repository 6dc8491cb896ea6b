package cache

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Problem is one finding of [Store.Check]. Its fields are
//
//	Kind       driver.ProblemKind // what is wrong, such as driver.MissingFile
//	Collection string             // Cache.Name of it
//	Path       string             // of the file or directory, relative to the store, where there is one
//	Row        int64              // ID of the row, where there is one
//	Detail     string             // more, for people; without keys and values
//	Mended     bool
//
// Its method Harmless tells damage from files that only take up room.
type Problem = driver.Problem

// CheckOptions say how a store is checked.
type CheckOptions struct {
	// Mend repairs what it can: it corrects counts and settings, rebuilds
	// indexes, and removes entries whose value file is missing or not as long as
	// it was, and unknown files that are older than a minute: a younger one may
	// be about to get its entry. Of several entries with one key that stays which
	// was stored last. A collection N whose name is lost becomes the cache
	// "lost-N". Entries that cannot be decoded stay; another program may have
	// written them.
	Mend bool

	// Progress is called now and then, on the goroutine of Check, with what has
	// been found so far.
	Progress func(soFar Report)
}

// Report is the result of a check.
type Report struct {
	Problems []Problem
	Rows     int64 // entries that were decoded to see whether they can be
}

// OK reports whether no problem was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// Check looks for damage to the store, and for entries that cannot be decoded
// in the collections that this Store has opened. Others may read and write
// meanwhile, though they may have to wait. The error says that the check
// could not be finished; the report then has what it found until then.
func (s *Store) Check(ctx context.Context, o *CheckOptions) (*Report, error) {
	var opts CheckOptions
	if o != nil {
		opts = *o
	}
	began := s.now()
	r := &Report{}
	err := s.outside(ctx)
	if err == nil {
		err = ended(ctx)
	}
	if e, ok := s.engine.(driver.Checker); ok && err == nil {
		err = e.Check(ctx, opts.Mend, func(p Problem) {
			r.add(p)
			opts.tell(r)
		})
	}
	if err == nil {
		err = s.checkRows(ctx, &opts, r)
	}
	err = WrapError(ctx, "Check", "", err)
	s.logDone(ctx, "check", began, err, "problems", len(r.Problems), "mend", opts.Mend)
	return r, err
}

func (r *Report) add(p Problem) { r.Problems = append(r.Problems, p) }

func (o *CheckOptions) tell(r *Report) {
	if o.Progress != nil {
		o.Progress(*r)
	}
}

// checkRows decodes the rows of the collections that are open.
func (s *Store) checkRows(ctx context.Context, o *CheckOptions, r *Report) error {
	s.mu.Lock()
	decoders := maps.Clone(s.decoders)
	s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(decoders)) {
		d := decoders[name]
		h := &handle{st: s, dc: d.coll, shared: &shared{touches: []driver.Collection{d.coll}}}
		for row, err := range h.rows(ctx, driver.Scan{}, 0) {
			if errors.Is(err, ErrClosed) { // dropped meanwhile
				break
			}
			if err != nil {
				return err
			}
			why, err := d.check(ctx, h, row)
			if err != nil {
				return err
			}
			if why != "" {
				r.add(Problem{Kind: driver.Undecodable, Collection: name, Row: row.ID, Path: row.File, Detail: why})
			}
			if r.Rows++; r.Rows%lastPage == 0 {
				o.tell(r)
			}
		}
		o.tell(r)
	}
	return nil
}

// check says what of a row cannot be decoded, if anything.
func (d *decoder) check(ctx context.Context, h *handle, row *driver.Row) (why string, err error) {
	switch {
	case row.ForeignKey:
		return "the key was pickled by Python", nil
	case d.key(row.Key) != nil:
		return "the key", nil
	case row.ForeignValue:
		return "the value was pickled by Python", nil
	}
	ok, err := h.fill(ctx, row.Key, h.looking(), row)
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrTooLarge):
		return "", nil // the engine has reported the file, or it is for OpenValue only
	case err != nil || !ok:
		return "", err
	case !row.ForeignValue && d.value(row) != nil:
		return "the value", nil
	}
	return "", nil
}
