package transport

import "errors"

// Why a connection is refused. Both sides get the reason: one finds it, the other is told.
var (
	// ErrGarbage: what connected does not speak this protocol.
	ErrGarbage = errors.New("transport: not a peer of this protocol")
	// ErrTimeout: the handshake was not complete in time.
	ErrTimeout = errors.New("transport: handshake timed out")
	// ErrVersion: the ranges of protocol versions do not meet.
	ErrVersion = errors.New("transport: no common protocol version")
	// ErrCluster: the other node belongs to another cluster.
	ErrCluster = errors.New("transport: wrong cluster")
	// ErrSecret: the other node does not know the cluster secret.
	ErrSecret = errors.New("transport: wrong cluster secret")
	// ErrCertificate: the certificate is not that of the node it came with.
	ErrCertificate = errors.New("transport: certificate is not the node's")
	// ErrRemoved: the node was removed from the cluster. Its id never comes back.
	ErrRemoved = errors.New("transport: node was removed from the cluster")
	// ErrUnknownPeer: the node is not a member, as far as is known here.
	ErrUnknownPeer = errors.New("transport: unknown node")
	// ErrSelf: the connection leads back to its own process.
	ErrSelf = errors.New("transport: connection to itself")
	// ErrIDUsed: two disks claim one node id.
	ErrIDUsed = errors.New("transport: node id is used by another disk")
	// ErrStaleProcess: a later process of the same node has been here.
	ErrStaleProcess = errors.New("transport: a later process of the node is known")
	// ErrWrongNode: another node than the expected one lives at the address.
	ErrWrongNode = errors.New("transport: another node is at this address")
	// ErrLane: the connection is for a purpose that is not served here, or comes from the wrong side.
	ErrLane = errors.New("transport: connection is not wanted")
	// ErrTLS: one side speaks TLS and the other does not.
	ErrTLS = errors.New("transport: one side speaks TLS and the other does not")
)

// reasons are the refusals that are told to the other side. The position is the code on the wire, so it
// never changes.
var reasons = []error{
	1: ErrVersion, 2: ErrCluster, 3: ErrSecret, 4: ErrCertificate, 5: ErrRemoved, 6: ErrUnknownPeer,
	7: ErrSelf, 8: ErrIDUsed, 9: ErrStaleProcess, 10: ErrWrongNode, 11: ErrLane, 12: ErrTLS,
}

// Refusal is the error of a connection that was refused; errors.Is finds the reason.
type Refusal struct {
	Reason error
	// ByPeer tells that the other side refused.
	ByPeer bool
	Detail string
}

func (r *Refusal) Error() string {
	text := r.Reason.Error()
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	if r.ByPeer {
		text += " (refused by the peer)"
	}
	return text
}

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// reasonCode is the code of a refusal on the wire; 0 for what is not told.
func reasonCode(err error) byte {
	for code, reason := range reasons {
		if reason != nil && errors.Is(err, reason) {
			return byte(code)
		}
	}
	return 0
}
