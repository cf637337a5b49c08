package transport

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// The handshake, D having dialed A:
//
//	D hello ->    <- A hello    D proof ->    <- A proof    D welcome ->
//
// Either side may send a refusal in place of its next step. A proof is HMAC-SHA256 under the cluster
// secret over the role of who proves and both hellos, in which are both nonces, ids and version ranges:
// no proof fits another role, connection or pair. D proves first, so who only connects learns nothing
// that a guess of the secret could be tried on. Without a secret the key is empty.

// Remote is the other node of a connection, as it was proved.
type Remote struct {
	Node        NodeID
	Cluster     uint64
	Incarnation uint64
	Process     uint64
}

func (h *hello) remote() Remote {
	return Remote{Node: h.node, Cluster: h.cluster, Incarnation: h.incarnation, Process: h.process}
}

// hello is what this node says to expected.
func (t *Transport) hello(expected NodeID, l lane) (hello, error) {
	h := hello{
		versionMin: versionMin, versionMax: versionMax, lane: l,
		cluster: t.cluster.Load(), node: t.config.Self, expected: expected,
		incarnation: t.config.Incarnation, process: t.config.Process,
	}
	_, err := io.ReadFull(t.config.Random, h.nonce[:])
	return h, err
}

// dialHandshake is D's side. It returns the connection to use, which is TLS where that is on.
func (t *Transport) dialHandshake(
	stop <-chan struct{}, conn net.Conn, addr string, to NodeID, l lane,
) (net.Conn, hello, error) {
	var theirs hello
	plain := conn
	abort := func() { _ = plain.Close() }
	err := t.limited(stop, abort, func() (err error) {
		if c := t.config.TLSClient; c != nil {
			c = c.Clone()
			if host, _, err := net.SplitHostPort(addr); err == nil && c.ServerName == "" {
				c.ServerName = host
			}
			secure := tls.Client(conn, c)
			conn = secure
			if err := secure.HandshakeContext(context.Background()); err != nil {
				return plainAnswer(err)
			}
		}
		theirs, err = t.dialSteps(conn, to, l)
		return err
	})
	return conn, theirs, err
}

// plainAnswer turns the error of a TLS handshake into a refusal if the other side speaks this protocol without TLS.
func plainAnswer(err error) error {
	var strange tls.RecordHeaderError
	if errors.As(err, &strange) && binary.LittleEndian.Uint32(strange.RecordHeader[:]) == stepMagic {
		return &Refusal{Reason: ErrTLS, Detail: "the other one does not"}
	}
	return err
}

// writePlainRefusal tells a side that does not speak TLS, or one that does where it is not spoken: in the clear.
func writePlainRefusal(plain net.Conn, err error) {
	if errors.Is(err, ErrTLS) {
		writeRefusal(plain, err)
	}
}

func (t *Transport) dialSteps(conn net.Conn, to NodeID, l lane) (hello, error) {
	ours, err := t.hello(to, l)
	if err != nil {
		return hello{}, err
	}
	ourBytes := ours.encode()
	if err := writeStep(conn, stepHello, ourBytes); err != nil {
		return hello{}, err
	}
	theirBytes, err := readStep(conn, stepHello)
	if err != nil {
		return hello{}, err
	}
	theirs, err := decodeHello(theirBytes)
	if err == nil {
		err = t.checkHello(&theirs, to, l)
	}
	if err != nil {
		writeRefusal(conn, err)
		return hello{}, err
	}
	if err := writeStep(conn, stepProof, t.proof("dial", ourBytes, theirBytes)); err != nil {
		return hello{}, err
	}
	proof, err := readStep(conn, stepProof)
	if err != nil {
		return hello{}, err
	}
	err = t.checkProof(proof, t.proof("accept", ourBytes, theirBytes))
	if err == nil {
		err = t.admit(conn, &theirs)
	}
	if err != nil {
		writeRefusal(conn, err)
		return hello{}, err
	}
	return theirs, writeStep(conn, stepWelcome, nil)
}

// acceptHandshake is A's side.
func (t *Transport) acceptHandshake(conn net.Conn) (net.Conn, hello, error) {
	var theirs hello
	plain := conn
	abort := func() { _ = plain.Close() }
	err := t.limited(t.stop, abort, func() (err error) {
		if t.config.TLSServer != nil {
			secure := tls.Server(conn, t.config.TLSServer)
			conn = secure
			if err := secure.HandshakeContext(context.Background()); err != nil {
				err = plainAnswer(err)
				writePlainRefusal(plain, err)
				return err
			}
		}
		theirs, err = t.acceptSteps(conn)
		return err
	})
	return conn, theirs, err
}

