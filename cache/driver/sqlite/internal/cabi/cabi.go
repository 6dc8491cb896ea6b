// Package cabi is how Go code meets C code that was translated to Go: memory that
// lies outside of the Go heap, and pointers to functions.
//
// It owns nothing and knows nothing of SQLite but the signatures of a VFS. It has no locks;
// memory is used as SQLite says. What it returns is as unsafe as C: an address that is
// wrong crashes the process.
package cabi

import (
	"unsafe"

	"modernc.org/libc"
)

// At is what lies at an address in C memory. Vet objects to the plain conversion because
// for Go memory it would hide a reference from the garbage collector; C memory is not the
// collector's business.
func At[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// Bytes is the n bytes of C memory at p. They are valid as long as SQLite says.
func Bytes(p uintptr, n int) []byte { return unsafe.Slice(At[byte](p), n) }

// Function is the address under which translated C code calls f, which must
// be a declared function: a closure would be lost to the garbage collector.
// A function value is one pointer to a code pointer
// (https://go.dev/s/go11func), and that first pointer is what the translated
// code keeps in place of C's function pointers.
func Function[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// GoFunc is the inverse of Function.
func GoFunc[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// Signatures of C's function pointers: methods of a VFS, and of the files that it opens.
type (
	OpenFunc     = func(tls *libc.TLS, vfs, name, id uintptr, flags int32, out uintptr) int32
	DeleteFunc   = func(tls *libc.TLS, vfs, name uintptr, syncFolder int32) int32
	FileFunc     = func(tls *libc.TLS, id uintptr) int32
	FlagFunc     = func(tls *libc.TLS, id uintptr, arg int32) int32
	IOFunc       = func(tls *libc.TLS, id, buf uintptr, n int32, off int64) int32
	TruncateFunc = func(tls *libc.TLS, id uintptr, size int64) int32
	SizeFunc     = func(tls *libc.TLS, id, out uintptr) int32
	LockFunc     = func(tls *libc.TLS, id uintptr, slot, n, flags int32) int32
	MapFunc      = func(tls *libc.TLS, id uintptr, region, size, extend int32, out uintptr) int32
)
