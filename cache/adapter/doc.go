// Package adapter gives libraries that have a slot for a store a collection of package
// cache, which all processes on one machine share:
//
//	scs/v2                  NewSCS         sessions: Store, CtxStore, IterableStore, IterableCtxStore
//	x/crypto/acme/autocert  NewAutocert    certificates: Cache
//	gregjones/httpcache     NewHTTPCache   responses: Cache
//	bartventer/httpcache    NewConn        responses: Conn of its package store/driver
//	gofiber/fiber/v3        NewFiber       anything: Storage
//	go-chi/httprate         NewHTTPRate    counts of requests: LimitCounter
//
// It imports none of them: the types have the methods that the libraries ask for, and an
// error of theirs is an argument. The collection is the caller's, who opens and closes
// it, and says with [cache.Options] what it keeps: Persistent for what must not be
// evicted, such as sessions and certificates, and a SizeLimit for what may be.
//
// Methods without a context use [context.Background]: how long they wait is bounded by
// StoreOptions.Timeout. All may be called by many goroutines at once.
package adapter

import "github.com/go-diskcache/diskcache/cache"

// Blobs is a collection of the kind that most adapters need.
type Blobs = cache.Cache[string, []byte]
