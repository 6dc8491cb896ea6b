package deque

import "context"

// settings is what is stored about a deque and is the same for all processes.
type settings struct {
	MaxLen int64 `json:"maxlen,omitempty"` // 0: none

	// Whether there ever were items in flight, or items with an expiry. Where there
	// were none, no operation looks for them.
	InFlight bool `json:"inflight,omitempty"`
	Expires  bool `json:"expires,omitempty"`

	// Clock is a time at which an item was put in flight, in unix nanoseconds: see
	// noteClock.
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
