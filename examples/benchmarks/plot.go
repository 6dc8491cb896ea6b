package main

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	save := func(workload, name string, panels []*plot.Plot, w, h vg.Length) error {
		if len(panels) == 0 {
			return nil
		}
		file := fileName(workload, name)
		files[[2]string{workload, name}] = file
		return saveSVG(filepath.Join(dir, file), panels, w, h)
	}
	for _, w := range r.Workloads {
		if w.Name == "growth" {
			panels := r.growthPanels()
			if err := save(w.Name, "", panels, 9*vg.Centimeter, 10*vg.Centimeter); err != nil {
				return nil, err
			}
			continue
		}
		for _, c := range r.cases(w.Name) {
			rows := slices.DeleteFunc(r.rows(w.Name, c), func(x result) bool { return x.Note != "" })
			height := vg.Length(len(rows))*0.6*vg.Centimeter + 3*vg.Centimeter
			if err := save(w.Name, c, percentilePanels(rows), 12*vg.Centimeter, height); err != nil {
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

// saveSVG draws panels side by side.
func saveSVG(file string, panels []*plot.Plot, w, h vg.Length) error {
	canvas := vgsvg.New(w*vg.Length(len(panels)), h)
	dc := draw.New(canvas)
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 4 * vg.Millimeter}
	row := [][]*plot.Plot{panels}
	for i, c := range plot.Align(row, tiles, dc)[0] {
		panels[i].Draw(c)
	}
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

// percentilePanels draws a panel for each operation: a line for each engine,
// with points at its median, percentiles and maximum.
func percentilePanels(rows []result) []*plot.Plot {
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
	var panels []*plot.Plot
	for _, op := range measured(rows) {
		var all plotter.XYs
		p := plot.New()
		p.Title.Text = op
		p.X.Label.Text = "µs"
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
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
			p.Legend.Add(m.name, s)
		}
		p.Legend.Top = true
		low, high, _, _ := plotter.XYRange(all)
		p.X.Min, p.X.Max = low/1.5, high*15 // room for the legend
		p.Y.Min, p.Y.Max = -0.5, float64(len(rows))-0.5
		panels = append(panels, p)
	}
	return panels
}

func allPoints(lines map[string]plotter.XYs) plotter.XYs {
	var all plotter.XYs
	for _, points := range lines {
		all = append(all, points...)
	}
	return all
}

// growthPanels draws the median of each operation over the number of rows.
func (r *report) growthPanels() []*plot.Plot {
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
	var panels []*plot.Plot
	names := plot.New() // a panel for the legend alone
	names.HideAxes()
	names.Legend.Top, names.Legend.Left = true, true
	for _, op := range operations {
		if lines[op] == nil {
			continue
		}
		p := plot.New()
		p.Title.Text = op + ", median"
		p.X.Label.Text, p.Y.Label.Text = "rows", "µs"
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Add(plotter.NewGrid())
		for i, e := range engines {
			l, s, err := plotter.NewLinePoints(lines[op][e])
			if err != nil {
				continue // no points
			}
			l.Color, s.Color, s.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
			p.Add(l, s)
			if len(panels) == 0 {
				names.Legend.Add(e, l, s)
			}
		}
		// Where all values are the same the plot would begin below 0, where
		// there is no logarithm.
		lowX, highX, lowY, highY := plotter.XYRange(allPoints(lines[op]))
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = lowX/1.2, highX*1.2, lowY/1.5, highY*1.5
		panels = append(panels, p)
	}
	if len(panels) > 0 {
		panels = append(panels, names)
	}
	return panels
}
