package memo

// SetRand replaces the source of random numbers of m.
func SetRand[A, R any](m *Memo[A, R], fn func() float64) { m.rand = fn }
