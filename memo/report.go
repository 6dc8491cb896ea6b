package memo

import (
	"context"

	"github.com/go-diskcache/diskcache/cache"
)

// report logs, counts and tells an error that no caller gets. It does nothing
// with nil, nor if ctx has ended: then nobody waits any more, or the store is
// being closed.
func (m *Memo[A, R]) report(ctx context.Context, op string, err error) {
	if err == nil || ctx.Err() != nil || m.open.Err() != nil {
		return
	}
	if e, ok := err.(*cache.Error); !ok || e.Op != op || e.Collection != "memo/"+m.name {
		err = &cache.Error{Op: op, Collection: "memo/" + m.name, Err: err} // the function's, as it is
	}
	m.counts.reported.Add(1)
	m.st.Logger().Warn("memo: an error that no caller gets", "memo", m.name, "error", err)
	if m.o.OnError == nil {
		return
	}
	_, failed := protect(ctx, func(_ context.Context, err error) (struct{}, error) {
		m.o.OnError(err)
		return struct{}{}, nil
	}, err)
	if failed != nil {
		m.st.Logger().Error("memo: OnError did not return", "memo", m.name, "error", failed)
	}
}
