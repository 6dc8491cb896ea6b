//go:build !cgo_engines || !cgo

package main

import "errors"

const mattnMissing = "it needs cgo: `go run -tags cgo_engines .`"

func connectMattn(string) (floorConn, error) { return nil, errors.New(mattnMissing) }
