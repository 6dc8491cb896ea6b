// Package powercut tells what a disk could hold after the power was cut. A
// [Disk] records what a store does to the files in a directory, through SQLite
// and beside it; [Disk.Cut] makes a directory of it that could be found after a
// cut at any moment. The package is tests, and what they need.
//
// What was synced is there. Of what was not synced, anything may be there: a
// write as a whole, some of its sectors, zeros where a file has become longer,
// or nothing, and a later one without an earlier one. A name is synced with its
// folder, not with its file. Half of the cuts keep names and removals in the
// order in which they were made, and a sync of anything brings all of those
// before it to the disk, as a file system with a journal does; the other half
// keep any of them.
package powercut

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Disk records a directory.
type Disk struct {
	root string

	names sync.Mutex // held while a name beside SQLite's comes or goes; taken before mu
	mu    sync.Mutex
	nodes []*node // the first is the root
	log   []op

	// Both are to be set before anything is recorded. Unsynced, if not nil,
	// reports whether the sync of a file or folder, which is given by its first
	// name, is left out. NoLinks says that there are no hard links.
	Unsynced func(path string) bool
	NoLinks  bool
}

// node is a file or a folder.
type node struct {
	path    string         // the first that it had
	folder  bool           //
	entries map[string]int // of a folder, now: nodes by name
}

type opKind uint8

const (
	opWrite    opKind = iota // data at off
	opTruncate               // off is the size
	opSync                   // of what was logged before upto
	opLink                   // name in the folder is child
	opUnlink                 // name in the folder was child
	opMark
)

type op struct {
	kind  opKind
	node  int
	off   int64
	data  []byte
	upto  int
	name  string
	child int
}

// NewDisk records a directory, which is to be empty.
func NewDisk(dir string) (*Disk, error) {
	root, err := filepath.Abs(dir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return nil, err
	}
	return &Disk{root: root, nodes: []*node{{path: ".", folder: true, entries: map[string]int{}}}}, nil
}

// rel returns a path relative to the root.
func (d *Disk) rel(path string) (string, bool) {
	rel, err := filepath.Rel(d.root, path)
	return filepath.ToSlash(rel), err == nil && filepath.IsLocal(rel)
}

// find returns the node of a path. The caller holds d.mu.
func (d *Disk) find(rel string) (n int, ok bool) {
	if rel == "." {
		return 0, true
	}
	for part := range strings.SplitSeq(rel, "/") {
		n, ok = d.nodes[n].entries[part]
		if !ok {
			return 0, false
		}
	}
	return n, true
}

// folder returns the node of the folder that a path is in.
func (d *Disk) folder(rel string) (n int, base string, ok bool) {
	at := strings.LastIndexByte(rel, '/')
	if at < 0 {
		return 0, rel, rel != "."
	}
	n, ok = d.find(rel[:at])
	return n, rel[at+1:], ok && d.nodes[n].folder
}

// add records a new file or folder, unless it is known.
func (d *Disk) add(rel string, isFolder bool) (n int, ok bool) {
	in, base, ok := d.folder(rel)
	if !ok {
		return 0, false
	}
	if n, ok := d.nodes[in].entries[base]; ok {
		return n, true
	}
	n = len(d.nodes)
	nd := &node{path: rel, folder: isFolder}
	if isFolder {
		nd.entries = map[string]int{}
	}
	d.nodes = append(d.nodes, nd)
	d.name(in, base, n)
	return n, true
}

func (d *Disk) name(in int, base string, n int) {
	d.nodes[in].entries[base] = n
	d.log = append(d.log, op{kind: opLink, node: in, name: base, child: n})
}

func (d *Disk) link(from, to string) {
	n, ok := d.find(from)
	in, base, ok2 := d.folder(to)
	if ok && ok2 {
		d.name(in, base, n)
	}
}

