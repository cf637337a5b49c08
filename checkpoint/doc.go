// Package checkpoint stores the whole state of one raft group at one log index in one file.
//
// A checkpoint is a bbolt file <group>-<term>-<index>.db and beside it a side file <group>-<term>-<index>.crc
// with a CRC32C for every MiB of the bbolt file. bbolt has no page checksums and can panic on a damaged page,
// so Open verifies every byte against the side file before bbolt sees the first one.
//
// The nouns:
//
//   - Meta: what the checkpoint is of (group, term, index) and the state's own header.
//   - Section: a run of keys with a header of its own (a namespace). The package does not look into it.
//   - Writer: builds a checkpoint from sections and keys in ascending order.
//   - Reader: a verified checkpoint, streamed in the same order.
//   - Info: a checkpoint in a directory, known by its file name.
//
// # Crash safety
//
// A checkpoint is absent or complete, never in part. Commit does, in this order:
//
//	sync <name>.db.tmp                     the data
//	sync <name>.crc.tmp                    its checksums
//	rename to <name>.crc, sync directory   an orphan so far: List looks at .db only
//	rename to <name>.db,  sync directory   the commit point
//
// Remove goes the other way. So a .db without its .crc is never left by a crash: it is damage, and refused.
// Temporary files and orphans that a crash did leave are removed by Clean.
//
// # Layout of the bbolt file
//
//	meta      format, group, term, index, log-time, conf-state, charter, seen, state, sections, keys
//	sections  ordinal (4)        -> id (8), number of keys (8), header
//	data      ordinal (4), key   -> 0, value          a value kept whole
//	                             -> 1, first (8), length (8)   a value kept as chunks
//	large     chunk number (8)   -> up to 32 736 bytes of a value
//
// Numbers are big endian. All sections share the data bucket: with a bucket for each section, 50 000 sections
// of 20 keys took twice the space (209 MB instead of 103 MB for 1 M keys), and one section of 1 M keys gained
// 3 %. Long values are cut in chunks because a bbolt leaf holds at least two values, up to four before it
// splits, and the last leaf is written again by the next transaction: whole values of 16 MiB would cost 64
// MiB buffers.
//
// Caveats: bbolt needs a real file and mmap, so this package does not use internal/vfs. A Reader maps the
// file: slices it hands out are valid only during the callback. A file that shrinks under a Reader kills the
// process.
package checkpoint
