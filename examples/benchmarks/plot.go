package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func init() {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	plotter.DefaultFont = plot.DefaultFont
}

// plot draws a plot for each case, and one for the workload growth, and returns
// the names of the files.
func (r *report) plot(dir string) (map[[2]string]string, error) {
	files := map[[2]string]string{}
	save := func(workload, name string, c *chart, w, h vg.Length) error {
		if len(c.panels) == 0 {
			return nil
		}
		file := fileName(workload, name)
		files[[2]string{workload, name}] = file
		return c.saveSVG(filepath.Join(dir, file), w, h)
	}
	for _, w := range r.Workloads {
		if w.Name == "growth" {
			if err := save(w.Name, "", r.growthChart(), 8*vg.Centimeter, 10*vg.Centimeter); err != nil {
				return nil, err
			}
			continue
		}
		for _, c := range r.cases(w.Name) {
			rows := slices.DeleteFunc(r.rows(w.Name, c), func(x result) bool { return x.Note != "" })
			height := vg.Length(len(rows))*0.6*vg.Centimeter + 3*vg.Centimeter
			if err := save(w.Name, c, percentileChart(rows), 11*vg.Centimeter, height); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9]+`)

// fileName returns the name of the plot of a case.
func fileName(workload, name string) string {
	return strings.Trim(unfit.ReplaceAllString(workload+"-"+name, "-"), "-") + ".svg"
}

// chart is what a file shows: panels side by side, and the legend of all of them on
// their right, where no data is.
type chart struct {
	panels []*plot.Plot
	legend plot.Legend
}

func newChart() *chart {
	c := &chart{legend: plot.NewLegend()}
	c.legend.Top, c.legend.Left = true, true
	c.legend.Padding = vg.Millimeter / 2
	return c
}

// saveSVG draws a chart with panels of a size.
func (c *chart) saveSVG(file string, w, h vg.Length) error {
	const margin = 4 * vg.Millimeter // a browser's font may be wider than the one that was measured
	canvas := vgsvg.New(w*vg.Length(len(c.panels))+3*vg.Centimeter, h)
	dc := draw.New(canvas)
	width := c.legend.Rectangle(dc).Size().X
	tiles := draw.Tiles{Rows: 1, Cols: len(c.panels), PadX: 4 * vg.Millimeter, PadLeft: margin, PadRight: width + 2*margin}
	row := [][]*plot.Plot{c.panels}
	for i, tile := range plot.Align(row, tiles, dc)[0] {
		c.panels[i].Draw(tile)
	}
	left := dc.Max.X - width - margin
	c.legend.Draw(draw.Crop(dc, left-dc.Min.X, 0, 0, -margin))
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// logAxis makes an axis logarithmic, from low to high and a little further, with a
// label at each power of ten, of which it shows one at least.
func logAxis(a *plot.Axis, low, high float64, label func(x float64) string) {
	a.Scale = plot.LogScale{}
	a.Min, a.Max = low/1.5, high*1.5
	if decade := math.Pow(10, math.Floor(math.Log10(a.Max))); decade < a.Min {
		a.Min = decade
	}
	a.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
		ticks := plot.LogTicks{}.Ticks(low, high)
		for i, t := range ticks {
			if t.Label != "" {
				ticks[i].Label = label(t.Value)
			}
		}
		return ticks
	})
}

// timeLabel and countLabel label powers of ten.

func timeLabel(us float64) string { return scaled(us*1000, "ns", "µs", "ms", "s") }

func countLabel(n float64) string { return strings.ReplaceAll(scaled(n, "", "k", "M", "G"), " ", "") }

// scaled returns x in the unit in which it is less than a thousand. Each unit is a
// thousand times the one before.
func scaled(x float64, units ...string) string {
	for len(units) > 1 && x > 999 {
		x, units = x/1000, units[1:]
	}
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	if x < 0.9 {
		digits = strconv.FormatFloat(x, 'g', 1, 64)
	}
	return strings.TrimSpace(digits + " " + units[0])
}

// palette are colours that can be told from each other and from white.
var palette = []color.RGBA{
	{0x1f, 0x77, 0xb4, 0xff}, {0xff, 0x7f, 0x0e, 0xff}, {0x2c, 0xa0, 0x2c, 0xff}, {0xd6, 0x27, 0x28, 0xff},
	{0x94, 0x67, 0xbd, 0xff}, {0x8c, 0x56, 0x4b, 0xff}, {0xe3, 0x77, 0xc2, 0xff}, {0x7f, 0x7f, 0x7f, 0xff},
	{0xbc, 0xbd, 0x22, 0xff}, {0x17, 0xbe, 0xcf, 0xff}, {0x00, 0x00, 0x00, 0xff}, {0x1a, 0x3a, 0x7a, 0xff},
}

// style makes the i-th line of a plot look like no other one.
func style(i int, l *plotter.Line, s *plotter.Scatter) {
	l.Color = palette[i%len(palette)]
	l.Dashes = plotutil.Dashes(i / len(palette))
	s.Color, s.Shape = l.Color, plotutil.Shape(i)
}

// percentileChart draws a panel for each operation: a line for each engine,
// with points at its median, percentiles and maximum.
func percentileChart(rows []result) *chart {
	marks := []struct {
		name  string
		of    func(s summary) int64
		color color.Color
		shape draw.GlyphDrawer
	}{
		{"p50", func(s summary) int64 { return s.P50 }, color.RGBA{R: 0x1b, G: 0x6c, B: 0xa8, A: 0xff}, draw.CircleGlyph{}},
		{"p90", func(s summary) int64 { return s.P90 }, color.RGBA{R: 0x3d, G: 0x9a, B: 0x5a, A: 0xff}, draw.BoxGlyph{}},
		{"p99", func(s summary) int64 { return s.P99 }, color.RGBA{R: 0xd6, G: 0x8c, B: 0x1a, A: 0xff}, draw.TriangleGlyph{}},
		{"max", func(s summary) int64 { return s.Max }, color.RGBA{R: 0xb2, G: 0x2a, B: 0x2a, A: 0xff}, draw.CrossGlyph{}},
	}
	names := make([]string, len(rows))
	for i, x := range rows {
		names[len(rows)-1-i] = x.Engine // the first one on top
	}
	chart := newChart()
	for _, op := range measured(rows) {
		var all plotter.XYs
		p := plot.New()
		p.Title.Text = op
		p.NominalY(names...)
		p.Add(plotter.NewGrid())
		for _, m := range marks {
			var points plotter.XYs
			for i, x := range rows {
				if s := x.Latencies[op]; s.Count > 0 {
					points = append(points, plotter.XY{X: float64(m.of(s)) / 1000, Y: float64(len(rows) - 1 - i)})
				}
			}
			s, err := plotter.NewScatter(points)
			if err != nil {
				continue // no points
			}
			all = append(all, points...)
			s.GlyphStyle = draw.GlyphStyle{Color: m.color, Radius: 3, Shape: m.shape}
			p.Add(s)
			if len(chart.panels) == 0 {
				chart.legend.Add(m.name, s)
			}
		}
		low, high, _, _ := plotter.XYRange(all)
		logAxis(&p.X, low, high, timeLabel)
		p.Y.Min, p.Y.Max = -0.5, float64(len(rows))-0.5
		chart.panels = append(chart.panels, p)
	}
	return chart
}

func allPoints(lines map[string]plotter.XYs) plotter.XYs {
	var all plotter.XYs
	for _, points := range lines {
		all = append(all, points...)
	}
	return all
}

// growthChart draws the median of each operation over the number of rows.
func (r *report) growthChart() *chart {
	lines := map[string]map[string]plotter.XYs{} // by operation and engine
	var engines []string
	for _, x := range r.Results {
		var rows int
		if n, _ := fmt.Sscanf(x.Case, "rows=%d", &rows); n != 1 || x.Workload != "growth" {
			continue
		}
		if !slices.Contains(engines, x.Engine) {
			engines = append(engines, x.Engine)
		}
		for op, s := range x.Latencies {
			if lines[op] == nil {
				lines[op] = map[string]plotter.XYs{}
			}
			lines[op][x.Engine] = append(lines[op][x.Engine], plotter.XY{X: float64(rows), Y: float64(s.P50) / 1000})
		}
	}
	chart := newChart()
	for _, op := range operations {
		if lines[op] == nil {
			continue
		}
		p := plot.New()
		p.Title.Text = op + ", median"
		p.X.Label.Text = "rows"
		p.Add(plotter.NewGrid())
		for i, e := range engines {
			l, s, err := plotter.NewLinePoints(lines[op][e])
			if err != nil {
				continue // no points
			}
			style(i, l, s)
			p.Add(l, s)
			if len(chart.panels) == 0 {
				chart.legend.Add(e, l, s)
			}
		}
		lowX, highX, lowY, highY := plotter.XYRange(allPoints(lines[op]))
		logAxis(&p.X, lowX, highX, countLabel)
		logAxis(&p.Y, lowY, highY, timeLabel)
		chart.panels = append(chart.panels, p)
	}
	return chart
}
