package family_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

func TestEnded(t *testing.T) {
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := family.Ended(ctx); err != nil {
		t.Error(err)
	}
	cancel(cause)
	if err := family.Ended(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
		t.Error(err)
	}
	plain, stop := context.WithCancel(t.Context())
	stop()
	if err := family.Ended(plain); err != context.Canceled {
		t.Error(err)
	}
}

func TestRepeat(t *testing.T) {
	uncertain := fmt.Errorf("reset: %w", cache.ErrUncertain)
	for _, tt := range []struct {
		errs []error
		want error
	}{
		{[]error{nil}, nil},
		{[]error{uncertain, nil}, nil},
		{[]error{cache.ErrFull}, cache.ErrFull},
		{[]error{uncertain, cache.ErrFull}, cache.ErrFull},
		{[]error{uncertain, uncertain, cache.ErrFull}, uncertain},
		{[]error{uncertain, uncertain, uncertain}, uncertain},
	} {
		n := 0
		err := family.Repeat(func() error {
			n++
			return tt.errs[n-1]
		})
		if !errors.Is(err, tt.want) || n != len(tt.errs) {
			t.Errorf("%v: got %v after %d", tt.errs, err, n)
		}
		if unknown := err != nil && tt.errs[0] == uncertain; errors.Is(err, cache.ErrUncertain) != unknown {
			t.Errorf("%v: got %v, of which the first try is uncertain: %v", tt.errs, err, unknown)
		}
	}
}
