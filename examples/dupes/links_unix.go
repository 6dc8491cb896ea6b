//go:build unix

package main

import "syscall"

// withoutLinks leaves one of each set of hard links to the same file, so that
// it is read once only.
func withoutLinks(files []file) []file {
	type inode struct{ dev, ino uint64 }
	seen := map[inode]bool{}
	kept := files[:0]
	for _, f := range files {
		if st, ok := f.info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			i := inode{uint64(st.Dev), uint64(st.Ino)}
			if seen[i] {
				continue
			}
			seen[i] = true
		}
		kept = append(kept, f)
	}
	return kept
}
