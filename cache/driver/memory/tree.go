package memory

import "math/rand/v2"

// tree is a sorted set of rows that never changes: its methods return new
// trees that share most of their nodes with the old. It is a treap, for the
// sake of its two short primitives, split and merge.
type tree struct {
	root  *node
	order order
}

// order compares two rows, like cmp.Compare.
type order func(a, b *row) int

type node struct {
	row         *row
	priority    uint64
	left, right *node
}

// find returns the row equal to probe, or nil.
func (t tree) find(probe *row) *row {
	for n := t.root; n != nil; {
		switch c := t.order(probe, n.row); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.row
		}
	}
	return nil
}

// last returns the greatest row, or nil.
func (t tree) last() *row {
	if t.root == nil {
		return nil
	}
	n := t.root
	for n.right != nil {
		n = n.right
	}
	return n.row
}

// with returns t with r in it, in the place of an equal one.
func (t tree) with(r *row) tree {
	less, greater := t.root.split(r, t.order)
	n := &node{row: r, priority: rand.Uint64()}
	t.root = merge(merge(less, n), greater)
	return t
}

// without returns t without the row equal to r.
func (t tree) without(r *row) tree {
	less, greater := t.root.split(r, t.order)
	t.root = merge(less, greater)
	return t
}

// ascend yields the rows for which in is true, in order. in must be false for
// all rows up to some place in that order and true for the rest.
func (t tree) ascend(in func(*row) bool, yield func(*row) bool) {
	t.root.ascend(in, yield)
}

// descend is ascend in the opposite order.
func (t tree) descend(in func(*row) bool, yield func(*row) bool) {
	t.root.descend(in, yield)
}

// all yields every row, in order.
func (t tree) all(yield func(*row) bool) { t.root.ascend(everything, yield) }

func everything(*row) bool { return true }

func (n *node) ascend(in, yield func(*row) bool) bool {
	if n == nil {
		return true
	}
	if !in(n.row) {
		return n.right.ascend(in, yield)
	}
	return n.left.ascend(in, yield) && yield(n.row) && n.right.ascend(everything, yield)
}

func (n *node) descend(in, yield func(*row) bool) bool {
	if n == nil {
		return true
	}
	if !in(n.row) {
		return n.left.descend(in, yield)
	}
	return n.right.descend(in, yield) && yield(n.row) && n.left.descend(everything, yield)
}

// split returns the rows before and after r, without the one equal to it.
func (n *node) split(r *row, o order) (less, greater *node) {
	if n == nil {
		return nil, nil
	}
	switch c := o(r, n.row); {
	case c < 0:
		less, greater = n.left.split(r, o)
		return less, n.over(greater, n.right)
	case c > 0:
		less, greater = n.right.split(r, o)
		return n.over(n.left, less), greater
	default:
		return n.left, n.right
	}
}

// merge joins two trees, every row of a before every row of b.
func merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		return a.over(a.left, merge(a.right, b))
	default:
		return b.over(merge(a, b.left), b.right)
	}
}

// over returns a copy of n with other children.
func (n *node) over(left, right *node) *node {
	return &node{row: n.row, priority: n.priority, left: left, right: right}
}
