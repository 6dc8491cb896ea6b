package driver

// Metered is a Store that counts what it does.
type Metered interface {
	Store

	// Metrics returns what the Store has done in this process since it was opened,
	// and what it has now. Counts never go down. It waits for no transaction and reads
	// nothing from the disk. After Close it may have nothing to tell.
	Metrics() Metrics
}

// Metrics is a snapshot of what a store has done, in this process and since it was
// opened, and of what it has now. Stores of one directory in one process share their
// connections, and so they share their counts. What a kind of store has not, or does
// not count, is 0.
type Metrics struct {
	Near NearStats // copies in memory, of all collections

	// Commits are the transactions that were committed, by how many Updates shared
	// one: Commits.Sum is the number of Updates.
	Commits Histogram

	// LockWaits are the waits of those transactions for the write lock, in seconds:
	// for other processes, and the microseconds that it takes to begin. The wait for
	// other writers of the same process is not a part of it.
	LockWaits Histogram

	Expired int64 // rows that were removed since their time was over, by Put, Cull or Remove
	Evicted int64 // rows that were removed to get below a size limit

	// Log is about the write-ahead log.
	Log LogStats

	Watches int64 // watches that have not ended

	// Collections has the Gets of collections with Settings.Statistics: of this
	// process, whether or not somebody resets what Stats returns. A transaction's
	// count once it is committed.
	Collections map[string]Stats
}

// LogStats is about the log of commits that are not in the database yet.
type LogStats struct {
	Bytes          int64   // that were in the log after the last commit of this process
	Checkpoints    int64   // copies of the log to the database, by this process
	CheckpointTime float64 // seconds that those took
}

// Histogram counts values by their size.
type Histogram struct {
	Bounds []float64 // upper bounds of the buckets, ascending; above the last there is one more bucket
	Counts []int64   // values in each bucket, one count more than there are Bounds
	Sum    float64   // of all values
}

// Count returns the number of values.
func (h Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Add adds the counts of a part of a store, which the engine has opened, to those of
// the whole.
func (m *Metrics) Add(part Metrics) {
	m.Near.Hits += part.Near.Hits
	m.Near.Misses += part.Near.Misses
	m.Near.Bytes += part.Near.Bytes
	m.Commits.add(part.Commits)
	m.LockWaits.add(part.LockWaits)
	m.Expired += part.Expired
	m.Evicted += part.Evicted
	m.Log.Bytes += part.Log.Bytes
	m.Log.Checkpoints += part.Log.Checkpoints
	m.Log.CheckpointTime += part.Log.CheckpointTime
	m.Watches += part.Watches
	for name, s := range part.Collections {
		if m.Collections == nil {
			m.Collections = make(map[string]Stats)
		}
		sum := m.Collections[name]
		sum.Hits += s.Hits
		sum.Misses += s.Misses
		m.Collections[name] = sum
	}
}

// add adds the counts of a histogram with the same bounds.
func (h *Histogram) add(o Histogram) {
	if h.Counts == nil {
		h.Bounds, h.Counts = o.Bounds, make([]int64, len(o.Counts))
	}
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}
