package server

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size as people write it: "512MiB", "16kb", "1073741824". KiB, MiB, GiB and TiB count in
// 1024s, and so do k, m, g and t with or without "b", as they do in Redis' own configuration.
type Bytes int64

var units = []struct {
	suffix string
	shift  uint
}{
	{"kib", 10}, {"mib", 20}, {"gib", 30}, {"tib", 40},
	{"kb", 10}, {"mb", 20}, {"gb", 30}, {"tb", 40},
	{"k", 10}, {"m", 20}, {"g", 30}, {"t", 40}, {"b", 0}, {"", 0},
}

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(text)))
	for _, unit := range units {
		digits, found := strings.CutSuffix(s, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64>>unit.shift {
			break
		}
		*b = Bytes(n << unit.shift)
		return nil
	}
	return fmt.Errorf("%q is not a size: write a number of bytes, or one with KiB, MiB, GiB or TiB", text)
}

// String returns the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		shift := map[string]uint{"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[unit]
		if b != 0 && b&(1<<shift-1) == 0 {
			return fmt.Sprintf("%d%s", b>>shift, unit)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
