package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// handle is what a Cache is made of below its type parameters: a collection,
// and the transaction that it is bound to, if any.
type handle struct {
	st     *Store
	dc     driver.Collection
	tx     *Tx
	shared *shared
}

// shared belongs to one call of New and to all that is bound from it.
type shared struct {
	closed     atomic.Bool
	closeStore bool // Close closes the store too
	persistent bool
	bestEffort bool
	touches    []driver.Collection // the collection alone
	skip       bool                // undecodable entries are missing
	pure       bool                // the codecs run none of the user's code
	ttl        time.Duration
	slide      bool
	dropped    atomic.Int64
	evicted    func(rows []driver.Row, now driver.Instant) // nil: nobody wants to know
}

// errDropped is a write that BestEffort gave up; it never leaves the package.
var errDropped = errors.New("dropped")

// fail makes an *Error of err.
func (h *handle) fail(ctx context.Context, op string, err error) error {
	if err == nil || err == errDropped {
		return nil
	}
	return WrapError(ctx, op, h.dc.Name(), err)
}

// ready fails if the collection cannot be used with ctx.
func (h *handle) ready(ctx context.Context) error {
	switch {
	case h.shared.closed.Load():
		return ErrClosed
	case h.tx == nil:
		return h.st.outside(ctx)
	case h.tx.state != nil && h.tx.state.store != h.st:
		return invalid("the transaction is another store's")
	}
	return nil
}

// unbound fails if the collection is bound to a transaction, or should be.
func (h *handle) unbound(ctx context.Context) error {
	if h.tx != nil {
		return fmt.Errorf("%w: not possible inside a transaction", ErrInvalid)
	}
	return h.ready(ctx)
}

// get is the way of every single read. It has no closures, since what they
// capture would be allocated.
func (h *handle) get(ctx context.Context, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	if err := h.ready(ctx); err != nil {
		return driver.Row{}, false, err
	}
	switch {
	case h.tx != nil:
		return h.getInTx(ctx, key, l)
	case h.st.observe != nil:
		return h.observedGet(ctx, key, l)
	}
	return h.st.engine.Get(ctx, h.dc, key, l)
}

func (h *handle) getInTx(ctx context.Context, key codec.Value, l driver.Lookup) (r driver.Row, ok bool, err error) {
	err = h.tx.do(ctx, false, func(tx driver.Tx) (err error) {
		r, ok, err = tx.Get(ctx, h.dc, key, l)
		return err
	})
	return r, ok, err
}

// reading returns how Get looks an entry up.
func (h *handle) reading() driver.Lookup {
	l := driver.Lookup{Clock: h.st.now}
	if h.shared.slide {
		l.Slide = h.st.instant().Add(h.shared.ttl)
	}
	return l
}

// looking returns a Lookup that leaves no traces.
func (h *handle) looking() driver.Lookup {
	return driver.Lookup{Clock: h.st.now, Quiet: true}
}

// view runs fn in the transaction h is bound to, or in a snapshot.
func (h *handle) view(ctx context.Context, fn func(driver.Tx) error) error {
	if err := h.ready(ctx); err != nil {
		return err
	}
	if h.tx != nil {
		return h.tx.do(ctx, false, fn)
	}
	return h.st.view(ctx, h.dc.Name(), fn)
}

// refusal is an error of an operation that has written nothing. It neither
// rolls back the writes that share the transaction nor spoils the
// transaction that h is bound to.
type refusal struct{ error }

// refuse makes a refusal of err, or nil of nil.
func refuse(err error) error {
	if err == nil {
		return nil
	}
	return refusal{err}
}

// update runs fn in the transaction h is bound to, or in one of its own.
// With driver.Shared, fn has to keep what driver.Store.Update asks for.
func (h *handle) update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error) error {
	if err := h.ready(ctx); err != nil {
		return err
	}
	var refused error
	run := func(tx driver.Tx) error {
		refused = nil
		err := fn(tx)
		if r, ok := err.(refusal); ok {
			refused = r.error
			return nil
		}
		return err
	}
	var err error
	if h.tx != nil {
		err = h.tx.do(ctx, true, run)
	} else {
		err = h.st.update(ctx, h.dc.Name(), mode, run, h.shared.touches)
	}
	if err == nil {
		err = refused
	}
	return err
}

// write is update for the writing of entries, which BestEffort may drop.
func (h *handle) write(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error) error {
	return h.drop(ctx, h.update(ctx, mode, fn))
}

