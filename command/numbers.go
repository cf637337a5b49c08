package command

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
)

// parseInt reads a signed 64-bit integer in the one form that Redis takes: what printing it would give.
func parseInt(b []byte) (int64, bool) {
	digits := b
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n, ok := parseUint(digits)
	switch {
	case !ok:
		return 0, false
	case negative && n <= 1<<63:
		return -int64(n), true
	case !negative && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

// parseUint reads decimal digits that fit 64 bits.
func parseUint(digits []byte) (uint64, bool) {
	if len(digits) == 0 || len(digits) > 20 {
		return 0, false
	}
	var n uint64
	for _, d := range digits {
		d -= '0'
		if d > 9 || n > math.MaxUint64/10 || n*10 > math.MaxUint64-uint64(d) {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	return n, true
}

// Redis computes INCRBYFLOAT in the x87 long double of its usual build: a mantissa of 64 bits, and
// exponents within these bounds (in the terms of big.Float.MantExp). Subnormal numbers keep their full
// precision here; INCRBYFLOAT prints 17 decimals, so none of it shows.
const (
	longDoubleBits   = 64
	longDoubleExpMax = 16384
	longDoubleExpMin = -16445
	longDoubleTexMax = 5 * 1024 // bytes; Redis refuses longer texts
)

// parseLongDouble reads a number as strtold does under Redis' rules: decimal or hexadecimal, infinities,
// no NaN, no blanks, and nothing that overflows or that underflows to zero.
func parseLongDouble(b []byte) (*big.Float, bool) {
	if len(b) >= longDoubleTexMax {
		return nil, false
	}
	body := b
	negative := len(b) > 0 && b[0] == '-'
	if negative || len(b) > 0 && b[0] == '+' {
		body = b[1:]
	}
	f := new(big.Float).SetPrec(longDoubleBits)
	if foldEqual(body, "inf") || foldEqual(body, "infinity") {
		return f.SetInf(negative), true
	}
	base, zero, ok := scanNumber(body)
	if !ok {
		return nil, false
	}
	if zero {
		return f, true
	}
	if _, _, err := f.Parse(string(b), base); err != nil || f.IsInf() || f.Sign() == 0 {
		return nil, false
	}
	exp := f.MantExp(nil)
	if exp == longDoubleExpMin && f.MinPrec() == 1 { // half of the smallest number: a tie goes to zero
		return nil, false
	}
	return f, exp <= longDoubleExpMax && exp >= longDoubleExpMin
}

// scanNumber holds an unsigned number against the grammar of strtold. It returns the base argument for
// big.Float.Parse, and whether all digits are zero.
func scanNumber(b []byte) (base int, zero, ok bool) {
	base, mark, isDigit := 10, byte('e'), isDecimal
	if len(b) > 1 && b[0] == '0' && lower(b[1]) == 'x' {
		base, mark, isDigit = 0, 'p', isHex
		b = b[2:]
	}
	mantissa, exponent := b, []byte(nil)
	if i := bytes.IndexFunc(b, func(r rune) bool { return r == rune(mark) || r == rune(mark-'a'+'A') }); i >= 0 {
		mantissa, exponent = b[:i], b[i+1:]
		if len(exponent) > 0 && (exponent[0] == '-' || exponent[0] == '+') {
			exponent = exponent[1:]
		}
		if len(exponent) == 0 || !all(exponent, isDecimal) {
			return 0, false, false
		}
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte{'.'})
	if len(whole)+len(fraction) == 0 || !all(whole, isDigit) || !all(fraction, isDigit) {
		return 0, false, false
	}
	isZero := func(c byte) bool { return c == '0' }
	return base, all(whole, isZero) && all(fraction, isZero), true
}

func all(b []byte, is func(byte) bool) bool {
	for _, c := range b {
		if !is(c) {
			return false
		}
	}
	return true
}

func isDecimal(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDecimal(c) || 'a' <= lower(c) && lower(c) <= 'f' }

// addLongDouble adds two numbers; false if the sum is no finite long double.
func addLongDouble(a, b *big.Float) (*big.Float, bool) {
	if a.IsInf() || b.IsInf() {
		return nil, false
	}
	sum := new(big.Float).SetPrec(longDoubleBits).Add(a, b)
	return sum, sum.MantExp(nil) <= longDoubleExpMax
}

// appendLongDouble prints a finite number as Redis prints one for people: 17 decimals, trailing zeros
// removed.
func appendLongDouble(dst []byte, f *big.Float) []byte {
	start := len(dst)
	dst = bytes.TrimRight(f.Append(dst, 'f', 17), "0")
	dst = bytes.TrimSuffix(dst, []byte{'.'})
	if text := dst[start:]; len(text) == 0 || string(text) == "-0" || string(text) == "-" {
		return append(dst[:start], '0')
	}
	return dst
}

// decimal is room for any 64-bit integer.
type decimal [20]byte

func (d *decimal) of(n int64) []byte { return strconv.AppendInt(d[:0], n, 10) }

// formatInt writes an integer in decimal.
func formatInt(n int64) string { return strconv.FormatInt(n, 10) }
