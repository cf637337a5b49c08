package sim

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// plant is a bug that is put in on purpose: an edit of the source, which only the binary that the test makes of it
// has. Nothing of it is in the code that ships, and a plant whose place is no longer there fails its test.
type plant struct {
	name  string
	file  string // from the root of the module
	old   string // is in the file once
	new   string
	found string // what the check says that is to find it
}

// What checks say.
const (
	lost     = "acknowledged|not in the log|known as acknowledged|the log has lost|ends at entry"
	stale    = "of the states|does not see|cannot be put in an order|lease in term|came back|sees what came after"
	differs  = "differ|gives another state|in quarantine|applies|went into"
	answered = "the answer at its place|the calls cannot|acknowledged for another place|an answer that cannot be"
	lied     = "said not to be applied"
	twice    = "twice"
)

var (
	plantFlag      = flag.String("plant", "", "plant the bugs whose names match this alone")
	plantSeedsFlag = flag.Int("plant-seeds", 40, "how many seeds may be run to find a planted bug")
	surveyFlag     = flag.Bool("survey", false, "count the seeds that find a planted bug, instead of stopping at one")
)

// TestPlantedBugsAreFound: the checks are no theatre.
func TestPlantedBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("each bug makes a binary of its own")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(*plantFlag)
	for _, p := range plants {
		if !wanted.MatchString(p.name) {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			out, failed := runSeeds(t, p.build(t, root))
			if !failed {
				t.Fatalf("not found in %d seeds:\n%s", *plantSeedsFlag, out)
			}
			findings := regexp.MustCompile("(?m)^.*seed [0-9]+: .*$").FindAllString(out, -1)
			if len(findings) == 0 || !regexp.MustCompile(p.found).MatchString(out) {
				t.Fatalf("found, but not by %q:\n%s", p.found, head(out))
			}
			t.Logf("%d of %d seeds; %.300s", len(findings), *plantSeedsFlag, strings.TrimSpace(findings[0]))
		})
	}
}

// build returns the simulator with the bug in it.
func (p plant) build(t *testing.T, root string) (binary string) {
	source := filepath.Join(root, p.file)
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(content), p.old); n != 1 {
		t.Fatalf("the place to plant it is %d times in %s: %q", n, p.file, p.old)
	}
	dir := t.TempDir()
	edited := filepath.Join(dir, filepath.Base(p.file))
	if err := os.WriteFile(edited, []byte(strings.Replace(string(content), p.old, p.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: edited}})
	if err != nil {
		t.Fatal(err)
	}
	replace := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(replace, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "sim.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", replace, "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("it does not compile: %v\n%s", err, out)
	}
	return binary
}

// runSeeds runs seeds until one fails, or to count those that do, all of them.
func runSeeds(t *testing.T, binary string) (out string, failed bool) {
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestSim$", "-test.timeout=9m",
		"-seeds="+strconv.Itoa(*plantSeedsFlag), "-until-failure="+strconv.FormatBool(!*surveyFlag))
	all, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if strings.Contains(string(all), "panic: test timed out") {
		t.Fatalf("it did not end:\n%s", head(string(all)))
	}
	return string(all), err != nil
}

// head is the beginning of a long text.
func head(text string) string { return text[:min(len(text), 4000)] }
