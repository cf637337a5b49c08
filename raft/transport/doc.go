// Package transport carries raft's messages, and packets of other kinds, between the nodes of a cluster
// over TCP. It implements raft.Transport.
//
// Its nouns: a Transport serves one node; a Peer is another node; a route is one lane of a peer, with a
// queue and one connection after the other; a packet is what is sent at once; a frame is a piece of one.
//
// # Connections
//
// Each pair of nodes has one connection for raft and, if there are bulk kinds, one for those; both are
// used in both directions. The node with the lower id dials. So there is nothing to settle between two
// that dial each other, and when a connection breaks both know. A new connection from a peer takes the
// place of the old one. A handshake comes first: see handshake.go. Failed dials are repeated after a
// pause that doubles, half of it at random.
//
// # Packets and frames
//
// A packet is one or more messages of a group, a keepalive, or a payload of a user's Kind. It is cut into
// frames of 64 KiB, each with a header and checksums: see header. There are two streams of packets on a
// connection. Express packets (heartbeats, votes, responses, keepalives, small packets of express kinds)
// go between the frames of others, so that they wait for one write of 128 KiB at most, and on Linux for
// 128 KiB in the send buffer. Large values are sent from where they are and received where they stay:
// a message that was received refers to the packet it came in.
//
// Nothing blocks a sender. What does not fit a queue, or has no connection, is dropped and counted, and
// Unreachable tells of groups that lost entries. A frame that repeats, a gap, a bad checksum or bytes
// that do not decode end the connection.
//
// # Caveats
//
//   - With a secret and without TLS a connection is authenticated when it begins, and what follows is
//     protected by checksums alone: neither secret nor safe from who can change traffic on its way.
//   - Without both, anyone who reaches the port can be a member. That is for one machine or a trusted
//     network; refusing it elsewhere is the server's.
//   - Two processes on copies of one disk are the same node to everyone. They take connections from each
//     other and neither is refused before one of them is restarted.
//   - Who can reach the port can hold all places for handshakes, for Timing.Handshake each time.
//   - Callbacks run on the goroutine of a connection. One that blocks stops what arrives, and after
//     Timing.Silence the peer gives up.
package transport
