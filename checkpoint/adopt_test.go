package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A crash at any step of an adoption leaves the checkpoint whole in one of the directories, and adopting it
// then, after a Clean of its new home, succeeds.
func TestAdoptCrashes(t *testing.T) {
	errCrash := errors.New("crash")
	for step := 0; ; step++ {
		dir := t.TempDir()
		from := filepath.Join(dir, "incoming")
		if err := os.Mkdir(from, 0o700); err != nil {
			t.Fatal(err)
		}
		want := sample(5)
		info, err := want.write(from, files{})
		if err != nil {
			t.Fatal(err)
		}
		left := step
		crashing := files{hook: func(operation, string, string) error {
			if left--; left < 0 {
				return errCrash
			}
			return nil
		}}
		_, err = crashing.adopt(dir, info)
		if err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		finished := err == nil
		if _, err := Clean(dir); err != nil {
			t.Fatal(err)
		}
		if there, err := List(dir); err != nil || len(there) == 0 {
			if info, err = Adopt(dir, info); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		} else {
			info = there[0]
		}
		requireContent(t, info.Path, want)
		if finished {
			if rest, err := os.ReadDir(from); err != nil || len(rest) != 0 {
				t.Fatalf("left behind: %v, %v", rest, err)
			}
			if step < 5 {
				t.Fatalf("only %d steps", step)
			}
			return
		}
	}
}
