package checkpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// Layout of the side file, big endian: magic (8), format (4), length of the bbolt file (8), a CRC32C for each
// MiB of it, the last one possibly shorter (4 each), CRC32C of all of that (4).
const (
	sumsMagic     = "PATOMCRC"
	sumsFormat    = 1
	sumsHeaderLen = 8 + 4 + 8
	sumBytes      = 1 << 20 // bytes of the bbolt file covered by one checksum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// sums are the checksums of a bbolt file.
type sums struct {
	length int64    // of the bbolt file
	crcs   []uint32 // one per started MiB
}

// pieces returns how many checksums cover a file of length bytes.
func pieces(length int64) int64 { return (length + sumBytes - 1) / sumBytes }

func (s sums) encode() []byte {
	b := make([]byte, 0, sumsHeaderLen+4*len(s.crcs)+4)
	b = append(b, sumsMagic...)
	b = binary.BigEndian.AppendUint32(b, sumsFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(s.length))
	for _, crc := range s.crcs {
		b = binary.BigEndian.AppendUint32(b, crc)
	}
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

// decodeSums reads the content b of the side file at path.
func decodeSums(path string, b []byte) (sums, error) {
	if len(b) < sumsHeaderLen+4 {
		return sums{}, corrupt(path, int64(len(b)), "the file of checksums ends within its header")
	}
	body, trailer := b[:len(b)-4], b[len(b)-4:]
	if checksum(body) != binary.BigEndian.Uint32(trailer) {
		return sums{}, corrupt(path, int64(len(body)), "the file of checksums does not match its own")
	}
	if string(body[:8]) != sumsMagic {
		return sums{}, corrupt(path, 0, "this is no file of checksums")
	}
	switch version := binary.BigEndian.Uint32(body[8:]); {
	case version > sumsFormat:
		return sums{}, fmt.Errorf("%w: %s has format %d, known is %d",
			ErrNewerFormat, path, version, sumsFormat)
	case version < sumsFormat:
		return sums{}, corrupt(path, 8, "format %d has never been", version)
	}
	s := sums{length: int64(binary.BigEndian.Uint64(body[12:]))}
	crcs := body[sumsHeaderLen:]
	if s.length < 0 || len(crcs)%4 != 0 || int64(len(crcs)/4) != pieces(s.length) {
		return sums{}, corrupt(path, 12, "%d bytes of checksums do not fit a file of %d bytes",
			len(crcs), s.length)
	}
	for ; len(crcs) > 0; crcs = crcs[4:] {
		s.crcs = append(s.crcs, binary.BigEndian.Uint32(crcs))
	}
	return s, nil
}

// computeSums reads a whole file. It calls pace, if given, with the bytes read for each checksum.
func computeSums(ctx context.Context, path string, pace func(bytes int)) (sums, error) {
	var s sums
	err := readPieces(path, func(piece []byte) error {
		s.length += int64(len(piece))
		s.crcs = append(s.crcs, checksum(piece))
		if pace != nil {
			pace(len(piece))
		}
		return ctx.Err()
	})
	return s, err
}

// verifySums reads the bbolt file at path against its side file. Damage is a *CorruptError.
func verifySums(path string) error {
	side := sumsPath(path)
	want, err := readSums(path, side)
	if err != nil {
		return err
	}
	stat, err := os.Stat(path)
	if err != nil {
		return err
	}
	if stat.Size() != want.length {
		return corrupt(path, min(stat.Size(), want.length),
			"the file has %d bytes, its checksums say %d", stat.Size(), want.length)
	}
	number := 0
	err = readPieces(path, func(piece []byte) error {
		offset := int64(number) * sumBytes
		if number >= len(want.crcs) {
			return corrupt(path, offset, "the file grows while it is read")
		}
		if got := checksum(piece); got != want.crcs[number] {
			return corrupt(path, offset, "the %d bytes from there have CRC32C %08x, recorded is %08x",
				len(piece), got, want.crcs[number])
		}
		number++
		return nil
	})
	if err == nil && number != len(want.crcs) {
		err = corrupt(path, int64(number)*sumBytes, "the file shrinks while it is read")
	}
	return err
}

// readSums reads the side file of the bbolt file at path.
func readSums(path, side string) (sums, error) {
	if _, err := os.Stat(path); err != nil {
		return sums{}, err
	}
	data, err := os.Open(side)
	if errors.Is(err, fs.ErrNotExist) {
		return sums{}, corrupt(side, 0, "the file of checksums is missing")
	}
	if err != nil {
		return sums{}, err
	}
	defer data.Close()
	stat, err := data.Stat()
	if err != nil {
		return sums{}, err
	}
	if stat.Size() > sumsBytesMax {
		return sums{}, corrupt(side, sumsBytesMax, "the file of checksums is too long: %d bytes", stat.Size())
	}
	content, err := io.ReadAll(io.LimitReader(data, sumsBytesMax))
	if err != nil {
		return sums{}, fmt.Errorf("read %s: %w", side, err)
	}
	return decodeSums(side, content)
}

// sumsBytesMax bounds what is read of a side file: 64 MiB of checksums stand for a checkpoint of 16 TiB.
const sumsBytesMax = 64 << 20

// readPieces calls fn with each MiB of a file, the last one possibly shorter. The slice is reused.
func readPieces(path string, fn func(piece []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, sumBytes)
	for offset := int64(0); ; {
		n, err := io.ReadFull(file, buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("read %s at byte %d: %w", path, offset, err)
		}
		if n > 0 {
			if err := fn(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		offset += int64(n)
	}
}
