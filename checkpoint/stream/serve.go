package stream

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
)

const (
	// pinsMax bounds the checkpoints that are kept open: those of the last few receivers.
	pinsMax = 4
	// pinIdle is how long a checkpoint is kept open that nobody asks for. If it was removed, its space is
	// free only then.
	pinIdle = time.Minute
)

// server answers asks. One goroutine runs it.
type server struct {
	stream *Stream
	pins   map[Name]*pin
}

// pin is a checkpoint that is kept open, so that it can be given to the end though it has been removed.
type pin struct {
	file *os.File
	sums checkpoint.Sums
	used time.Duration // boot clock
}

func newServer(s *Stream) *server { return &server{stream: s, pins: make(map[Name]*pin)} }

func (v *server) run() {
	defer v.unpin(func(*pin) bool { return true })
	timer := v.stream.config.Clock.NewTimer(pinIdle)
	defer timer.Stop()
	for {
		select {
		case <-v.stream.stop:
			return
		case a := <-v.stream.asks:
			answer := v.answer(&a.packet)
			// An error is the receiver's: it asks again.
			_ = v.stream.config.Send(a.from, answer.encode())
		case <-timer.C():
			idle := v.stream.config.Clock.Boot() - pinIdle
			v.unpin(func(p *pin) bool { return p.used <= idle })
			timer.Reset(pinIdle)
		}
	}
}

// unpin closes the checkpoints that ended holds for.
func (v *server) unpin(ended func(*pin) bool) {
	for name, p := range v.pins {
		if ended(p) {
			_ = p.file.Close() // it was only read
			delete(v.pins, name)
		}
	}
}

func (v *server) answer(ask *packet) packet {
	if _, wrong, err := checkpoint.Quarantined(v.stream.config.Dir, ask.name.Group); wrong || err != nil {
		return packet{kind: giveNone, name: ask.name, newest: Name{Group: ask.name.Group}}
	}
	p, err := v.pin(ask.name)
	if err == nil && ask.kind == askSums {
		return packet{kind: giveSums, name: ask.name, content: p.sums.Encode()}
	}
	var content []byte
	if err == nil {
		content, err = p.piece(ask.number)
	}
	if err == nil {
		return packet{kind: givePiece, name: ask.name, number: ask.number, content: content}
	}
	newest := v.newest(ask.name.Group)
	var damage *checkpoint.CorruptError
	switch {
	case errors.As(err, &damage):
		v.unpin(func(bad *pin) bool { return bad == p })
		v.stream.config.Damaged(ask.name, damage)
		if newest == ask.name {
			newest = Name{Group: ask.name.Group}
		}
	case !errors.Is(err, fs.ErrNotExist):
		v.stream.config.Logger.Warn("checkpoint cannot be given to another node", slog.Any("error", err))
	}
	return packet{kind: giveNone, name: ask.name, newest: newest}
}

var (
	errNoPiece  = errors.New("stream: the checkpoint has no such piece")
	errTooLarge = errors.New("stream: the checkpoint is too large")
)

// piece reads a piece. The receiver checks it too; but only who has the file can do something about what is wrong
// with it.
func (p *pin) piece(number int) ([]byte, error) {
	if number >= p.sums.Pieces() {
		return nil, errNoPiece
	}
	offset, length := p.sums.Piece(number)
	content := make([]byte, length)
	switch _, err := p.file.ReadAt(content, offset); {
	case err != nil && err != io.EOF:
		return nil, err
	case err == io.EOF || !p.sums.Check(number, content):
		const reason = "the bytes from there do not match their checksum"
		return nil, &checkpoint.CorruptError{File: p.file.Name(), Offset: offset, Reason: reason}
	}
	return content, nil
}

// pin opens a checkpoint, or finds it open.
func (v *server) pin(name Name) (*pin, error) {
	now := v.stream.config.Clock.Boot()
	if p := v.pins[name]; p != nil {
		p.used = now
		return p, nil
	}
	path := filepath.Join(v.stream.config.Dir, checkpoint.FileName(name.Group, name.Term, name.Index))
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	sums, err := checkpoint.ReadSums(path)
	if err == nil && len(sums.Encode()) > sumsBytesMax {
		err = errTooLarge
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if len(v.pins) == pinsMax {
		v.unpinOldest()
	}
	p := &pin{file, sums, now}
	v.pins[name] = p
	return p, nil
}

func (v *server) unpinOldest() {
	var oldest *pin
	for _, p := range v.pins {
		if oldest == nil || p.used < oldest.used {
			oldest = p
		}
	}
	v.unpin(func(p *pin) bool { return p == oldest })
}

// newest names the newest checkpoint of a group.
func (v *server) newest(group uint64) Name {
	all, err := checkpoint.List(v.stream.config.Dir)
	if err != nil {
		v.stream.config.Logger.Warn("checkpoints cannot be listed", slog.Any("error", err))
	}
	for _, info := range all {
		if info.Group == group {
			return Name{info.Group, info.Term, info.Index}
		}
	}
	return Name{Group: group}
}
