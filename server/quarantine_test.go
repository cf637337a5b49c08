package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/checkpoint"
)

// A node whose data is known to be wrong starts, so that it votes, and serves nothing.
func TestStartInQuarantine(t *testing.T) {
	dir := ran(t)
	must(t, checkpoint.Quarantine(checkpointDir(dir), groupID, "planted"))
	report, sound := check(t, dir)
	if sound || !strings.Contains(report, "group 1 is in quarantine: planted") {
		t.Errorf("sound = %v, the check says\n%s", sound, report)
	}
	s := mustStart(t, testOptions(t, dir))
	defer mustStop(t, s)
	for _, words := range [][]string{{"GET", "a"}, {"SET", "a", "1"}} {
		if got := ask(t, s, words...); !strings.HasPrefix(got, "-TRYAGAIN not applied: this node's data differs") {
			t.Errorf("%s is answered %q", words, got)
		}
	}
	answer, err := http.Get("http://" + s.health.addr.String() + "/readyz")
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "planted") {
		t.Errorf("/readyz says %d %q", answer.StatusCode, text)
	}
}
