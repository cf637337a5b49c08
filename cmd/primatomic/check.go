package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/primatomic/primatomic/server"
	"github.com/primatomic/primatomic/wal"
)

type checkCommand struct {
	DataDir string `default:"data" type:"path" help:"Data directory of a node that does not run, or a copy of one."`
	JSON    bool   `name:"json" help:"Print one JSON object instead of text."`
}

// Exit statuses of check.
const (
	exitDamage    = 1
	exitUnchecked = 2
)

// finding is a wal.Finding as JSON.
type finding struct {
	File    string `json:"file"`
	Offset  int64  `json:"offset"`
	Damage  bool   `json:"damage"`
	Message string `json:"message"`
}

// checkResult is what check prints as JSON.
type checkResult struct {
	DataDir  string    `json:"data_dir"`
	Sound    bool      `json:"sound"`
	Findings []finding `json:"findings"`
}

// Run checks. The exit status is 0 if all is sound, 1 if there is damage, 2 if the directory could not be checked.
func (c *checkCommand) Run() error { return c.run(os.Stdout) }

func (c *checkCommand) run(w io.Writer) error {
	result := checkResult{DataDir: c.DataDir}
	damages := 0
	sound, err := server.CheckData(c.DataDir, func(f wal.Finding) {
		result.Findings = append(result.Findings, finding(f))
		if f.Damage {
			damages++
		}
		if !c.JSON {
			fmt.Fprintln(w, c.line(f))
		}
	})
	if err != nil {
		return exit{exitUnchecked, err}
	}
	if c.JSON {
		result.Sound = sound
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(result); err != nil {
			return exit{exitUnchecked, err}
		}
	}
	if !sound {
		return exit{exitDamage, fmt.Errorf("%s is damaged, findings: %d. Nothing was changed. "+
			"docs/OPERATIONS.md says how to go on", c.DataDir, damages)}
	}
	if !c.JSON {
		fmt.Fprintf(w, "%s is sound\n", c.DataDir)
	}
	return nil
}

// line prints a finding for people.
func (c *checkCommand) line(f wal.Finding) string {
	word, place := "ok      ", f.File
	if f.Damage {
		word = "DAMAGED "
	}
	if short, err := filepath.Rel(c.DataDir, f.File); err == nil {
		place = short
	}
	if f.Offset > 0 || f.Damage {
		place += fmt.Sprintf(" at byte %d", f.Offset)
	}
	return word + place + ": " + f.Message
}
