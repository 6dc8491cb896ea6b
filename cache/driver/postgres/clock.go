package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// clock is the server's, as far as this process knows.
type clock struct {
	ahead atomic.Int64 // nanoseconds that it is ahead of this machine's
}

// clockEvery is how often the server is asked, in units of keepEvery.
const clockEvery = 30

// setClock asks the server for the time. What it answers was so in the middle of the
// round trip, more or less.
func (s *Store) setClock(ctx context.Context) error {
	return s.conns.with(ctx, func(c *pgx.Conn) error {
		for range 2 { // the first also prepares the statement
			var now time.Time
			before := time.Now()
			if err := c.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
				return err
			}
			middle := before.Add(time.Since(before) / 2)
			s.clock.ahead.Store(int64(now.Sub(middle.Round(0))))
		}
		return nil
	})
}

// Now implements [driver.Clocked]: the time of the server, which is asked for it every
// half minute.
func (s *Store) Now() time.Time {
	return time.Now().Add(time.Duration(s.clock.ahead.Load()))
}
