package integration

import (
	"bufio"
	codec "encoding/binary" // binary is what is tested
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// middleman stands between the peers of a fleet, knows the frames that they send each other, and plays tricks with
// them when it is told to. See raft/transport for the form of frames. It also makes the weather in which they travel.
type middleman struct {
	t       testing.TB
	working sync.WaitGroup
	next    atomic.Pointer[trick] // to be played at the next chance
	weather atomic.Pointer[weather]

	mu    sync.Mutex
	doors []net.Listener // guarded by mu
	roads []*road        // guarded by mu
	seeds *rand.Rand     // guarded by mu
}

// trick is what is done once to what one node sends another.
type trick struct {
	name string
	// play returns what is sent in place of two frames that follow each other.
	play  func(one, two []byte) [][]byte
	ended chan struct{} // closed when the connection has ended on which it was played
}

// doorPort is where a middleman listens at a seat of a network.
const doorPort = 8380

// between sets a middleman before the peer port of each node of a fleet that does not run yet, or of each seat of its
// network. Which of two nodes dials the other depends on their ids.
func between(f *fleet, rng *rand.Rand, flags ...string) *middleman {
	f.t.Helper()
	m := &middleman{t: f.t, seeds: rand.New(rand.NewPCG(rng.Uint64(), 5))}
	m.weather.Store(&weather{})
	f.man = m
	f.t.Cleanup(m.close)
	if f.net == nil {
		for _, n := range f.nodes {
			l, err := net.Listen("tcp", loopback()+":8379")
			if err != nil {
				f.t.Fatal(err)
			}
			f.doors = append(f.doors, l.Addr().String())
			m.open(l, n.peerAddr())
		}
	} else {
		for seat := range f.net.size() {
			l := f.net.listen(seat, doorPort)
			f.doors = append(f.doors, l.Addr().String())
			m.open(l, f.net.addr(seat)+":8379")
		}
	}
	f.arm(flags...)
	return m
}

// open opens a door to an address.
func (m *middleman) open(door net.Listener, to string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doors = append(m.doors, door)
	m.working.Go(func() { m.accept(door, to) })
}

func (m *middleman) close() {
	m.mu.Lock()
	for _, l := range m.doors {
		_ = l.Close()
	}
	for _, r := range m.roads {
		r.end()
	}
	m.mu.Unlock()
	m.working.Wait()
}

func (m *middleman) accept(door net.Listener, to string) {
	for {
		from, err := door.Accept()
		if err != nil {
			return
		}
		m.working.Go(func() { m.join(from, to) })
	}
}

// join connects one who came with the node to which he wanted.
func (m *middleman) join(from net.Conn, to string) {
	there, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil { // the node is not there: that is what its peers are to see
		_ = from.Close()
		return
	}
	m.mu.Lock()
	both := []*road{newRoad(m, from, there), newRoad(m, there, from)}
	m.roads = append(m.roads, both...)
	m.mu.Unlock()
	for _, r := range both {
		m.working.Go(func() { m.carry(r) })
		m.working.Go(r.deliver)
	}
}

// carry carries what one side sends, until either ends the connection. What was sent before is still delivered.
func (m *middleman) carry(r *road) {
	var played []*trick
	defer func() {
		close(r.parcels)
		for _, t := range played {
			close(t.ended)
		}
	}()
	in := bufio.NewReaderSize(r.from, 256<<10)
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
			if !r.send(piece) {
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

// tricks are those that may be played.
func tricks(rng *rand.Rand) map[string]func(one, two []byte) [][]byte {
	return map[string]func(one, two []byte) [][]byte{
		"a frame comes twice":        func(one, two []byte) [][]byte { return [][]byte{one, one, two} },
		"two frames change places":   func(one, two []byte) [][]byte { return [][]byte{two, one} },
		"a frame is missing":         func(_, two []byte) [][]byte { return [][]byte{two} },
		"a frame comes again, later": func(one, two []byte) [][]byte { return [][]byte{one, two, one} },
		"a byte is damaged": func(one, two []byte) [][]byte {
			one[rng.IntN(len(one))] ^= 1 << rng.IntN(8)
			return [][]byte{one, two}
		},
	}
}

// playAll plays each trick once.
func (m *middleman) playAll(rng *rand.Rand) {
	m.t.Helper()
	for name, play := range tricks(rng) {
		m.play(name, play)
	}
}

// TestFleetTricks repeats, reorders, leaves out and damages frames between the nodes under load. Each time the
// connection ends, and nothing is applied twice or lost.
func TestFleetTricks(t *testing.T) {
	rng := random(t)
	f := newFleet(t, 3, false)
	m := between(f, rng)
	f.start()
	c := startCrowd(t, f, "w", rng)
	c.await(50)
	for range 2 {
		m.playAll(rng)
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
