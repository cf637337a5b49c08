package integration

import (
	"bufio"
	codec "encoding/binary" // binary is what is tested
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// middleman stands between the peers of a fleet, knows the frames that they send each other, and plays tricks with
// them when it is told to. See raft/transport for the form of frames.
type middleman struct {
	t        testing.TB
	listener net.Listener
	to       string
	working  sync.WaitGroup
	next     *atomic.Pointer[trick] // to be played at the next chance, by whichever middleman has it

	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

// trick is what is done once to what one node sends another.
type trick struct {
	name string
	// play returns what is sent in place of two frames that follow each other.
	play  func(one, two []byte) [][]byte
	ended chan struct{} // closed when the connection has ended on which it was played
}

// between sets a middleman before the peer port of each node of a fleet that does not run yet. It returns one of
// them: which of two nodes dials the other, and so which of the middlemen has work, depends on their ids.
func between(f *fleet, flags ...string) (m *middleman) {
	f.t.Helper()
	next := &atomic.Pointer[trick]{}
	for _, n := range f.nodes {
		l, err := net.Listen("tcp", loopback()+":8379")
		if err != nil {
			f.t.Fatal(err)
		}
		m = &middleman{t: f.t, listener: l, to: n.peerAddr(), next: next}
		m.working.Go(m.accept)
		f.t.Cleanup(m.close)
		f.doors = append(f.doors, l.Addr().String())
	}
	f.arm(flags...)
	return m
}

func (m *middleman) close() {
	_ = m.listener.Close()
	m.mu.Lock()
	for _, c := range m.conns {
		_ = c.Close()
	}
	m.mu.Unlock()
	m.working.Wait()
}

func (m *middleman) accept() {
	for {
		from, err := m.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", m.to)
		if err != nil { // the node is not there: that is what its peers are to see
			_ = from.Close()
			continue
		}
		m.mu.Lock()
		m.conns = append(m.conns, from, to)
		m.mu.Unlock()
		m.working.Go(func() { m.carry(from, to) })
		m.working.Go(func() { m.carry(to, from) })
	}
}

// carry carries what one side sends, until either ends the connection.
func (m *middleman) carry(from, to net.Conn) {
	var played []*trick
	defer func() {
		_, _ = from.Close(), to.Close()
		for _, t := range played {
			close(t.ended)
		}
	}()
	in := bufio.NewReaderSize(from, 256<<10)
	for {
		one, tricky, err := readPiece(in)
		pieces := [][]byte{one}
		if t := m.next.Load(); err == nil && tricky && t != nil && m.next.CompareAndSwap(t, nil) {
			var two []byte
			if two, _, err = readPiece(in); err == nil {
				pieces = t.play(one, two)
			}
			played = append(played, t)
		}
		if err != nil {
			return
		}
		for _, piece := range pieces {
			if _, err := to.Write(piece); err != nil {
				return
			}
		}
	}
}

var errPiece = errors.New("this is no step of a handshake and no frame")

// readPiece reads one step of a handshake, or one frame. Tricks are played with frames of raft's only.
func readPiece(in *bufio.Reader) (piece []byte, tricky bool, err error) {
	head, err := in.Peek(8)
	if err != nil {
		return nil, false, err
	}
	size := 0
	switch {
	case string(head[:4]) == "ptmc":
		size = 8 + int(codec.LittleEndian.Uint16(head[6:])) + 4
	case string(head[:2]) == "pt":
		if head, err = in.Peek(40); err != nil {
			return nil, false, err
		}
		size, tricky = 40+int(codec.LittleEndian.Uint32(head[8:])), head[3] == 2
	default:
		return nil, false, errPiece
	}
	piece = make([]byte, size)
	_, err = io.ReadFull(in, piece)
	return piece, tricky, err
}

// play plays a trick at the next chance, and checks that the connection ends of it.
func (m *middleman) play(name string, play func(one, two []byte) [][]byte) {
	m.t.Helper()
	t := &trick{name, play, make(chan struct{})}
	m.next.Store(t)
	select {
	case <-t.ended:
	case <-time.After(10 * time.Second):
		m.t.Errorf("%s: the connection has not ended", t.name)
	}
}

// TestFleetTricks repeats, reorders, leaves out and damages frames between the nodes under load. Each time the
// connection ends, and nothing is applied twice or lost.
func TestFleetTricks(t *testing.T) {
	rng := random(t)
	f := newFleet(t, 3, false)
	m := between(f)
	f.start()
	c := startCrowd(t, f, "w", rng)
	c.await(50)
	tricks := map[string]func(one, two []byte) [][]byte{
		"a frame comes twice":        func(one, two []byte) [][]byte { return [][]byte{one, one, two} },
		"two frames change places":   func(one, two []byte) [][]byte { return [][]byte{two, one} },
		"a frame is missing":         func(_, two []byte) [][]byte { return [][]byte{two} },
		"a frame comes again, later": func(one, two []byte) [][]byte { return [][]byte{one, two, one} },
		"a byte is damaged": func(one, two []byte) [][]byte {
			one[rng.IntN(len(one))] ^= 1 << rng.IntN(8)
			return [][]byte{one, two}
		},
	}
	for range 2 {
		for name, play := range tricks {
			m.play(name, play)
		}
	}
	f.serves(startTimeout, f.nodes...)
	c.await(50)
	c.settle(f.nodes...)
	refusals := 0
	for _, n := range f.nodes {
		refusals += strings.Count(n.current().log.String(), "transport: bad frame")
	}
	if refusals == 0 {
		t.Error("no node has logged a bad frame")
	}
}
