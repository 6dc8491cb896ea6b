package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// file is a regular file that was found.
type file struct {
	fileID
	info fs.FileInfo
}

// walk returns the regular files under the roots, sorted by path. What cannot
// be looked at below the roots is reported and left out.
func (s *search) walk(ctx context.Context, roots []string) ([]file, error) {
	var files []file
	for _, root := range roots {
		root, err := filepath.Abs(root)
		if err == nil {
			root, err = filepath.EvalSymlinks(root)
		}
		if err != nil {
			return nil, err
		}
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			switch {
			case err != nil:
				s.leaveOut(err)
				return nil
			case d.IsDir() && path == s.hashes.dir:
				return fs.SkipDir // files of the store change all the time
			case !d.Type().IsRegular():
				return nil
			}
			info, err := d.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist): // removed since
			case err != nil:
				s.leaveOut(err)
			default:
				s.found.Add(1)
				files = append(files, file{fileID{path, info.Size(), info.ModTime()}, info})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	// Roots may lie within each other.
	files = slices.CompactFunc(files, func(a, b file) bool { return a.path == b.path })
	return files, nil
}

// candidates returns the files that share their size with another, without
// empty ones.
func candidates(files []file) []file {
	bySize := map[int64]int{}
	for _, f := range files {
		bySize[f.size]++
	}
	return slices.DeleteFunc(files, func(f file) bool { return f.size == 0 || bySize[f.size] < 2 })
}

// distinct leaves one of each set of hard links to the same file, the first.
// All files are of one size.
func distinct(files []file) []file {
	var kept []file
	for _, f := range files {
		if !slices.ContainsFunc(kept, func(k file) bool { return os.SameFile(k.info, f.info) }) {
			kept = append(kept, f)
		}
	}
	return kept
}

// group is a set of files with the same content.
type group struct {
	Size        int64    `json:"size"`
	Sum         sum      `json:"sha256"`
	Reclaimable int64    `json:"reclaimable"` // bytes that all but one of them take
	Files       []string `json:"files"`
}

// groups returns the sets of files that have the same hash, those that waste
// most first.
func groups(files []file, sums map[string]sum) []group {
	bySum := map[sum][]file{}
	for _, f := range files {
		if s, ok := sums[f.path]; ok {
			bySum[s] = append(bySum[s], f)
		}
	}
	var all []group
	for s, same := range bySum {
		same = distinct(same)
		if len(same) < 2 {
			continue
		}
		g := group{Size: same[0].size, Sum: s, Reclaimable: same[0].size * int64(len(same)-1)}
		for _, f := range same {
			g.Files = append(g.Files, f.path)
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.Reclaimable, a.Reclaimable), strings.Compare(a.Files[0], b.Files[0]))
	})
	return all
}
