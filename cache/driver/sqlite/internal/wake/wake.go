// Package wake tells a goroutine through a channel that there is something to do.
package wake

// Signal sends to ch, which has room for one: a goroutine that is told already need not be
// told twice. It never blocks.
func Signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
