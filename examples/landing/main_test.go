package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Without a name, a plot is a new file, and not in the current directory.
func TestSave(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp) // of Windows
	t.Chdir(t.TempDir())
	seen := map[string]bool{}
	for _, name := range []string{"", "", filepath.Join(tmp, "named.svg")} {
		file, err := save(name, []byte("<svg/>"))
		if err != nil || filepath.Dir(file) != tmp || seen[file] || name != "" && file != name {
			t.Errorf("save(%q) wrote %q, error %v", name, file, err)
		}
		seen[file] = true
		if text, err := os.ReadFile(file); string(text) != "<svg/>" {
			t.Errorf("%q in %s, error %v", text, file, err)
		}
	}
	if here, err := os.ReadDir("."); err != nil || len(here) > 0 {
		t.Errorf("in the current directory: %v, error %v", here, err)
	}
	if _, err := save(filepath.Join(tmp, "none", "x.svg"), nil); err == nil {
		t.Error("a file in a directory that is not there was written")
	}
}
