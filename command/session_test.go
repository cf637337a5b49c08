package command

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/primatomic/primatomic/auth"
)

// TestSessionScripts runs testdata/session: "host" starts a process, with authentication or without;
// "connect" opens connections; "send" sends command lines and prints the bytes of each answer on one
// line, with a space for each line break; "advance" moves the clock.
func TestSessionScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/session", func(t *testing.T, path string) {
		host := newFakeHost(auth.Off())
		sessions := map[string]*Session{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "host":
				if d.HasArg("auth") {
					host = newFakeHost(testTokens())
				}
				return ""
			case "connect":
				for _, arg := range d.CmdArgs {
					sessions[arg.Key] = host.connect()
				}
				return ""
			case "advance":
				by, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				host.now = host.now.Add(by)
				return ""
			case "send":
				return transcript(t, host, sessions[d.CmdArgs[0].Key], d.Input)
			}
			d.Fatalf(t, "unknown directive %s", d.Cmd)
			return ""
		})
	})
}

func transcript(t *testing.T, host *fakeHost, s *Session, script string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range strings.Split(script, "\n") {
		answer := host.send(s, splitLine(t, line)...)
		for rest := []byte(answer); len(rest) > 0; {
			var err error
			if _, rest, err = ParseValue(rest); err != nil {
				t.Fatalf("%s: answer %q: %v", line, answer, err)
			}
		}
		answer = strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(answer, "\r\n", " "), "\n", "~"))
		if answer == "" {
			answer = "(nothing)"
		}
		if s.Closing {
			answer += " (closes)"
		}
		fmt.Fprintln(&b, answer)
	}
	return b.String()
}
