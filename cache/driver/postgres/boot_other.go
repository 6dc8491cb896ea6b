//go:build !linux

package postgres

import "time"

// sinceBoot returns the time since some moment. Where the system sleeps, that may not
// count.
func sinceBoot() time.Duration { return time.Since(started) }
