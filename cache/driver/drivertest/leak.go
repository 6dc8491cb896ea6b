package drivertest

import (
	"runtime"
	"testing"
	"time"
)

// noLeak fails the test if goroutines are left when its cleanup is done. The
// tests of the suite run one after the other, so all new ones are theirs.
func noLeak(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		// A goroutine that has done its work may take a moment to end.
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if runtime.NumGoroutine() <= before {
				return
			}
			if time.Now().After(deadline) {
				break
			}
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("goroutines left behind:\n%s", stacks[:runtime.Stack(stacks, true)])
	})
}
