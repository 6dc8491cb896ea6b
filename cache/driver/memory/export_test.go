package memory

// Sparse returns o for a store that leaves out IDs and fences, and gives none again.
func Sparse(o Options) Options {
	o.sparse = true
	return o
}
