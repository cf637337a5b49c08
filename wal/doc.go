// Package wal is the one write-ahead log of a node, shared by all its raft groups.
//
// Its nouns: a Record is what one group writes in one step; a frame is a record on disk; a batch is the
// frames made durable by one Sync; a segment is a file of frames; a seal is a frame that says up to where
// everything is durable.
//
//	Append, Append, ... -> buffer -> Sync: one write, one fdatasync -> acknowledge
//
// # Files
//
//	0000000000000001.wal   a segment; consecutive numbers; the last one is a spare, still empty
//	0000000000000002.tmp   a segment that is not complete yet; removed at start
//	torn-<segment>-<off>   what was cut from a segment at a start; the newest few are kept
//	lock                   flocked while the log is open
//
// A segment gets its .wal name when it is complete: filled with written zeros, its header in place, synced.
// Filled, because a write that allocates would make each sync a commit of the file system's journal;
// never recycled, so that zeros mean "not written". One spare is kept ready, so that a full disk
// shows before anything of a record is written (ErrNoSpace).
//
// # Segment header, 4096 bytes, little endian like everything
//
//	 0  8   "primaWAL"
//	 8  4   format version
//	12  4   CRC32C of the page, this field as zero
//	16 16   id of the log: a segment of another node is never taken for ours
//	32  8   sequence number: a renamed file is found out
//	40  8   size of the file: a shortened file is found out
//	48  4   seed, random: all CRCs in the segment start from it, so nothing written elsewhere matches here
//	52 12   zero
//	64 512  mask, random: see below
//	576     zero
//
// # Frame
//
// Frames start at multiples of 8. On disk all their bytes are XORed with the mask, repeated every 512
// bytes of the file. So a sector that was written is never all zeros, whatever clients store in it, and a
// sector that is all zeros was not written; and no value of a client can look like a frame.
//
//	  0  4  size of the frame, a multiple of 8
//	  4  4  check: CRC32C of size and offset, four bytes each. Size and check lie in one sector, so a size
//	        that fails the check was damaged, and one that passes tells which sectors the frame has
//	  8  4  CRC32C of bytes 12.. up to the data: head, body and table
//	 12  4  the CRC of the frame before, across segments: a missing frame is found out
//	 16  8  batch: number of the sync that makes the frame durable; never goes back
//	 24  4  durable: offset in this segment up to which all was synced when the frame was written (all
//	        earlier segments were). A valid frame with a higher one proves that a bad place was durable
//	 28  1  kind: 1 state, 2 seal
//	 29  1  flags: 1 the entries are copies of older ones, 2 a snapshot replaced what was before
//	 30  2  zero
//
//	 state: what is known of a group in full, so that its last frame alone tells everything
//	 32  8  group
//	 40 24  hard state: term, vote, commit. One frame with the entries: if an entry survived without its
//	        commit index, a node could campaign under an outdated configuration
//	 64 16  newest snapshot mark: index, term
//	 80 16  last released entry: index, term. What is below may be missing, everything above must be there
//	 96  8  index of the first entry in the frame
//	104  4  number of entries
//	108  4  zero
//	112 24  for each entry: term 8, size 4, CRC32C of its data 4, type 1, zero 7. Its own CRC, so that it
//	        can be verified alone when it is read back
//	...     data of the entries one behind the other, then zeros up to a multiple of 8
//
//	 seal
//	 32  8  floor: segments with lower numbers are not needed. Durable before they are removed, so a
//	        missing segment is either this or damage
//	...     zeros, of a seal that fills a page so that the next one is not lost together with what it proves
//
// # The end of the log
//
// At start every frame is verified. The first place without a valid frame is
//
//   - the end, if all that follows in the segment is zeros and later segments are blank;
//   - a torn tail, if the frame has a sector, or its share of one, that ends in zeros, no valid frame
//     behind it says that it was durable, and later segments are blank. It is copied away, zeroed, and
//     reported. Nothing in it was acknowledged;
//   - damage otherwise, in particular if every sector of the frame was written. The log is refused.
//
// # Caveats
//
// A sector of 512 bytes is taken to be written whole or not at all. Zeros in place of the whole last
// batch cannot be told from a crash before its sync unless a later frame or a Seal calls it durable: Seal
// when idle. File systems that copy on write can run full in spite of the zeros; that error is final.
package wal
