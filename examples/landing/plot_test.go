package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestPlot(t *testing.T) {
	ms := time.Millisecond
	r := run{"`a` & b", time.Second, []event{
		{true, 0, 200 * ms}, {true, 100 * ms, 300 * ms}, {true, 300 * ms, 500 * ms},
		{false, 0, 205 * ms}, {false, 10 * ms, 20 * ms},
	}}
	if n := len(r.made()); n != 3 {
		t.Errorf("%d pages made", n)
	}
	if n := r.most(); n != 2 {
		t.Errorf("%d at once", n)
	}
	if d := r.worst(0); d != 205*ms {
		t.Errorf("worst latency %v", d)
	}
	if d := r.worst(5 * ms); d != 10*ms {
		t.Errorf("worst latency %v later", d)
	}
	if n := r.waited(); n != 1 {
		t.Errorf("%d requests waited", n)
	}
	svg := plot([]run{r})
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(string(svg), "<circle"); n != 2 {
		t.Errorf("%d requests drawn", n)
	}
}