func (d *Disk) remove(rel string) {
	in, base, ok := d.folder(rel)
	if !ok {
		return
	}
	if n, ok := d.nodes[in].entries[base]; ok {
		delete(d.nodes[in].entries, base)
		d.log = append(d.log, op{kind: opUnlink, node: in, name: base, child: n})
	}
}

func (d *Disk) write(n int, off int64, data []byte) {
	d.log = append(d.log, op{kind: opWrite, node: n, off: off, data: append([]byte(nil), data...)})
}

func (d *Disk) truncate(n int, size int64) {
	d.log = append(d.log, op{kind: opTruncate, node: n, off: size})
}

// sync records a sync that began when the log had upto entries.
func (d *Disk) sync(n, upto int) {
	if d.Unsynced == nil || !d.Unsynced(d.nodes[n].path) {
		d.log = append(d.log, op{kind: opSync, node: n, upto: upto})
	}
}

// Mark returns the number of things recorded so far, for Cut.
func (d *Disk) Mark() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, op{kind: opMark})
	return len(d.log)
}

// Cut writes to the directory dir what the disk may hold after a cut when n
// things had been recorded. r decides what that is.
func (d *Disk) Cut(n int, r *rand.Rand, dir string) error {
	d.mu.Lock()
	log, nodes := d.log[:n], d.nodes[:len(d.nodes):len(d.nodes)]
	d.mu.Unlock()
	c := cut{log: log, nodes: nodes, r: r, synced: make([]int, len(nodes)), sector: 512}
	if r.IntN(2) == 0 {
		c.sector = 4096
	}
	for _, o := range log {
		if o.kind == opSync {
			c.synced[o.node] = max(c.synced[o.node], o.upto)
			c.journal = max(c.journal, o.upto)
		}
	}
	c.run()
	return c.build(0, dir)
}

// cut is a disk after a cut.
type cut struct {
	log     []op
	nodes   []*node
	r       *rand.Rand
	sector  int64
	synced  []int // by node: the entries of the log that are on the disk
	journal int

	files   map[int]*file
	folders map[int]map[string]int
}

type file struct{ b []byte }

// fate is how much of what was not synced is there.
type fate struct {
	until int // up to that place in the log
	odds  int // each in a hundred times
	torn  bool
}

func (c *cut) fate(synced int) fate {
	switch c.r.IntN(5) {
	case 0:
		return fate{until: synced}
	case 1:
		return fate{until: len(c.log), odds: 100}
	case 2:
		return fate{until: synced + c.r.IntN(len(c.log)-synced+1), odds: 100, torn: true}
	case 3:
		return fate{until: len(c.log), odds: 50}
	}
	return fate{until: len(c.log), odds: 50, torn: true}
}

func (c *cut) run() {
	c.files, c.folders = make(map[int]*file), make(map[int]map[string]int)
	fates := make([]fate, len(c.nodes))
	for i := range fates {
		fates[i] = c.fate(c.synced[i])
	}
	if c.r.IntN(2) == 0 { // one journal for all names
		until := c.journal + c.r.IntN(len(c.log)-c.journal+1)
		if c.r.IntN(3) == 0 {
			until = len(c.log)
		}
		for i, n := range c.nodes {
			if n.folder {
				fates[i] = fate{until: until, odds: 100}
			}
		}
	}
	for i, o := range c.log {
		if o.kind == opMark || o.kind == opSync {
			continue
		}
		certain := i < c.synced[o.node]
		f := &fates[o.node]
		if !certain && (i >= f.until || c.r.IntN(100) >= f.odds) {
			if o.kind == opTruncate {
				// What is written after that goes to other blocks, which do not
				// belong to the file before.
				f.until = 0
			}
			continue
		}
		switch o.kind {
		case opWrite:
			c.file(o.node).write(c, o, !certain && f.torn)
		case opTruncate:
			fl := c.file(o.node)
			fl.grow(o.off)
			fl.b = fl.b[:o.off]
		case opLink:
			if c.folders[o.node] == nil {
				c.folders[o.node] = make(map[string]int)
			}
			c.folders[o.node][o.name] = o.child
		case opUnlink:
			if c.folders[o.node][o.name] == o.child {
				delete(c.folders[o.node], o.name)
			}
		}
	}
}

