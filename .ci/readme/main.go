// Readme checks Markdown files: their headings, tables and links, and their Go
// code. Each block marked "go" is formatted and compiles. A block that begins with "package" is a whole file.
// Any other is the body of a function that is given ctx and returns an error;
// packages are imported as they are used. What a block needs and the reader
// does not want to see stands before it in a comment:
//
//	<!-- go
//	type Page struct{ Title string }
//	-->
//
// Blocks share these declarations with all blocks below them. Tables are whole,
// relative links lead to something, and the README has its sections: see
// problems.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const module = "github.com/go-diskcache/diskcache/"

// packages are imported where a block uses their names.
var packages = map[string]string{
	"cache": module + "cache", "codec": module + "codec", "deque": module + "deque",
	"index": module + "index", "dsync": module + "sync", "memo": module + "memo",
	"memory":  module + "cache/driver/memory",
	"inspect": module + "cache/inspect", "dump": module + "cache/dump",
	"django":  module + "cache/django",
	"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "io": "io",
	"log": "log", "os": "os", "filepath": "path/filepath", "strings": "strings", "time": "time",
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("readme: ")
	if len(os.Args) < 2 {
		log.Fatal("usage: readme FILE...")
	}
	code, bad := 0, 0
	for _, file := range os.Args[1:] {
		text, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		all := problems(file, string(text))
		blocks, failed := compile(file, string(text))
		all = append(all, failed...)
		for _, p := range all {
			fmt.Println(p)
		}
		fmt.Printf("%s: %d blocks of Go, %d problems\n", file, blocks, len(all))
		code += blocks
		bad += len(all)
	}
	if bad > 0 || code == 0 {
		os.Exit(1)
	}
}

// compile returns the number of blocks of Go in a file, and what is wrong with
// them.
func compile(file, text string) (blocks int, bad []string) {
	dir, err := os.MkdirTemp("", "readme-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var given []string
	for _, p := range parts(text) {
		if p.hidden {
			given = append(given, p.text)
			continue
		}
		blocks++
		if err := check(dir, p, strings.Join(given, "\n")); err != nil {
			bad = append(bad, fmt.Sprintf("%s:%d: %v", file, p.line, err))
		}
	}
	return blocks, bad
}

// part is a block of code, or declarations in a comment.
type part struct {
	line   int
	hidden bool
	text   string
}

func parts(text string) []part {
	var all []part
	var end string // of the part that is being read
	n := 0
	for line := range strings.Lines(text) {
		n++
		switch trimmed := strings.TrimSpace(line); {
		case end != "" && trimmed == end:
			end = ""
		case end != "":
			all[len(all)-1].text += line
		case trimmed == "```go":
			end = "```"
			all = append(all, part{line: n})
		case trimmed == "<!-- go":
			end = "-->"
			all = append(all, part{line: n, hidden: true})
		}
	}
	return all
}

func check(dir string, p part, given string) error {
	formatted, err := format.Source([]byte(p.text))
	if err != nil {
		return err
	}
	if !bytes.Equal(formatted, []byte(p.text)) {
		return fmt.Errorf("not formatted with gofmt; it should be:\n%s", formatted)
	}
	src := p.text
	if !strings.HasPrefix(src, "package ") {
		src = wrap(p.text, given)
	}
	name := filepath.Join(dir, fmt.Sprintf("line%d.go", p.line))
	if err := os.WriteFile(name, []byte(src), 0o600); err != nil {
		return err
	}
	out, err := exec.Command("go", "vet", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// wrap makes a file of a function's body. The function returns nil at its end
// unless the block itself ends with a return.
func wrap(body, given string) string {
	names := []string{"context"}
	for name := range packages {
		used := regexp.MustCompile(`\b` + name + `\.[A-Z]`)
		if name != "context" && used.MatchString(body+given) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("package readme\n\nimport (\n")
	for _, name := range names {
		fmt.Fprintf(&b, "\t%s %q\n", name, packages[name])
	}
	fmt.Fprintf(&b, ")\n\n%s\n\nfunc _(ctx context.Context) error {\n%s", given, body)
	if !returns(body) {
		b.WriteString("\treturn nil\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// returns reports whether the last statement is a return.
func returns(body string) bool {
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+body+"}\n", parser.SkipObjectResolution)
	if err != nil {
		return false // go vet will tell
	}
	list := f.Decls[0].(*ast.FuncDecl).Body.List
	if len(list) == 0 {
		return false
	}
	_, ok := list[len(list)-1].(*ast.ReturnStmt)
	return ok
}
