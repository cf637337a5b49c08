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
	// What cannot be met with in a few seeds has a test of its own package, from the root of the module.
	pkg, run string
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
	plantSeedsFlag = flag.Int("plant-seeds", 60, "how many seeds may be run to find a planted bug")
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
			args := []string{"-test.run=" + p.run}
			if p.pkg == "" {
				p.pkg = "integration/sim"
				args = []string{
					"-test.run=^TestSim$", "-seeds=" + strconv.Itoa(*plantSeedsFlag),
					"-until-failure=" + strconv.FormatBool(!*surveyFlag),
				}
			}
			out, failed := p.test(t, root, p.build(t, root), args)
			if !failed {
				t.Fatalf("not found:\n%s", head(out))
			}
			finding := regexp.MustCompile("(?m)^.*_test.go:[0-9]+: (?s:.*)(" + p.found + ").*$").FindString(out)
			if finding == "" {
				t.Fatalf("found, but not by %q:\n%s", p.found, head(out))
			}
			t.Logf("%d findings; %.300s", strings.Count(out, ": seed "), strings.TrimSpace(finding))
		})
	}
}

// build returns the tests with the bug in what they test.
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
	edited, replace := filepath.Join(dir, filepath.Base(p.file)), filepath.Join(dir, "overlay.json")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: edited}})
	err = errors.Join(err,
		os.WriteFile(edited, []byte(strings.Replace(string(content), p.old, p.new, 1)), 0o600),
		os.WriteFile(replace, overlay, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "planted.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", replace,
		"-o", binary, "./"+p.pkg)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("it does not compile: %v\n%s", err, out)
	}
	return binary
}

// test runs the tests, and tells what they say and whether they have failed.
func (p plant) test(t *testing.T, root, binary string, args []string) (out string, failed bool) {
	cmd := exec.CommandContext(t.Context(), binary, append(args, "-test.timeout=9m")...)
	cmd.Dir = filepath.Join(root, p.pkg)
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
