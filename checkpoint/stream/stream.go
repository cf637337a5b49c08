package stream

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/vfs"
)

// DefaultBytesPerSecond is a rate that leaves most of a disk and a network to others.
const DefaultBytesPerSecond = 64 << 20

// Config is what a Stream is made of. All but BytesPerSecond are required.
type Config struct {
	// Dir is where the checkpoints are. What is fetched comes into a directory incoming in it.
	Dir string
	// Send sends a packet to a node. It must not block; what it does not send is asked for again.
	Send   func(to uint64, payload []byte) error
	Clock  clock.Clock
	Logger *slog.Logger
	// BytesPerSecond bounds what is fetched; 0: nothing does.
	BytesPerSecond int64
	// Damaged is told of a checkpoint here that another node has asked for and that is not as it was written. It
	// must not block.
	Damaged func(name Name, damage *checkpoint.CorruptError)

	fs vfs.FS // where what is fetched is written; nil: the machine's. Tests look on and fail there
}

const (
	// asksMax bounds the asks that wait to be answered. Further ones are dropped, and come again.
	asksMax = 64
	// window is how many pieces a receiver asks for before it has them.
	window = 4
	// answerTimeout is how long an answer is waited for before it is asked for again, and silenceMax how long
	// nothing at all may come before a fetch is given up.
	answerTimeout = 2 * time.Second
	silenceMax    = 15 * time.Second
)

// ErrClosed: the stream was closed.
var ErrClosed = errors.New("stream: closed")

// Stream gives a node's checkpoints to others and fetches theirs. Its methods are safe for concurrent use.
type Stream struct {
	config  Config
	asks    chan ask
	stop    chan struct{} // closed by Close
	serving sync.WaitGroup

	mu     sync.Mutex
	closed bool   // guarded by mu
	fetch  *fetch // under way; nil: none; guarded by mu
}

// ask is what a node wants.
type ask struct {
	from   uint64
	packet packet
}

// New makes a stream, which answers until Close.
func New(c Config) *Stream {
	if c.fs == nil {
		c.fs = vfs.OS
	}
	s := &Stream{config: c, asks: make(chan ask, asksMax), stop: make(chan struct{})}
	s.serving.Go(func() { newServer(s).run() })
	return s
}

// Close ends the stream. A fetch under way fails with ErrClosed.
func (s *Stream) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// Receive takes a packet that a node has sent. It never blocks, and keeps the payload. An error means that
// no correct node sends such a packet.
func (s *Stream) Receive(from uint64, payload []byte) error {
	p, err := decode(payload)
	if err != nil {
		return err
	}
	switch p.kind {
	case askSums, askPiece:
		select {
		case s.asks <- ask{from, p}:
		default: // it comes again
		}
	default:
		s.mu.Lock()
		f := s.fetch
		s.mu.Unlock()
		if f != nil && f.from == from {
			select {
			case f.answers <- p:
			default:
			}
		}
	}
	return nil
}
