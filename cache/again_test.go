package cache_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// again is an engine that rolls a transaction back and cannot begin it again.
type again struct {
	driver.Store
	err error // nil: it is as any other
}

func (a *again) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	err := a.Store.Update(ctx, mode, fn, touches...)
	if a.err != nil {
		err = a.err
	}
	return err
}

// list is an error that cannot be compared.
type list []string

func (l list) Error() string { return l[0] }

// The error of an Update is that of its function, as it is, unless that is of a run
// after which the engine has failed otherwise.
func TestUpdateError(t *testing.T) {
	var data memory.Data
	e := &again{Store: data.Open(nil)}
	st := cache.NewStore(e, nil)
	defer st.Close()
	own := errors.New("own")
	update := func(err error) error {
		return st.Update(t.Context(), func(*cache.Tx) error { return err })
	}
	if err := update(own); err != own {
		t.Errorf("got %v, want it as it is", err)
	}
	if err := update(list{"a"}); err == nil || err.Error() != "a" {
		t.Errorf("got %v, want it as it is", err)
	}
	e.err = driver.ErrTimeout
	if err := update(own); !errors.Is(err, cache.ErrTimeout) || errors.Is(err, own) {
		t.Errorf("got %v, of a run that was rolled back", err)
	}
}
