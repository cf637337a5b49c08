package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// report is what a run has found. Its tables are printed row by row, and written whole as JSON.
type report struct {
	Machine string   `json:"machine"`
	Began   string   `json:"began"`
	Notes   []string `json:"notes,omitempty"`
	Tables  []*table `json:"tables"`
	out     io.Writer
}

func newReport(out io.Writer) *report {
	r := &report{Machine: machine(), Began: time.Now().Format(time.RFC3339), out: out}
	fmt.Fprintf(out, "# %s\n", r.Machine)
	return r
}

// note says what a reader of the figures has to know.
func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	fmt.Fprintln(r.out, r.Notes[len(r.Notes)-1])
}

// write writes the figures to a file, or to standard output if its name is "-".
func (r *report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if file == "-" {
		_, err = os.Stdout.Write(data)
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// table is figures of one kind. A cell is a text, an integer, a float64, or nil where there is no figure.
type table struct {
	Name    string           `json:"name"`
	Columns []string         `json:"columns"`
	Rows    []map[string]any `json:"rows"`
	out     io.Writer
}

const cellWidth = 9

// table begins a table and prints its head.
func (r *report) table(name string, columns ...string) *table {
	t := &table{Name: name, Columns: columns, Rows: []map[string]any{}, out: r.out}
	r.Tables = append(r.Tables, t)
	fmt.Fprintln(t.out)
	t.print(columns)
	return t
}

// row adds a row, a cell for each column, and prints it.
func (t *table) row(cells ...any) {
	row, texts := make(map[string]any, len(cells)), make([]string, len(cells))
	for i, cell := range cells {
		row[t.Columns[i]] = cell
		texts[i] = cellText(cell)
	}
	t.Rows = append(t.Rows, row)
	t.print(texts)
}

func (t *table) print(texts []string) {
	var line strings.Builder
	for i, text := range texts {
		fmt.Fprintf(&line, "%*s  ", max(cellWidth, len(t.Columns[i])), text)
	}
	fmt.Fprintln(t.out, strings.TrimRight(line.String(), " "))
}

func cellText(cell any) string {
	switch c := cell.(type) {
	case nil:
		return "-"
	case float64:
		switch {
		case c >= 1000:
			return fmt.Sprintf("%.0f", c)
		case c >= 100:
			return fmt.Sprintf("%.1f", c)
		}
		return fmt.Sprintf("%.2f", c)
	}
	return fmt.Sprint(cell)
}

// ratio divides ours by theirs; nil if there is no figure of one of them.
func ratio(ours, theirs float64) any {
	if ours == 0 || theirs == 0 {
		return nil
	}
	return ours / theirs
}

// known returns a figure; nil if there is none.
func known(f float64) any {
	if f == 0 {
		return nil
	}
	return f
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
