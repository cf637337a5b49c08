// Package cluster is how nodes come to belong together: it founds a cluster and keeps a node's peers.
//
// Its nouns: a [Node] is this process' place in a cluster; a [Founder] is a line of --cluster; a list is what
// one founder has recorded of all; a record is what node.db keeps of all this.
//
// # Founding
//
// Founders do not know each other's ids, so each asks those at the addresses of the list: who are you, and what
// have you recorded? Only what was asked for at an address of the list is believed, never what a question
// claims. A founder's list has, for each name, the node and the disk that answered at its address, and a round.
// It is durable in node.db before anyone is told of it. It changes in three ways only:
//
//   - a name without a node gets one;
//   - a node in it is replaced by another that answers at the address, and the round becomes higher than any
//     that was heard of: a founder that was started anew with an empty disk. Before, all the others must have said
//     that they have not sealed a list;
//   - the round rises to a higher one that another founder reports.
//
// A founder seals its list, durably, when every founder has reported the very same list and round. The id of the
// cluster is a hash of it, and the replicas begin from raft.Founding of its nodes. Who has sealed never changes.
// Who is told of a sealed list with its own node and disk in it seals that one, unless it has recorded a later one:
// then it stops. Who is told of a sealed list that has another disk under its name was a founder and has lost its disk:
// it has perhaps voted, could vote again, and stops.
//
// Why no two clusters come of it. Say X seals list A and Y seals B, and X's disk is in B and Y's in A. Whoever sealed
// B first had X's report of B, so X has recorded B, and in the same way Y has recorded A. What a disk records has no
// lower round than what it has recorded before, sealed lists included, and a sealed list is the last. So B's round is
// not above A's, nor A's above B's; and as a complete list changes only with its round, A is B. This holds also if
// disks that were there before come back.
//
// Why the loss of a minority of disks loses nothing. Say a majority of A's disks has sealed A, and has acknowledged
// something. Only a founder that has recorded a later list cannot seal A any more, and the first later list is recorded
// after all other founders were heard to have nothing sealed, at a time when one disk was lost already. As long as one
// of that majority is there, it says otherwise. A founder that is stopped in this way has never voted.
package cluster
