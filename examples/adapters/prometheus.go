package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
)

// collector has Prometheus collect the metrics of a store.
type collector struct{ st *cache.Store }

var _ prometheus.Collector = collector{}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("diskcache_"+name, help, labels, nil)
}

var (
	nearHits    = desc("near_hits_total", "Gets that were answered from memory.")
	nearMisses  = desc("near_misses_total", "Gets for which there was no valid copy in memory.")
	nearBytes   = desc("near_bytes", "Memory in use for copies of entries.")
	hits        = desc("hits_total", "Gets that found something.", "collection")
	misses      = desc("misses_total", "Gets that found nothing.", "collection")
	commits     = desc("commit_size", "Writes that shared a commit.")
	lockWaits   = desc("lock_wait_seconds", "Waits for the write lock.")
	removed     = desc("removed_total", "Entries that were removed to make room.", "reason")
	logBytes    = desc("log_bytes", "Size of the write-ahead log.")
	checkpoints = desc("checkpoints_total", "Copies of the log to the database.")
	watches     = desc("watches", "Watches that have not ended.")
)

// Describe implements [prometheus.Collector].
func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	m := c.st.Metrics()
	counter(nearHits, m.Near.Hits)
	counter(nearMisses, m.Near.Misses)
	gauge(nearBytes, m.Near.Bytes)
	for name, s := range m.Collections {
		counter(hits, s.Hits, name)
		counter(misses, s.Misses, name)
	}
	ch <- histogram(commits, m.Commits)
	ch <- histogram(lockWaits, m.LockWaits)
	counter(removed, m.Expired, "expired")
	counter(removed, m.Evicted, "evicted")
	gauge(logBytes, m.Log.Bytes)
	counter(checkpoints, m.Log.Checkpoints)
	gauge(watches, m.Watches)
}

// histogram converts a histogram to one of Prometheus, where each bucket has all that is
// in those before it, too.
func histogram(d *prometheus.Desc, h driver.Histogram) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Bounds))
	sum := int64(0)
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		buckets[bound] = uint64(sum)
	}
	return prometheus.MustNewConstHistogram(d, uint64(h.Count()), h.Sum, buckets)
}

func prometheusMetrics(ctx context.Context, st *cache.Store) (string, error) {
	if err := use(ctx, st); err != nil {
		return "", err
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(collector{st}); err != nil {
		return "", err
	}
	families, err := registry.Gather()
	if err != nil {
		return "", err
	}
	names := []string{}
	for _, f := range families {
		names = append(names, f.GetName())
		if f.GetName() == "diskcache_hits_total" {
			if n := f.Metric[0].Counter.GetValue(); n != 1 {
				return "", fmt.Errorf("there was one hit, not %v", n)
			}
		}
	}
	return strings.Join(names, " "), nil
}

// use makes a commit, a hit and a miss.
func use(ctx context.Context, st *cache.Store) error {
	c, err := cache.New(ctx, st, "pages", &cache.Options[string, string]{Statistics: true})
	if err != nil {
		return err
	}
	if err := c.Set(ctx, "/", "welcome"); err != nil {
		return err
	}
	if _, _, err := c.Get(ctx, "/"); err != nil {
		return err
	}
	_, _, err = c.Get(ctx, "/absent")
	return err
}
