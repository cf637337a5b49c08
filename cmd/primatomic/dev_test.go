package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestDevRefuses(t *testing.T) {
	for _, c := range []devCommand{
		{Nodes: 0, Port: 6379}, {Nodes: 10, Port: 6379}, {Nodes: 3, Port: 0}, {Nodes: 3, Port: 62534},
	} {
		if err := c.run(nil, io.Discard, io.Discard); err == nil {
			t.Errorf("%+v is not refused", c)
		}
	}
}

func TestNamedLines(t *testing.T) {
	var out bytes.Buffer
	lines := &lineWriter{to: &out}
	one, two := &namedLines{to: lines, name: "n1"}, &namedLines{to: lines, name: "n2"}
	long := strings.Repeat("x", lineBytesMax)
	for _, w := range []struct {
		to   io.Writer
		text string
	}{{one, "a\nb"}, {two, "c\n"}, {one, "\n\n"}, {two, long}} {
		if n, err := w.to.Write([]byte(w.text)); n != len(w.text) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := "n1 | a\nn2 | c\nn1 | b\nn1 | \nn2 | " + long + "\n"; out.String() != want {
		t.Errorf("written: %.80q", out.String())
	}
}
