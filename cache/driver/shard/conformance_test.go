package shard

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// exceptions are the tests that a collection which is spread over several
// shards cannot pass, with the property of DiskCache's layout that they would
// break.
var exceptions = map[string][]string{
	"insertion order goes shard by shard": {
		"Put/ReplaceKeepsIDAndResetsRest", "Delete/NewRowIsLast", "Scan/Orders", "Scan/TagAndLive", "Scan/TagIndexChangesNothing",
		"Remove/Expired", "Remove/Tag", "Remove/IDs", "Remove/AllConditionsHold", "Update/RollsBackIDs",
	},
	"1 and 1.0 are in different shards": {"Keys/EqualNumbers", "Keys/TextIsNotBlobIsNotNumber", "Delete/EqualKey"},
	"each shard culls by itself": {
		"Cull/ExpiredThenPolicy", "Cull/LeastRecentlyStored", "Cull/LeastRecentlyUsed", "Cull/LeastFrequentlyUsed", "Cull/Keep",
		"Cull/StopsBelowSizeLimit", "Cull/SameTransaction", "Cull/ManyRows",
		"Batch/PutMakesRoom", "Batch/PutMakesRoomAsTheSettingsSay", "Batch/PutManyIsPutOfEach",
	},
	"an ID has the number of the shard in it": {"Cull/ReturnsRows"},
	"transactions on different shards do not wait for each other": {
		"Wait/ContextEndsWhileWaiting", "Wait/DeadlineIsACause", "Wait/Timeout",
	},
	"the collection is the default one, which is only emptied": {
		"Collections/Drop", "Collections/DropDefault", "Collections/DropSeenBySecondHandle",
	},
	"the collection is the default one, which has settings already": {"Settings/ConfigureAtOnce"},
}

func TestMain(m *testing.M) {
	if arg := os.Getenv(crashEnv); arg != "" {
		fmt.Fprintln(os.Stderr, crashChild(arg))
		os.Exit(1)
	}
	flag.Parse()
	var skip []string
	if s := flag.Lookup("test.skip").Value.String(); s != "" {
		skip = append(skip, s)
	}
	for _, tests := range exceptions {
		for _, e := range tests {
			skip = append(skip, "^TestConformance$/./^spread$/^"+strings.ReplaceAll(e, "/", "$/^")+"$")
		}
	}
	if raceEnabled { // SQLite is slow with it; what has goroutines remains
		skip = append(skip, "^TestConformance$/^(sqlite|memory)$/^named$", "^TestConformance$/^twice$/^spread$",
			"^TestConformance$/^sqlite$/./^([^SC]|S[^h]|C[^l]).*")
	}
	if err := flag.Set("test.skip", strings.Join(skip, "|")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// memoryHarness keeps data by directory.
func memoryHarness(n int, o memory.Options) drivertest.Harness {
	places := make(map[string]*inMemory)
	return drivertest.Harness{Open: func(t testing.TB, dir string, given drivertest.Options) (driver.Store, error) {
		if places[dir] == nil {
			places[dir] = new(inMemory)
		}
		own := o
		own.Timeout, own.ReadOnly = given.Timeout, given.ReadOnly
		return newStore(context.Background(), places[dir].with(own), n)
	}}
}

// joinedHarness is memoryHarness with shards that are given to New.
func joinedHarness(n int) drivertest.Harness {
	places := make(map[string]*inMemory)
	return drivertest.Harness{Open: func(t testing.TB, dir string, o drivertest.Options) (driver.Store, error) {
		if places[dir] == nil {
			places[dir] = new(inMemory)
		}
		return places[dir].join(t, n, memory.Options{Timeout: o.Timeout, ReadOnly: o.ReadOnly})
	}}
}

func diskHarness(n int) drivertest.Harness {
	return drivertest.Harness{Open: func(t testing.TB, dir string, o drivertest.Options) (driver.Store, error) {
		return onDisk(context.Background(), dir, n, o.Timeout, o.ReadOnly)
	}}
}

// swapped calls the default collection "test", which is the name that most of
// the suite works with, so that all of that is spread over the shards.
type swapped struct{ *Store }

func swap(name string) string {
	switch name {
	case "":
		return "test"
	case "test":
		return ""
	}
	return name
}

func (s swapped) Open(ctx context.Context, name string, spec driver.Spec) (driver.Collection, error) {
	c, err := s.Store.Open(ctx, swap(name), spec)
	if err != nil {
		return nil, err
	}
	c.(*collection).name = name
	return c, nil
}

func (s swapped) Drop(ctx context.Context, name string) error { return s.Store.Drop(ctx, swap(name)) }

func (s swapped) Names(ctx context.Context) ([]string, error) {
	names, err := s.Store.Names(ctx)
	for i := range names {
		names[i] = swap(names[i])
	}
	slices.Sort(names)
	return names, err
}

func (s swapped) Metrics() driver.Metrics {
	m := s.Store.Metrics()
	counts := make(map[string]driver.Stats)
	for name, n := range m.Collections {
		counts[swap(name)] = n
	}
	m.Collections = counts
	return m
}

func swapping(h drivertest.Harness) drivertest.Harness {
	return drivertest.Harness{Open: func(t testing.TB, dir string, o drivertest.Options) (driver.Store, error) {
		s, err := h.Open(t, dir, o)
		if err != nil {
			return nil, err
		}
		return swapped{s.(*Store)}, nil
	}}
}

func TestConformance(t *testing.T) {
	for name, h := range map[string]func(n int) drivertest.Harness{
		"memory": func(n int) drivertest.Harness { return memoryHarness(n, memory.Options{}) },
		"twice":  func(n int) drivertest.Harness { return memoryHarness(n, memory.Options{RunTwice: true}) },
		"sqlite": diskHarness,
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("named", func(t *testing.T) { drivertest.Run(t, h(1)) })
			t.Run("spread", func(t *testing.T) { drivertest.Run(t, swapping(h(3))) })
		})
	}
	t.Run("joined", func(t *testing.T) {
		t.Run("named", func(t *testing.T) { drivertest.Run(t, joinedHarness(3)) })
		t.Run("spread", func(t *testing.T) { drivertest.Run(t, swapping(joinedHarness(3))) })
	})
}