func (c *cut) file(n int) *file {
	if c.files[n] == nil {
		c.files[n] = &file{}
	}
	return c.files[n]
}

func (f *file) grow(size int64) {
	if size > int64(len(f.b)) {
		f.b = append(f.b, make([]byte, size-int64(len(f.b)))...)
	}
}

func (f *file) write(c *cut, o op, torn bool) {
	end := o.off + int64(len(o.data))
	if !torn {
		f.grow(end)
		copy(f.b[o.off:], o.data)
		return
	}
	size := int64(len(f.b))
	for from := o.off; from < end; {
		to := min(end, (from/c.sector+1)*c.sector)
		switch c.r.IntN(5) {
		case 0, 1:
		case 2: // the file is longer, and what it is longer by was not written
			if to > size {
				f.grow(to)
			}
		default:
			f.grow(to)
			copy(f.b[from:to], o.data[from-o.off:])
		}
		from = to
	}
}

// build writes a folder and what is in it.
func (c *cut) build(n int, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && (n != 0 || !os.IsExist(err)) {
		return err
	}
	for name, child := range c.folders[n] {
		path := filepath.Join(dir, name)
		if c.nodes[child].folder {
			if err := c.build(child, path); err != nil {
				return err
			}
			continue
		}
		var b []byte
		if f := c.files[child]; f != nil {
			b = f.b
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Tell describes what is recorded between two places, for who looks for a
// mistake.
func (d *Disk) Tell(from, to int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for i := max(from, 0); i < min(to, len(d.log)); i++ {
		o := d.log[i]
		path := d.nodes[o.node].path
		switch o.kind {
		case opWrite:
			fmt.Fprintf(&b, "%d write %s %d at %d\n", i, path, len(o.data), o.off)
		case opTruncate:
			fmt.Fprintf(&b, "%d truncate %s %d\n", i, path, o.off)
		case opSync:
			fmt.Fprintf(&b, "%d sync %s of %d\n", i, path, o.upto)
		case opLink:
			fmt.Fprintf(&b, "%d link %s/%s = %s\n", i, path, o.name, d.nodes[o.child].path)
		case opUnlink:
			fmt.Fprintf(&b, "%d unlink %s/%s = %s\n", i, path, o.name, d.nodes[o.child].path)
		case opMark:
			fmt.Fprintf(&b, "%d mark\n", i)
		}
	}
	return b.String()
}

// Verify compares what is recorded with the directory, but for files whose
// names skip says are not recorded, and returns what differs.
func (d *Disk) Verify(skip func(path string) bool) (differs []string, err error) {
	d.mu.Lock()
	c := cut{log: d.log, nodes: d.nodes, synced: make([]int, len(d.nodes)), files: map[int]*file{}, folders: map[int]map[string]int{}}
	for i := range c.synced {
		c.synced[i] = len(d.log)
	}
	d.mu.Unlock()
	c.r = rand.New(rand.NewPCG(0, 0))
	c.run()
	seen := make(map[string]bool)
	err = filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := d.rel(path)
		seen[rel] = true
		if skip(rel) {
			return nil
		}
		n, ok := d.find(rel)
		switch {
		case !ok:
			differs = append(differs, rel+" is not recorded")
		case e.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if string(b) != string(c.file(n).b) {
				differs = append(differs, rel+" has other contents")
			}
		}
		return nil
	})
	for n, folder := range c.folders {
		for name := range folder {
			rel := strings.TrimPrefix(d.nodes[n].path+"/"+name, "./")
			if !seen[rel] && !skip(rel) {
				differs = append(differs, rel+" is not there")
			}
		}
	}
	return differs, err
}
