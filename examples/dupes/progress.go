package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// progress is a line that changes while the program works, and the messages
// above it. The line is there only if the writer is a terminal.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	shown    bool
}

const clearLine = "\r\x1b[K"

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// println prints a message.
func (p *progress) println(a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, a...)
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, clearLine)
		p.shown = false
	}
}

// show keeps the line up to date until the function that it returns is called.
func (p *progress) show(line func() string) (stop func()) {
	if !p.terminal {
		return func() {}
	}
	quit := make(chan struct{})
	var shower sync.WaitGroup
	shower.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			p.mu.Lock()
			fmt.Fprint(p.w, clearLine, line())
			p.shown = true
			p.mu.Unlock()
		}
	})
	return func() {
		close(quit)
		shower.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clear()
	}
}

func (p *progress) walking(found *atomic.Int64) (stop func()) {
	return p.show(func() string { return people(found.Load(), "file") + " found" })
}

func (p *progress) hashing(files *atomic.Int64, ofFiles int64, bytes func() int64, ofBytes int64) (stop func()) {
	start := time.Now()
	return p.show(func() string {
		return hashingLine(files.Load(), ofFiles, bytes(), ofBytes, time.Since(start))
	})
}

// hashingLine is the line while files are hashed. What comes from the store
// counts like what is read.
func hashingLine(files, ofFiles, bytes, ofBytes int64, passed time.Duration) string {
	s := fmt.Sprintf("%s of %s, %s of %s", number(files), people(ofFiles, "file"), size(bytes), size(ofBytes))
	if seconds := passed.Seconds(); bytes > 0 && seconds > 0 {
		rate := float64(bytes) / seconds
		left := time.Duration(float64(ofBytes-bytes) / rate * float64(time.Second))
		s += fmt.Sprintf(", %s/s, %s left", size(int64(rate)), left.Round(time.Second))
	}
	return s
}
