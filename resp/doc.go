// Package resp is the front door that Redis clients use: RESP2 and RESP3 over TCP or TLS.
//
// The nouns:
//
//   - Server: the listener, and the registry of the connections it has accepted.
//   - conn: one connection, one goroutine. It reads a submission, has it carried out, writes the answers.
//   - reader: turns hostile bytes into submissions, within Limits.
//   - submission: every complete command that has arrived, given to the executor at once.
//   - Limits: every bound of this package, with its default.
//
// The listener is github.com/tidwall/redcon: it accepts, and it is told of each new connection. Its
// reader must never see a byte of a client, because it trusts announced lengths: `*1` followed by
// `$9223372036854775807` ends its process before anyone has authenticated. So the net.Listener it is
// given hands out parcels: a parcel reads as one constant command and never touches the socket, so
// that redcon calls its handler at once, and the handler takes the socket out of the parcel and detaches
// from redcon. From there on the connection is ours alone. That also keeps connections alive when redcon
// stops, which else closes all of them, so that Shutdown can let submissions in progress finish. TLS
// begins behind the parcel, on the goroutine of the connection, so a slow handshake holds nobody up.
//
// A frame that breaks the protocol is answered with Redis' own words and ends the connection. A frame
// that is well formed but too large for us is read past in bounded memory, answered with an error in its
// place, and the connection goes on. What came before either of them is carried out first.
//
// Memory: a connection at rest holds 4 KiB for what comes next. More is borrowed while it lasts: it grows
// with what has arrived, and all connections together may borrow BuffersBytes. An answer is bounded by
// the executor, which returns early when it is large; answers that are being written are bounded by
// AnswersBytes over all connections. Those that are being made at the same moment come on top.
//
// Caveats: while a submission is carried out nothing is read, so a peer that has gone away is noticed
// afterwards. A drained or killed connection loses commands that had arrived and had not been read: they
// were not carried out.
package resp
