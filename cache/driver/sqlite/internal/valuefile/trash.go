package valuefile

// Trash is what transactions have left to be removed: value files that no row
// refers to any more, and the temporary names of those that got rows. The former
// are in the database too, from the transaction that took the rows away until
// the files are gone, so that a crash in between leaves nothing behind.
type Trash struct {
	paths []string
	ids   []int64 // of the rows in the database
	bytes int64   // of the new files
	temps []string
}

// Discard adds a value file, which is in a row of the database's list.
func (r *Trash) Discard(rel string, id int64) {
	r.paths = append(r.paths, rel)
	r.ids = append(r.ids, id)
}

// Add adds what another transaction has left.
func (r *Trash) Add(o Trash) {
	r.paths = append(r.paths, o.paths...)
	r.ids = append(r.ids, o.ids...)
	r.bytes += o.bytes
	r.temps = append(r.temps, o.temps...)
}

// IsEmpty reports whether there is nothing.
func (r *Trash) IsEmpty() bool { return r.Names() == 0 }

// Old is the number of value files that no row refers to any more.
func (r *Trash) Old() int { return len(r.paths) }

// Names is the number of names that are to go.
func (r *Trash) Names() int { return len(r.paths) + len(r.temps) }

// Bytes is the size of the new files whose temporary names are to go.
func (r *Trash) Bytes() int64 { return r.bytes }

// Last is the highest row in the database, if there is any.
func (r *Trash) Last() int64 { return r.ids[len(r.ids)-1] }

// Empty removes what a transaction has left, when a power cut cannot undo
// that any more. What cannot be removed now (on Windows, a file that is being
// read) is tried again when the store is opened the next time.
//
// While a view of this process runs that began before, and may want to read
// them, the files stay; the last such view removes them.
func (s *Files) Empty(r Trash) {
	for _, temp := range r.temps {
		s.removeTemp(temp)
	}
	if len(r.paths) == 0 {
		return
	}
	s.mu.Lock()
	if len(s.views) > 0 {
		s.kept = append(s.kept, keptTrash{s.last, r})
		r = Trash{}
	}
	s.mu.Unlock()
	s.remove(r)
}

// remove removes value files, and tells which rows of the list are done with.
func (s *Files) remove(r Trash) {
	if len(r.paths) == 0 || s.Present() != nil { // another database may have rows of these files
		return
	}
	gone := r.ids[:0]
	for i, p := range r.paths {
		if err := s.Remove(p); err != nil {
			s.Log.Warn("value file stays in the trash", "path", p, "error", err)
			continue
		}
		gone = append(gone, r.ids[i])
	}
	s.Emptied(gone)
}

// EnterView keeps value files from being removed until LeaveView.
func (s *Files) EnterView() (number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.views[s.last] = struct{}{}
	return s.last
}

// LeaveView ends a view, and removes what has waited for it.
func (s *Files) LeaveView(number int64) {
	var free Trash
	s.mu.Lock()
	delete(s.views, number)
	oldest := s.last + 1
	for v := range s.views {
		oldest = min(oldest, v)
	}
	for len(s.kept) > 0 && s.kept[0].until < oldest {
		free.Add(s.kept[0].Trash)
		s.kept = s.kept[1:]
	}
	s.mu.Unlock()
	s.remove(free)
}

// Viewed reports whether a view is running.
func (s *Files) Viewed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.views) > 0
}