func (t *Transport) acceptSteps(conn net.Conn) (hello, error) {
	theirBytes, err := readStep(conn, stepHello)
	if err != nil {
		writePlainRefusal(conn, err)
		return hello{}, err
	}
	theirs, err := decodeHello(theirBytes)
	if err != nil {
		return hello{}, err
	}
	if err := t.checkHello(&theirs, 0, theirs.lane); err != nil {
		writeRefusal(conn, err)
		return theirs, err
	}
	ours, err := t.hello(theirs.node, theirs.lane)
	if err != nil {
		return theirs, err
	}
	ourBytes := ours.encode()
	if err := writeStep(conn, stepHello, ourBytes); err != nil {
		return theirs, err
	}
	proof, err := readStep(conn, stepProof)
	if err != nil {
		return theirs, err
	}
	err = t.checkProof(proof, t.proof("dial", theirBytes, ourBytes))
	if err == nil {
		err = t.checkLane(theirs.lane)
	}
	if err == nil {
		err = t.admit(conn, &theirs)
	}
	if err != nil {
		writeRefusal(conn, err)
		return theirs, err
	}
	if err := writeStep(conn, stepProof, t.proof("accept", theirBytes, ourBytes)); err != nil {
		return theirs, err
	}
	_, err = readStep(conn, stepWelcome)
	return theirs, err
}

// proof is what the side in the given role shows; dialed and accepted are the bodies of the hellos.
func (t *Transport) proof(role string, dialed, accepted []byte) []byte {
	mac := hmac.New(sha256.New, t.config.Secret)
	for _, part := range [][]byte{[]byte(role), dialed, accepted} {
		// A length in front of each part: none can be taken for the end of the one before.
		fmt.Fprintf(mac, "%d:", len(part))
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func (t *Transport) checkProof(got, want []byte) error {
	if len(got) != proofBytes || subtle.ConstantTimeCompare(got, want) != 1 {
		return &Refusal{Reason: ErrSecret}
	}
	return nil
}

// checkHello finds what is wrong with a hello before anything is proved. dialed is who was dialed, 0 on
// the accepting side.
func (t *Transport) checkHello(h *hello, dialed NodeID, l lane) error {
	refuse := func(reason error, format string, args ...any) error {
		return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
	}
	c := &t.config
	introduction := l == laneIntroduction
	switch {
	case h.versionMax < versionMin || h.versionMin > versionMax:
		return refuse(ErrVersion, "%d to %d, here %d to %d", h.versionMin, h.versionMax, versionMin, versionMax)
	case h.node == c.Self && h.incarnation == c.Incarnation && h.process == c.Process:
		return refuse(ErrSelf, "node %v", h.node)
	case h.node == c.Self:
		return refuse(ErrIDUsed, "node %v is this node", h.node)
	case h.cluster != t.cluster.Load() && !introduction:
		return refuse(ErrCluster, "%016x, here %016x", h.cluster, t.cluster.Load())
	case dialed != 0 && h.node != dialed:
		return refuse(ErrWrongNode, "node %v, not %v", h.node, dialed)
	case h.expected != c.Self && !(introduction && h.expected == 0):
		return refuse(ErrWrongNode, "node %v, not %v", c.Self, h.expected)
	case h.lane != l || h.lane >= lanes:
		return refuse(ErrLane, "lane %d", h.lane)
	case dialed == 0 && !introduction && h.node > c.Self:
		return refuse(ErrLane, "the node with the lower id dials")
	}
	return nil
}

// checkLane refuses, on the accepting side, what is not served here.
func (t *Transport) checkLane(l lane) error {
	switch {
	case l == laneIntroduction && t.config.Introduction == nil:
		return &Refusal{Reason: ErrLane, Detail: "introductions are not taken"}
	case l == laneBulk && !t.bulk:
		return &Refusal{Reason: ErrLane, Detail: "nothing is bulk"}
	}
	return nil
}

// limited runs f and aborts it when it takes too long or stop is closed.
func (t *Transport) limited(stop <-chan struct{}, abort func(), f func() error) error {
	timer := t.config.Clock.NewTimer(t.config.Timing.Handshake)
	defer timer.Stop()
	var why error
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-timer.C():
			why = ErrTimeout
			abort()
		case <-stop:
			why = ErrClosed
			abort()
		case <-done:
		}
	}()
	err := f()
	close(done)
	<-ended
	switch {
	case why != nil:
		return why
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("transport: connection closed in the handshake: %w", err)
	}
	return err
}
