//go:build linux

package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
)

// report prints what has happened, as a table, and draws the plot.
func (s *supervisor) report() error {
	last := sample{}
	if len(s.samples) > 0 {
		last = s.samples[len(s.samples)-1]
	}
	fmt.Printf("%d operations of %d processes in %.0f s; %d were killed, %d asked to end; %d audits\n",
		last.operations, s.goes+s.pythons, last.at.Seconds(), s.kills, s.restarts, s.audits)
	if quarter := len(s.samples) / 4; quarter > 0 {
		fmt.Println("\n| median | in the second quarter of the time | in the last |\n|---|---:|---:|")
		for _, c := range charts {
			if c.slack > 0 {
				fmt.Printf("| %s | %.1f | %.1f |\n", c.title, median(s.samples[quarter:2*quarter], c.value), median(s.samples[3*quarter:], c.value))
			}
		}
	}
	if s.out == "" || len(s.samples) == 0 {
		return nil
	}
	return os.WriteFile(s.out, plot(s.samples), 0o644)
}

// Sizes of a chart, in pixels.
const (
	width  = 800
	height = 90
	left   = 60
	gap    = 40
)

// plot draws all charts, one below the other, as SVG.
func plot(samples []sample) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", left+width+20, len(charts)*(height+gap)+20)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	lasts := samples[len(samples)-1].at
	for i, c := range charts {
		y := gap + i*(height+gap)
		most := 0.0
		for _, s := range samples {
			most = max(most, c.value(s))
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="13">%s</text>`+"\n", left, y-6, html.EscapeString(c.title))
		fmt.Fprintf(&b, `<path d="M%d %dv%dh%d" fill="none" stroke="black"/>`+"\n", left, y, height, width)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%.0f</text>`+"\n", left-4, y+8, most)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">0</text>`+"\n", left-4, y+height)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%.0f s</text>`+"\n", left+width, y+height+14, lasts.Seconds())
		b.WriteString(`<polyline fill="none" stroke="#3060c0" points="`)
		for _, s := range samples {
			fmt.Fprintf(&b, "%.1f,%.1f ", left+width*float64(s.at)/float64(lasts), float64(y)+height*(1-c.value(s)/max(most, 1)))
		}
		b.WriteString(`"/>` + "\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
