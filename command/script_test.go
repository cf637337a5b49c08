package command

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/primatomic/primatomic/engine"
)

// TestScripts runs the scripts in testdata: command lines and the answers to them. Directives:
//
//	run [proto=3] [db=N]   carries the lines out; answers in readable form, one line each
//	raw [proto=3]          the same, but answers as the bytes sent
//	time ms=N | add=N      sets log time, or moves it on
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	used := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			l := newLocal()
			l.used = used
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				return runDirective(t, l, d)
			})
		})
	}
	if t.Failed() {
		return
	}
	for _, spec := range dataCommands() {
		if !used[spec.Name] {
			t.Errorf("no script runs %s", spec.Name)
		}
	}
}

// dataCommands are the rows that need nothing but the state.
func dataCommands() []*Spec {
	var specs []*Spec
	for _, family := range [][]*Spec{
		keyCommands(), expiryCommands(), stringCommands(), counterCommands(), canonicalCommands(),
	} {
		specs = append(specs, family...)
	}
	return specs
}

func runDirective(t *testing.T, l *local, d *datadriven.TestData) string {
	proto, db := 2, 0
	d.MaybeScanArgs(t, "proto", &proto)
	d.MaybeScanArgs(t, "db", &db)
	l.reply.SetProto(proto)
	l.ref = engine.Ref{Number: int16(db)}
	var out strings.Builder
	switch d.Cmd {
	case "time":
		var ms, add int64
		d.MaybeScanArgs(t, "add", &add)
		if d.MaybeScanArgs(t, "ms", &ms) {
			l.now = ms
		}
		l.now += add
		fmt.Fprintf(&out, "%d\n", l.now)
	case "run", "raw":
		for text := range strings.Lines(d.Input) {
			answer := l.do(words(t, text)...)
			if d.Cmd == "raw" {
				out.WriteString(strconv.Quote(string(answer)) + "\n")
				continue
			}
			v, rest, err := ParseValue(answer)
			if err != nil || len(rest) > 0 {
				t.Fatalf("%s: bad answer %q", text, answer)
			}
			out.WriteString(show(v) + "\n")
		}
	default:
		t.Fatalf("unknown directive %s", d.Cmd)
	}
	return out.String()
}

// words splits a command line at blanks. A word in double quotes is a Go string; * between a quoted
// word and a number repeats it.
func words(t *testing.T, text string) [][]byte {
	var args [][]byte
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " ") {
		if text[0] != '"' {
			word, rest, _ := strings.Cut(text, " ")
			args, text = append(args, []byte(word)), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		word, _ := strconv.Unquote(quoted)
		text = text[len(quoted):]
		if strings.HasPrefix(text, "*") {
			number, rest, _ := strings.Cut(text[1:], " ")
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			word, text = strings.Repeat(word, n), rest
		}
		args = append(args, []byte(word))
	}
	return args
}

// show prints an answer: +status, -error, "string", integer, nil, [elements].
func show(v Value) string {
	switch v.Kind {
	case KindStatus, KindError:
		return string(byte(v.Kind)) + string(v.Bytes)
	case KindInt:
		return strconv.FormatInt(v.Int, 10)
	case KindBulk:
		if len(v.Bytes) > 100 {
			return fmt.Sprintf("%q... %d bytes", v.Bytes[:10], len(v.Bytes))
		}
		return strconv.Quote(string(v.Bytes))
	case KindNull:
		return "nil"
	case KindArray, KindMap, KindSet:
		elems := make([]string, len(v.Elems))
		for i := range v.Elems {
			elems[i] = show(v.Elems[i])
		}
		return "[" + strings.Join(elems, " ") + "]"
	}
	return string(byte(v.Kind)) + string(v.Bytes)
}
