package main

import (
	"fmt"
	"io"
	"os"
)

// line is one that changes while the program works, if there is a terminal.
type line struct{ w io.Writer } // nil: there is none

func newLine(w io.Writer) line {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return line{w}
		}
	}
	return line{}
}

func (l line) show(format string, args ...any) {
	if l.w != nil {
		fmt.Fprintf(l.w, "\r\x1b[K"+format, args...)
	}
}

// end clears the line.
func (l line) end() { l.show("") }
