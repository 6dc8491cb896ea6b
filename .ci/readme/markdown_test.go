package main

import (
	"os"
	"strings"
	"testing"
)

const table = "| a | b |\n|---|--:|\n| 1 | 2 |\n"

func TestProblems(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // a part of each problem, in order
	}{
		{"whole", "# A\n\ntext [b](#b-c)\n\n" + table + "\n## `B`, *c*\n\n```sh\n# no heading\n| no table\n```\n", nil},
		{"header lost", "text\n\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n", []string{"3: a table whose header has no separator"}},
		{"separator lost", "| a | b |\n| 1 | 2 |\n", []string{"1: a table whose header has no separator", "1: a table of 2 lines"}},
		{"rows lost", "| a | b |\n|---|---|\n\ntext\n", []string{"1: a table of 2 lines"}},
		{"two tables in one", table + table, []string{"5: a separator that is not below"}},
		{"cell lost", "| a | b |\n|---|---|\n| 1 |\n", []string{"3: a row of 1 cells in a table of 2 columns"}},
		{"column lost", "| a | b |\n|---|\n| 1 | 2 |\n", []string{"2: a row of 1 cells"}},
		{"escaped bar", "| a | b |\n|---|---|\n| `x \\| y` | 2 |\n", nil},
		{"no line above", "text\n" + table, []string{"2: no empty line above a table"}},
		{"empty section", "# A\n\n## B\n\n## C\n\ntext\n\n# D\n", []string{`3: nothing stands below "## B"`, `9: nothing stands below "# D"`}},
		{"section of code", "# A\n\n```sh\nls\n```\n", nil},
		{"comment", "<!-- go\n[a](nowhere)\n-->\n[b](nowhere)\n", []string{`4: the link "nowhere" leads to nothing`}},
		{"links", "[a](main.go) [b](https://example.com/nowhere) `[c](nowhere)` ![d](nowhere.svg)\n", []string{`"nowhere.svg" leads to nothing`}},
		{"outside", "[a](../../../..)\n", []string{`leads to nothing in this repository`}},
		{"anchors", "# A b\n\n# A b\n\n[one](#a-b) [two](#a-b-1) [three](#a-b-2)\n", []string{"1: nothing stands", `"#a-b-2"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			have := problems("test.md", tt.text)
			for i, p := range have {
				if i >= len(tt.want) || !strings.Contains(p, tt.want[i]) {
					t.Errorf("problem %q was not expected", p)
				}
			}
			if len(have) < len(tt.want) {
				t.Errorf("got %d problems, want %q", len(have), tt.want)
			}
		})
	}
}

// Without any of its sections, or of the lines that begin a table, the README is
// not whole.
func TestRequired(t *testing.T) {
	t.Chdir("../..")
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := "\n" + string(data)
	for _, p := range problems("README.md", text) {
		t.Error(p)
	}
	for _, line := range required["README.md"] {
		if len(problems("README.md", strings.Replace(text, "\n"+line+"\n", "\n", 1))) == 0 {
			t.Errorf("nobody noticed that %q was missing", line)
		}
	}
}
