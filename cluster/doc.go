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
//     that was heard of: a founder that was started anew with an empty disk;
//   - the round rises to a higher one that another founder reports.
//
// A founder seals its list, durably, when every founder has reported the very same list and round. The id of the
// cluster is a hash of it, and the replicas begin from raft.Founding of its nodes. Who has sealed never changes.
// Who is told of a sealed list with its own node and disk in it seals that one. Who is told of a sealed list that
// has another disk under its name was a founder and has lost its disk: it has perhaps voted, could vote again, and
// stops.
//
// Why no two clusters come of it. Say X seals list A and Y seals B by the reports they have heard, and X's disk is
// in B and Y's in A. Each has then recorded both lists, as each has reported them. A sealed list stays, so X
// recorded B before A, and Y recorded A before B. But rounds never fall, and a complete list changes only with its
// round, so A's round is above B's and B's above A's. Therefore one of the two disks is in the other's list no
// more: it was replaced by an empty one at its address, and the others who are in both lists can have sealed only
// one of them. So a list is abandoned only if whoever had sealed it has lost the disk; that it had a majority, and
// with that had acknowledged anything, takes the loss of a majority of disks.
package cluster
