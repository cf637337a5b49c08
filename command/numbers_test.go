package command

import (
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestParseInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-1": -1, "10": 10, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63,
	} {
		if got, ok := parseInt([]byte(text)); !ok || got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808",
		"-9223372036854775809", "99999999999999999999", "18446744073709551616", "a",
	} {
		if n, ok := parseInt([]byte(text)); ok {
			t.Errorf("%q was taken for %d", text, n)
		}
	}
}

// TestParseIntAgainstStrconv: what is accepted is exactly what printing a number gives.
func TestParseIntAgainstStrconv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`-?[0-9]{1,21}`),
			rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) })).Draw(t, "text")
		want, err := strconv.ParseInt(text, 10, 64)
		canonical := err == nil && strconv.FormatInt(want, 10) == text
		if got, ok := parseInt([]byte(text)); ok != canonical || ok && got != want {
			t.Fatalf("%q: %d, %v", text, got, ok)
		}
	})
}

func TestParseUint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{0,21}|x`).Draw(t, "text")
		want, err := strconv.ParseUint(text, 10, 64)
		if got, ok := parseUint([]byte(text)); ok != (err == nil) && len(text) <= 20 || ok && got != want {
			t.Fatalf("%q: %d, %v", text, got, ok)
		}
	})
}

// TestParseLongDoubleBounds: the largest and the smallest numbers, and what rounds past them.
func TestParseLongDoubleBounds(t *testing.T) {
	for text, want := range map[string]bool{
		"0x1p16383": true, "0x1p16384": false, "1e4932": true, "1.2e4932": false, "-1e4933": false,
		"0x1p-16445": true, "0x1.8p-16446": true, "0x1p-16446": false, "-0x1p-16446": false, "0x1p-16447": false,
	} {
		if _, ok := parseLongDouble([]byte(text)); ok != want {
			t.Errorf("%s: accepted is %v", text, ok)
		}
	}
}

// TestLongDoubleRoundTrip: what is printed reads back as the same number, if 17 decimals hold it.
func TestLongDoubleRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mantissa := rapid.Int64().Draw(t, "mantissa")
		shift := rapid.IntRange(-17, 200).Draw(t, "shift")
		f := new(big.Float).SetPrec(longDoubleBits).SetInt64(mantissa)
		f.SetMantExp(f, shift)
		text := appendLongDouble([]byte("x"), f)[1:]
		back, ok := parseLongDouble(text)
		if !ok || back.Cmp(f) != 0 {
			t.Fatalf("%s: read back %v, %v", text, back, ok)
		}
	})
}

func FuzzLongDouble(f *testing.F) {
	for _, text := range []string{
		"1.5", "-0x1.8p-3", "1e4932", "inf", "1e-4950", "0e99999999999999999999", ".",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, ok := parseLongDouble(text)
		if !ok {
			return
		}
		sum, finite := addLongDouble(n, n)
		if !finite {
			return
		}
		printed := appendLongDouble(nil, sum)
		if _, ok := parseLongDouble(printed); !ok {
			t.Fatalf("%q twice is %q, which is no number", text, printed)
		}
	})
}
