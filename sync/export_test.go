package sync

import "time"

// What is not told keeps the test that waits for it for longer than it has.
func init() { slowLook = 5 * time.Minute }
