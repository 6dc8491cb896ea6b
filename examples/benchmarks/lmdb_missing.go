//go:build !cgo_engines || !cgo

package main

const lmdbMissing = "it needs cgo and liblmdb (Debian's package is liblmdb-dev): `go run -tags cgo_engines .`"

func lmdbEngines() []*engine {
	return []*engine{
		{name: "lmdb", about: "LMDB; each write waits for the disk", durability: survivesPower, does: syncLoads, processes: true, missing: lmdbMissing},
		{name: "lmdb-nosync", about: "LMDB with MDB_NOSYNC", durability: survivesNone, does: mapLoads, processes: true, missing: lmdbMissing},
	}
}
