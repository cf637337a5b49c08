package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/primatomic/primatomic/server"
)

// stopped returns the data directory of a node that was started and stopped.
func stopped(t *testing.T) (dir string) {
	t.Helper()
	var c server.Config
	if err := kong.ApplyDefaults(&c); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "data")
	c.Storage.DataDir, c.Listen = dir, server.ListenConfig{RespAddr: "127.0.0.1:0"}
	s, err := server.Start(t.Context(), server.Options{
		Config: c, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func runCheck(dir string, asJSON bool) (text string, status int) {
	var b bytes.Buffer
	err := (&checkCommand{DataDir: dir, JSON: asJSON}).run(&b)
	var e exit
	if errors.As(err, &e) {
		return b.String(), e.status
	}
	return b.String(), 0
}

func TestCheck(t *testing.T) {
	dir := stopped(t)
	text, status := runCheck(dir, false)
	if status != 0 || !strings.Contains(text, "\nok      wal/0000000000000001.wal at byte ") ||
		!strings.HasSuffix(text, dir+" is sound\n") {
		t.Errorf("of a sound directory it says %d,\n%s", status, text)
	}
	text, status = runCheck(dir, true)
	var result checkResult
	err := json.Unmarshal([]byte(text), &result)
	if err != nil || status != 0 || !result.Sound || result.DataDir != dir || len(result.Findings) < 4 {
		t.Errorf("of a sound directory it says %d, %v,\n%s", status, err, text)
	}

	const offset = 4096 + 50 // in the first frame
	segment := filepath.Join(dir, "wal", "0000000000000001.wal")
	file, err := os.OpenFile(segment, os.O_RDWR, 0)
	if err == nil {
		_, err = file.WriteAt([]byte("damage"), offset)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	text, status = runCheck(dir, false)
	if status != exitDamage || !strings.Contains(text, "\nDAMAGED wal/0000000000000001.wal at byte 4096: ") {
		t.Errorf("of a damaged directory it says %d,\n%s", status, text)
	}
	text, status = runCheck(dir, true)
	result = checkResult{}
	err = json.Unmarshal([]byte(text), &result)
	damages := 0
	for _, f := range result.Findings {
		if f.Damage {
			damages++
			if f.File != segment || f.Offset != 4096 || f.Message == "" {
				t.Errorf("finding %+v", f)
			}
		}
	}
	if err != nil || status != exitDamage || result.Sound || damages != 1 {
		t.Errorf("of a damaged directory it says %d, %v,\n%s", status, err, text)
	}
	if text, status := runCheck(filepath.Join(dir, "none"), true); status != exitUnchecked || text != "" {
		t.Errorf("of no directory it says %d,\n%s", status, text)
	}
}

func TestHelp(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--help"}, []string{
			"serve ", "kv get", "namespace create", "cluster status", "token new", "check", "version",
		}},
		{[]string{"serve", "--help"}, []string{
			"\nStorage\n", "\nListening\n", "\nSecurity\n", "\nLimits\n", "\nLogging\n",
			"--resp-addr=\"127.0.0.1:6379\"", "$PRIMATOMIC_RESP_ADDR", "--max-memory=0", "--jwt-key=FILE",
			"--config=FILE",
		}},
		{[]string{"check", "--help"}, []string{"--data-dir", "--json"}},
	} {
		var out bytes.Buffer
		c := new(commands)
		parser := newParser(c)
		parser.Stdout, parser.Exit = &out, func(int) { panic(errHelp) }
		func() {
			defer func() {
				if p := recover(); p != errHelp {
					t.Errorf("%q: %v", tt.args, p)
				}
			}()
			_, err := parser.Parse(tt.args)
			t.Errorf("%q goes on after the help: %v", tt.args, err)
		}()
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q: %q is not in\n%s", tt.args, want, out.String())
			}
		}
	}
}

var errHelp = errors.New("help was printed")
