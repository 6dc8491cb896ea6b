package main

import (
	"bytes"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"
)

// run is what happened with one way.
type run struct {
	title  string
	lasts  time.Duration
	events []event
}

func (r *run) pick(made bool) []event {
	return slices.DeleteFunc(slices.Clone(r.events), func(e event) bool { return e.Made != made })
}

func (r *run) made() []event     { return r.pick(true) }
func (r *run) requests() []event { return r.pick(false) }

// worst returns the longest latency of requests that came at or after a time.
func (r *run) worst(from time.Duration) (d time.Duration) {
	for _, e := range r.requests() {
		if e.Start >= from {
			d = max(d, e.End-e.Start)
		}
	}
	return d
}

// waited returns how many requests took half as long as a page or more.
func (r *run) waited() (n int) {
	for _, e := range r.requests() {
		if e.End-e.Start >= takes/2 {
			n++
		}
	}
	return n
}

// step is a moment from which n pages are being made at once.
type step struct {
	at time.Duration
	n  int
}

func (r *run) concurrency() []step {
	var steps []step
	for _, e := range r.made() {
		steps = append(steps, step{e.Start, 1}, step{e.End, -1})
	}
	slices.SortFunc(steps, func(a, b step) int { return int(a.at - b.at) })
	n := 0
	for i := range steps {
		n += steps[i].n
		steps[i].n = n
	}
	return steps
}

func (r *run) most() (n int) {
	for _, s := range r.concurrency() {
		n = max(n, s.n)
	}
	return n
}

// Sizes of the plot, in pixels: one row for each way, with concurrency on the
// left and latency on the right.
const (
	width   = 400
	height  = 90
	left    = 50
	top     = 40
	gapX    = 70
	gapY    = 50
	mostNow = processes * workers
	slowest = 2 * takes
)

// plot draws the runs as SVG.
func plot(runs []run) []byte {
	var b bytes.Buffer
	w, h := 2*width+left+gapX+20, top+len(runs)*(height+gapY)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", w, h)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", w, h)
	for i, r := range runs {
		y := top + i*(height+gapY)
		title := html.EscapeString(strings.ReplaceAll(r.title, "`", ""))
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="13" font-weight="bold">%s</text>`+"\n", left, y-8, title)
		axes(&b, left, y, r.lasts, "pages being made", fmt.Sprint(mostNow))
		axes(&b, left+width+gapX, y, r.lasts, "latency", fmt.Sprintf("%d ms", slowest.Milliseconds()))
		r.drawConcurrency(&b, left, y)
		r.drawLatency(&b, left+width+gapX, y)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// axes draws the frame of a chart with its upper left corner at x, y.
func axes(b *bytes.Buffer, x, y int, lasts time.Duration, what, most string) {
	fmt.Fprintf(b, `<path d="M%d %dv%dh%d" fill="none" stroke="black"/>`+"\n", x, y, height, width)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", x-4, y+8, most)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">0</text>`+"\n", x-4, y+height)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", x+width, y-8, what) // above, where no data is
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%g s</text>`+"\n", x+width, y+height+14, lasts.Seconds())
}

func (r *run) x(at time.Duration) float64 { return float64(width) * float64(at) / float64(r.lasts) }

func (r *run) drawConcurrency(b *bytes.Buffer, x, y int) {
	fmt.Fprintf(b, `<path fill="#d05030" fill-opacity="0.6" stroke="#d05030" d="M%d %d`, x, y+height)
	for _, s := range r.concurrency() {
		if s.at > r.lasts {
			break
		}
		fmt.Fprintf(b, "H%.1fV%.1f", float64(x)+r.x(s.at), float64(y)+height*(1-float64(s.n)/mostNow))
	}
	fmt.Fprintf(b, `V%d"/>`+"\n", y+height)
}

func (r *run) drawLatency(b *bytes.Buffer, x, y int) {
	b.WriteString(`<g fill="#3060c0" fill-opacity="0.5">` + "\n")
	for _, e := range r.requests() {
		d := min(float64(e.End-e.Start)/float64(slowest), 1)
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="1.5"/>`+"\n", float64(x)+r.x(e.Start), float64(y)+height*(1-d))
	}
	b.WriteString("</g>\n")
}
