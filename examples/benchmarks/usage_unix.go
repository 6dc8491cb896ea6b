//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// allocated returns what a file takes on the disk.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(st.Blocks) * 512
	}
	return info.Size()
}

// syncDisks waits until what the system has to write is written.
func syncDisks() { syscall.Sync() }
