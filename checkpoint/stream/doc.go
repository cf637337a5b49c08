// Package stream brings checkpoints from one node to another.
//
// The receiver pulls. It asks a node for a named checkpoint: first for its checksums, then for its pieces of
// one MiB, a few at a time and no faster than it was told. Each piece is checked when it comes. What
// has come survives a broken connection and a restart: the checksums are durable before the first piece,
// and tell which pieces are there already. The sender keeps no state but open files.
//
// The nouns: a [Stream] is both ends on one node; a [Name] is what is asked for; a pin is a checkpoint
// that the sender keeps open while it is asked for, though it may have been removed meanwhile.
//
// # Packets, big endian
//
//	0   1   version
//	1   1   kind
//	2   24  group, term, index of the checkpoint
//	26      ask for checksums   nothing
//	        ask for a piece     number (4)
//	        checksums           content of the side file
//	        piece               number (4), content
//	        gone                term, index of the newest checkpoint of the group (16), 0 if there is none
//
// A packet that is lost is asked for again. One that is hostile changes nothing: what does not match the
// checksums is thrown away, and what the checksums describe is verified as a whole before it is used.
//
// # Files
//
// Everything is in the directory incoming beside the checkpoints: <name>.crc first, then <name>.db.tmp, which
// is synced when all pieces are there and becomes <name>.db. So a .db in it is a complete checkpoint.
package stream
