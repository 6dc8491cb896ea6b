//go:build cgo_engines && cgo

package main

/*
#cgo LDFLAGS: -llmdb
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

// Each operation is one call, since a transaction that writes belongs to the
// thread that began it, and a call costs.

static int bench_open(const char *dir, unsigned flags, size_t map, MDB_env **env, MDB_dbi *dbi) {
	MDB_txn *tx;
	int rc = mdb_env_create(env);
	if (rc) return rc;
	if ((rc = mdb_env_set_mapsize(*env, map)) || (rc = mdb_env_open(*env, dir, flags, 0600)) ||
		(rc = mdb_txn_begin(*env, NULL, 0, &tx))) {
		mdb_env_close(*env);
		return rc;
	}
	if ((rc = mdb_dbi_open(tx, NULL, 0, dbi))) mdb_txn_abort(tx);
	else rc = mdb_txn_commit(tx);
	if (rc) mdb_env_close(*env);
	return rc;
}

static int bench_get(MDB_env *env, MDB_dbi dbi, void *key, size_t key_size, void *buf, size_t cap, size_t *size) {
	MDB_txn *tx;
	MDB_val k = {key_size, key}, v;
	int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &tx);
	if (rc) return rc;
	rc = mdb_get(tx, dbi, &k, &v);
	if (!rc && v.mv_size > cap) rc = MDB_BAD_VALSIZE;
	if (!rc) {
		*size = v.mv_size;
		memcpy(buf, v.mv_data, v.mv_size);
	}
	mdb_txn_abort(tx);
	return rc;
}

static int bench_put(MDB_txn *tx, MDB_dbi dbi, void *key, size_t key_size, void *value, size_t size) {
	MDB_val k = {key_size, key}, v = {size, value};
	return mdb_put(tx, dbi, &k, &v, 0);
}

static int bench_set(MDB_env *env, MDB_dbi dbi, void *key, size_t key_size, void *value, size_t size) {
	MDB_txn *tx;
	int rc = mdb_txn_begin(env, NULL, 0, &tx);
	if (rc) return rc;
	if ((rc = bench_put(tx, dbi, key, key_size, value, size))) {
		mdb_txn_abort(tx);
		return rc;
	}
	return mdb_txn_commit(tx);
}

static int bench_delete(MDB_env *env, MDB_dbi dbi, void *key, size_t key_size) {
	MDB_txn *tx;
	MDB_val k = {key_size, key};
	int rc = mdb_txn_begin(env, NULL, 0, &tx);
	if (rc) return rc;
	if ((rc = mdb_del(tx, dbi, &k, NULL))) {
		mdb_txn_abort(tx);
		return rc;
	}
	return mdb_txn_commit(tx);
}
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

// lmdbEngines are LMDB, called through cgo.
func lmdbEngines() []*engine {
	variant := func(name, about, durability string, flags C.uint, does []string) *engine {
		return &engine{
			name: name, about: about + " (" + lmdbVersion() + ")", durability: durability,
			does: does, processes: true,
			open: func(_ context.Context, j *job) (store, error) { return openLMDB(j.Dir, flags) },
		}
	}
	return []*engine{
		variant("lmdb", "LMDB; each write waits for the disk", survivesPower, 0, syncLoads),
		variant("lmdb-nosync", "LMDB with MDB_NOSYNC", survivesNone, C.MDB_NOSYNC, mapLoads),
	}
}

// lmdbMap is how large the database can become. The file is as long as what
// is in it.
const lmdbMap = 32 << 30

// lmdbBuffer is longer than any value of a workload.
const lmdbBuffer = 16 << 10

type lmdbStore struct {
	env     *C.MDB_env
	dbi     C.MDB_dbi
	buffers sync.Pool
}

func openLMDB(dir string, flags C.uint) (store, error) {
	s := &lmdbStore{buffers: sync.Pool{New: func() any { return new([lmdbBuffer]byte) }}}
	name := C.CString(dir)
	defer C.free(unsafe.Pointer(name))
	// NOTLS: a goroutine has no thread of its own.
	rc := C.bench_open(name, flags|C.MDB_NOTLS, lmdbMap, &s.env, &s.dbi)
	return s, lmdbError(rc)
}

func lmdbVersion() string {
	var major, minor, patch C.int
	C.mdb_version(&major, &minor, &patch)
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

func lmdbError(rc C.int) error {
	if rc == 0 {
		return nil
	}
	return fmt.Errorf("lmdb: %s", C.GoString(C.mdb_strerror(rc)))
}

func (s *lmdbStore) client() (client, error) { return s, nil }

func (s *lmdbStore) load(src source, from, to int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const batch = 10_000
	for ; from < to; from += batch {
		var tx *C.MDB_txn
		if err := lmdbError(C.mdb_txn_begin(s.env, nil, 0, &tx)); err != nil {
			return err
		}
		for i := from; i < min(from+batch, to); i++ {
			k, v := src.key(i), src.value()
			rc := C.bench_put(tx, s.dbi, pointerTo(k), C.size_t(len(k)), unsafe.Pointer(unsafe.SliceData(v)), C.size_t(len(v)))
			if err := lmdbError(rc); err != nil {
				C.mdb_txn_abort(tx)
				return err
			}
		}
		if err := lmdbError(C.mdb_txn_commit(tx)); err != nil {
			return err
		}
	}
	return nil
}

func pointerTo(key string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(key)) }

func (s *lmdbStore) get(key string) ([]byte, bool, error) {
	buf := s.buffers.Get().(*[lmdbBuffer]byte)
	defer s.buffers.Put(buf)
	var n C.size_t
	rc := C.bench_get(s.env, s.dbi, pointerTo(key), C.size_t(len(key)), unsafe.Pointer(buf), lmdbBuffer, &n)
	if rc == C.MDB_NOTFOUND {
		return nil, false, nil
	}
	if err := lmdbError(rc); err != nil {
		return nil, false, err
	}
	return append([]byte{}, buf[:n]...), true, nil
}

func (s *lmdbStore) set(key string, value []byte) error {
	return lmdbError(C.bench_set(s.env, s.dbi, pointerTo(key), C.size_t(len(key)),
		unsafe.Pointer(unsafe.SliceData(value)), C.size_t(len(value))))
}

func (s *lmdbStore) delete(key string) error {
	rc := C.bench_delete(s.env, s.dbi, pointerTo(key), C.size_t(len(key)))
	if rc == C.MDB_NOTFOUND {
		return nil
	}
	return lmdbError(rc)
}

func (s *lmdbStore) close() error {
	C.mdb_env_close(s.env)
	return nil
}
