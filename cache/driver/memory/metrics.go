package memory

import "github.com/go-diskcache/diskcache/cache/driver"

// Metrics implements [driver.Metered], each Store for itself.
func (s *Store) Metrics() (m driver.Metrics) {
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	m.Add(s.counted)
	for w := range s.data.watchers {
		if w.store == s {
			m.Watches++
		}
	}
	return m
}

// countRead counts a Get that found r in t, or nothing, if it is to be counted.
func countRead(m *driver.Metrics, t *table, r *row, l driver.Lookup) {
	if !t.settings.Statistics || l.Quiet {
		return
	}
	var one driver.Stats
	count(&one, r != nil)
	m.Add(driver.Metrics{Collections: map[string]driver.Stats{t.name: one}})
}
