package checkpoint

import "math"

// PieceBytes is what one checksum covers, and the unit in which checkpoints travel.
const PieceBytes = sumBytes

// FileName returns the name of a checkpoint's bbolt file in its directory.
func FileName(group, term, index uint64) string { return fileName(group, term, index) }

// Sums are the checksums of a checkpoint's bbolt file, piece by piece.
type Sums struct {
	sums sums
}

// ReadSums reads the side file of the bbolt file at path.
func ReadSums(path string) (Sums, error) {
	s, err := readSums(path, sumsPath(path))
	return Sums{s}, err
}

// DecodeSums reads the content of a side file that came from somewhere. It is bounded by its own length.
func DecodeSums(from string, content []byte) (Sums, error) {
	s, err := decodeSums(from, content)
	if err == nil && int64(len(s.crcs)) > math.MaxUint32 {
		err = corrupt(from, 0, "it has %d checksums", len(s.crcs))
	}
	return Sums{s}, err
}

// Encode returns the content of the side file.
func (s Sums) Encode() []byte { return s.sums.encode() }

// Length returns the length of the bbolt file.
func (s Sums) Length() int64 { return s.sums.length }

// Pieces returns the number of pieces.
func (s Sums) Pieces() int { return len(s.sums.crcs) }

// Piece returns where a piece is in the file. All but the last have PieceBytes.
func (s Sums) Piece(number int) (offset int64, length int) {
	offset = int64(number) * sumBytes
	return offset, int(min(sumBytes, s.sums.length-offset))
}

// Check reports whether a piece is what was written.
func (s Sums) Check(number int, piece []byte) bool {
	if number < 0 || number >= len(s.sums.crcs) {
		return false
	}
	_, length := s.Piece(number)
	return len(piece) == length && checksum(piece) == s.sums.crcs[number]
}
