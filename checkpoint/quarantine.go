package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// quarantineSuffix ends the name of the file that says of a group that its checkpoints are not to be trusted.
const quarantineSuffix = ".quarantined"

// reasonBytesMax bounds the reason kept with a quarantine.
const reasonBytesMax = 4 << 10

func quarantinePath(dir string, group uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%d%s", group, quarantineSuffix))
}

// QuarantineOf returns of which group a file in the directory notes the quarantine, false if it is no such file.
func QuarantineOf(name string) (group uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, quarantineSuffix)
	if !ok {
		return 0, false
	}
	group, err := strconv.ParseUint(digits, 10, 64)
	return group, err == nil && name == filepath.Base(quarantinePath("", group))
}

// Quarantine notes durably that the state of a group, and so every checkpoint of it in the directory, was found to be
// wrong, and why. It stays so until the directory is emptied. The directory is made if there is none. After an
// error the note may be there or not.
func Quarantine(dir string, group uint64, reason string) error {
	return files{}.quarantine(dir, group, reason)
}

func (f files) quarantine(dir string, group uint64, reason string) error {
	if err := f.makeDirectory(dir); err != nil {
		return fmt.Errorf("checkpoint: quarantine: %w", err)
	}
	// That the file is there says everything, so a torn one does no harm.
	content := []byte(reason[:min(len(reason), reasonBytesMax)])
	if err := f.write(quarantinePath(dir, group), content); err != nil {
		return fmt.Errorf("checkpoint: quarantine: %w", err)
	}
	if err := f.syncDir(dir); err != nil {
		return fmt.Errorf("checkpoint: quarantine: %w", err)
	}
	return nil
}

// Quarantined reports whether Quarantine was called for the group, in this process or an earlier one, and the
// reason that was given. An error means that this cannot be known.
func Quarantined(dir string, group uint64) (reason string, yes bool, err error) {
	file, err := os.Open(quarantinePath(dir, group))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("checkpoint: quarantine: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, reasonBytesMax))
	if err != nil {
		return "", false, fmt.Errorf("checkpoint: quarantine: %w", err)
	}
	return string(content), true, nil
}
