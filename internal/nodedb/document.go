package nodedb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// DocumentBytesMax bounds a document.
const DocumentBytesMax = 80 << 10

// pieceBytes is the size of the pieces a document is kept in: a page of the file must not overflow.
const pieceBytes = 1 << 10

// documentsPrefix is in front of the keys of pieces: the prefix, the document's name, a zero byte, and the
// position of the piece in two bytes.
var documentsPrefix = []byte("document/")

// Document returns what was kept under a name last, nil if nothing ever was. It is not to be written to.
func (db *DB) Document(name string) []byte { return db.documents[name] }

// Keep makes a document durable under a name, in the place of what was there. What is in it is the caller's. After an
// error it may be there or not.
func (db *DB) Keep(name string, document []byte) error {
	return db.keep(name, document, func(*record) {})
}

// Enter is Keep that also makes cluster the cluster of the node, both at once. A node that has begun its log
// cannot change its cluster.
func (db *DB) Enter(cluster uint64, name string, document []byte) error {
	if cluster == 0 || db.Founded() && cluster != db.Identity().Cluster {
		return fmt.Errorf("node.db: a node of cluster %x cannot enter %x", db.Identity().Cluster, cluster)
	}
	return db.keep(name, document, func(r *record) { r.Cluster = cluster })
}

func (db *DB) keep(name string, document []byte, fn func(*record)) error {
	if len(document) > DocumentBytesMax || name == "" || bytes.IndexByte([]byte(name), 0) >= 0 {
		return fmt.Errorf("node.db: document %q of %d bytes", name, len(document))
	}
	documents := maps.Clone(db.documents)
	documents[name] = bytes.Clone(document)
	return guarded(func() error {
		return db.update(documents, func(tx *bolt.Tx, r *record) error {
			fn(r)
			return putDocument(tx.Bucket(bucketName), name, document)
		})
	})
}

// documentsSum is the CRC32C of the names and contents of all documents. The record has it, so that a document whose
// key is damaged is missed: it would else look like one that was never kept.
func documentsSum(documents map[string][]byte) uint32 {
	sum := uint32(0)
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		sum = crc32.Update(sum, castagnoli, append([]byte(name), 0))
		sum = crc32.Update(sum, castagnoli, binary.BigEndian.AppendUint32(nil, uint32(len(documents[name]))))
		sum = crc32.Update(sum, castagnoli, documents[name])
	}
	return sum
}

// documentKey is the key of a piece.
func documentKey(name string, piece int) []byte {
	key := append(append(bytes.Clone(documentsPrefix), name...), 0)
	return binary.BigEndian.AppendUint16(key, uint16(piece))
}

// putDocument writes the pieces of a document, the last of which ends with the CRC32C of it all, and removes
// what is left of a longer one.
func putDocument(b *bolt.Bucket, name string, document []byte) error {
	content := binary.BigEndian.AppendUint32(bytes.Clone(document), crc32.Checksum(document, castagnoli))
	piece := 0
	for ; len(content) > 0; piece++ {
		n := min(len(content), pieceBytes)
		if err := b.Put(documentKey(name, piece), content[:n]); err != nil {
			return err
		}
		content = content[n:]
	}
	for ; b.Get(documentKey(name, piece)) != nil; piece++ {
		if err := b.Delete(documentKey(name, piece)); err != nil {
			return err
		}
	}
	return nil
}

// readDocuments reads all documents and checks them, also against what the record says of them.
func readDocuments(tx *bolt.Tx, r *record) (map[string][]byte, error) {
	contents := map[string][]byte{}
	cursor := tx.Bucket(bucketName).Cursor()
	for key, piece := cursor.Seek(documentsPrefix); bytes.HasPrefix(key, documentsPrefix); key, piece = cursor.Next() {
		name, position, ok := bytes.Cut(key[len(documentsPrefix):], []byte{0})
		content := contents[string(name)]
		if !ok || len(position) != 2 || int(binary.BigEndian.Uint16(position))*pieceBytes != len(content) {
			return nil, fmt.Errorf("%w (a piece of document %q is out of place)", ErrDamaged, name)
		}
		contents[string(name)] = append(content, piece...)
	}
	for name, content := range contents {
		n := len(content) - 4
		if n < 0 || crc32.Checksum(content[:n], castagnoli) != binary.BigEndian.Uint32(content[n:]) {
			return nil, fmt.Errorf("%w (document %q does not match its checksum)", ErrDamaged, name)
		}
		contents[name] = content[:n]
	}
	if r.listed && documentsSum(contents) != r.documents {
		return nil, fmt.Errorf("%w (its documents are not those that were kept)", ErrDamaged)
	}
	return contents, nil
}
