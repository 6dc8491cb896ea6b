package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/go-diskcache/diskcache/cache"
)

// register has OpenTelemetry observe the metrics of a store. It has no histograms that are
// observed: of those it has the number of values and their sum.
func register(meter metric.Meter, st *cache.Store) (metric.Registration, error) {
	var failed error
	var all []metric.Observable
	counter := func(name, unit string) metric.Int64Observable {
		c, err := meter.Int64ObservableCounter("diskcache."+name, metric.WithUnit(unit))
		failed = errors.Join(failed, err)
		all = append(all, c)
		return c
	}
	gauge := func(name, unit string) metric.Int64Observable {
		g, err := meter.Int64ObservableGauge("diskcache."+name, metric.WithUnit(unit))
		failed = errors.Join(failed, err)
		all = append(all, g)
		return g
	}
	nearHits, nearMisses := counter("near.hits", "1"), counter("near.misses", "1")
	nearBytes := gauge("near.size", "By")
	hits, misses := counter("hits", "1"), counter("misses", "1")
	commits, writes := counter("commits", "1"), counter("writes", "1")
	waited, err := meter.Float64ObservableCounter("diskcache.lock.wait", metric.WithUnit("s"))
	failed = errors.Join(failed, err)
	all = append(all, waited)
	removed := counter("removed", "1")
	logBytes, checkpoints := gauge("log.size", "By"), counter("checkpoints", "1")
	watches := gauge("watches", "1")
	if failed != nil {
		return nil, failed
	}
	reason := func(why string) metric.ObserveOption {
		return metric.WithAttributes(attribute.String("reason", why))
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m := st.Metrics()
		o.ObserveInt64(nearHits, m.Near.Hits)
		o.ObserveInt64(nearMisses, m.Near.Misses)
		o.ObserveInt64(nearBytes, m.Near.Bytes)
		for name, s := range m.Collections {
			of := metric.WithAttributes(attribute.String("collection", name))
			o.ObserveInt64(hits, s.Hits, of)
			o.ObserveInt64(misses, s.Misses, of)
		}
		o.ObserveInt64(commits, m.Commits.Count())
		o.ObserveInt64(writes, int64(m.Commits.Sum))
		o.ObserveFloat64(waited, m.LockWaits.Sum)
		o.ObserveInt64(removed, m.Expired, reason("expired"))
		o.ObserveInt64(removed, m.Evicted, reason("evicted"))
		o.ObserveInt64(logBytes, m.Log.Bytes)
		o.ObserveInt64(checkpoints, m.Log.Checkpoints)
		o.ObserveInt64(watches, m.Watches)
		return nil
	}, all...)
}

func otelMetrics(ctx context.Context, st *cache.Store) (string, error) {
	if err := use(ctx, st); err != nil {
		return "", err
	}
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	if _, err := register(provider.Meter("diskcache"), st); err != nil {
		return "", err
	}
	var got metricdata.ResourceMetrics
	if err := errors.Join(reader.Collect(ctx, &got), provider.Shutdown(ctx)); err != nil {
		return "", err
	}
	names := []string{}
	for _, m := range got.ScopeMetrics[0].Metrics {
		names = append(names, m.Name)
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "diskcache.hits" && sum.DataPoints[0].Value != 1 {
			return "", fmt.Errorf("there was one hit, not %d", sum.DataPoints[0].Value)
		}
	}
	return strings.Join(names, " "), nil
}
