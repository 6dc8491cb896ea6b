package cache_test

import (
	"errors"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

// However many operations an operation consists of, the user sees its name alone.
func TestWrapError(t *testing.T) {
	if err := cache.WrapError(t.Context(), "Lock", "sync/lock/l", nil); err != nil {
		t.Error(err)
	}
	cause := errors.New("cause")
	below := &cache.Error{Op: "Update", Err: &cache.Error{Op: "Get", Collection: "sync/leases", Err: cause}}
	for _, err := range []error{cause, below} {
		err = cache.WrapError(t.Context(), "Lock", "sync/lock/l", err)
		if got, want := err.Error(), `cache: Lock in "sync/lock/l": cause`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !errors.Is(err, cause) {
			t.Errorf("%v is not its cause", err)
		}
	}
}
