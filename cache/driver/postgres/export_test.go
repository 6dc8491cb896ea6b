package postgres

import "github.com/go-diskcache/diskcache/cache/driver"

// LoseSession has the session of a store be lost, if it has one.
func LoseSession(s driver.Store) { s.(*Store).sessions.lose() }