// drop turns a timeout into errDropped where that is wanted.
func (h *handle) drop(ctx context.Context, err error) error {
	if !h.shared.bestEffort || h.tx != nil || !errors.Is(err, ErrTimeout) {
		return err
	}
	n := h.shared.dropped.Add(1)
	h.st.log.DebugContext(ctx, "write dropped", "collection", h.dc.Name(), "dropped", n)
	return errDropped
}

var errOutside = errors.New("value is in a file")

// alter is write for functions that need the value of a row: whole loads it
// if it is in a file. As a Shared function must not read files, fn is then
// called anew, alone. fn must not write before whole has returned nil. It may
// call the codecs.
func (h *handle) alter(ctx context.Context, fn func(tx driver.Tx, whole func(*driver.Row) error) error) error {
	load := func(r *driver.Row) error { return h.load(ctx, r) }
	if h.tx != nil {
		return h.write(ctx, driver.Alone, func(tx driver.Tx) error { return fn(tx, load) })
	}
	mode := driver.Shared
	if !h.shared.pure {
		mode = driver.Own
	}
	err := h.write(ctx, mode, func(tx driver.Tx) error {
		return fn(tx, func(r *driver.Row) error {
			if r.File != "" {
				return refuse(errOutside)
			}
			return nil
		})
	})
	if err == errOutside {
		err = h.write(ctx, driver.Alone, func(tx driver.Tx) error { return fn(tx, load) })
	}
	return err
}

// load fills in the value of a row, if it is in a file, inside a transaction.
func (h *handle) load(ctx context.Context, r *driver.Row) error {
	if r.File == "" {
		return nil
	}
	content, err := h.openFile(ctx, r)
	if err == nil {
		r.Value, err = h.readAll(content, r.FileKind)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = missingFile(err)
	}
	return refuse(err)
}

// fill fills in the value of a row that get has found, if it is in a file.
// If the file has gone meanwhile it reads the row again; false means that it
// has gone too.
func (h *handle) fill(ctx context.Context, key codec.Value, l driver.Lookup, r *driver.Row) (bool, error) {
	if r.File == "" {
		return true, nil
	}
	content, err := h.open(ctx, key, l, r)
	if err == nil && content != nil {
		r.Value, err = h.readAll(content, r.FileKind)
	}
	return err == nil && r.ID != 0, err
}

// open opens the value file of a row that get has found, and reads the row
// again if the file has gone. Without an error and content, the row has gone
// (its ID is 0) or has its value inside now.
func (h *handle) open(ctx context.Context, key codec.Value, l driver.Lookup, r *driver.Row) (driver.Content, error) {
	l.Quiet, l.Slide = true, 0 // counted before
	for {
		content, err := h.openFile(ctx, r)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return content, err
		}
		if h.tx != nil && h.tx.readOnly {
			return nil, fmt.Errorf("a value was overwritten or removed after the View began: %w", err)
		}
		was := r.File
		again, ok, gerr := h.get(ctx, key, l)
		switch {
		case gerr != nil:
			return nil, gerr
		case !ok:
			*r = driver.Row{}
			return nil, nil
		case again.File == "":
			*r = again
			return nil, nil
		case again.File == was:
			return nil, missingFile(err)
		}
		*r = again
	}
}

func (h *handle) openFile(ctx context.Context, r *driver.Row) (driver.Content, error) {
	if h.st.files == nil {
		return nil, fmt.Errorf("%w: a row refers to a file, where there are none", ErrCorrupt)
	}
	return h.st.files.OpenFile(ctx, h.dc, *r)
}

func missingFile(err error) error {
	return fmt.Errorf("%w: the file of a value is missing: %w", ErrCorrupt, err)
}

// readAll reads and closes an opened value.
func (h *handle) readAll(content driver.Content, kind codec.Kind) (v codec.Value, err error) {
	defer func() {
		if cerr := content.Close(); err == nil {
			err = cerr
		}
	}()
	size := content.Size()
	if size > h.st.maxLen {
		return v, h.tooLong(size)
	}
	if kind == codec.Text {
		var b strings.Builder
		b.Grow(int(size))
		_, err = io.CopyN(&b, content, size)
		v = codec.TextValue(b.String())
	} else {
		buf := make([]byte, size)
		_, err = io.ReadFull(content, buf)
		v = codec.BlobValue(buf)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: a value file is shorter than it was", ErrCorrupt)
	}
	return v, err
}
