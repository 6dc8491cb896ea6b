package deque

import "context"

// settings is what is stored about a deque and is the same for all processes.
type settings struct {
	MaxLen int64 `json:"maxlen,omitempty"` // 0: none

	// Whether there ever were claims or delayed items, or items with an
	// expiry. Where there were none, nobody looks for them.
	Lends   bool `json:"lends,omitempty"`
	Expires bool `json:"expires,omitempty"`

	// Clock is a time at which there was a loan to be made, in unix
	// nanoseconds: see seen.
	Clock int64 `json:"clock,omitempty"`
}

// stored returns the settings.
func (d *Deque[T]) stored(ctx context.Context) (settings, error) {
	if d.shared.plain {
		return settings{}, nil
	}
	s, _, err := d.settings.Get(ctx, d.Name())
	return s, err
}

// store changes the settings from was to s, in a transaction.
func (d *Deque[T]) store(ctx context.Context, was, s settings) error {
	if was == s {
		return nil
	}
	return d.settings.Set(ctx, d.Name(), s)
}
