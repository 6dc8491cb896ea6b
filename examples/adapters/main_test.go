package main

import (
	"io"
	"testing"
)

func TestRun(t *testing.T) {
	if err := run(t.Context(), io.Discard, nil); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), io.Discard, []string{"none"}); err == nil {
		t.Error("there is a program called none")
	}
}
