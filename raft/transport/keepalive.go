package transport

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// keepalive is the payload of a packet that each side of a connection sends now and then, and that the
// other echoes. Little endian: 1 byte flags, 8 stamp of a ping, 8 stamp of the ping that is answered, 8
// wall clock of the sender in ns since 1970.
type keepalive struct {
	ping, pong bool
	asked      time.Duration // boot time of the sender of the ping
	echoed     time.Duration // what the other side asked with
	wall       time.Time
}

const (
	keepaliveBytes = 1 + 3*8
	flagPing       = 1
	flagPong       = 2
)

func (k *keepalive) encode() []byte {
	b := make([]byte, 1, keepaliveBytes)
	if k.ping {
		b[0] |= flagPing
	}
	if k.pong {
		b[0] |= flagPong
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(k.asked))
	b = binary.LittleEndian.AppendUint64(b, uint64(k.echoed))
	return binary.LittleEndian.AppendUint64(b, uint64(k.wall.UnixNano()))
}

func decodeKeepalive(b []byte) (keepalive, error) {
	if len(b) != keepaliveBytes || b[0] > flagPing|flagPong {
		return keepalive{}, fmt.Errorf("%w: keepalive", ErrFrame)
	}
	u64 := binary.LittleEndian.Uint64
	return keepalive{
		ping: b[0]&flagPing != 0, pong: b[0]&flagPong != 0,
		asked: time.Duration(u64(b[1:])), echoed: time.Duration(u64(b[9:])),
		wall: time.Unix(0, int64(u64(b[17:]))),
	}, nil
}

// pulse is what keepalives have told of a peer, and what is to be told next.
type pulse struct {
	mu       sync.Mutex
	ping     bool          // to be sent; guarded by mu
	pong     bool          // to be sent; guarded by mu
	echo     time.Duration // with pong; guarded by mu
	rtt      time.Duration // smoothed; 0 until measured; guarded by mu
	wall     time.Time     // of the peer, zero until it told; guarded by mu
	wallBoot time.Duration // our boot time when wall was right; guarded by mu
}

// ask makes the next packet a ping.
func (p *pulse) ask() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ping = true
}

// due returns the keepalive to send now, if there is one.
func (p *pulse) due() (k keepalive, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k = keepalive{ping: p.ping, pong: p.pong, echoed: p.echo}
	p.ping, p.pong, p.echo = false, false, 0
	return k, k.ping || k.pong
}

// receive takes a keepalive that arrived at the given boot time and reports whether it asks for an
// answer. A round trip that cannot be is ignored.
func (p *pulse) receive(k *keepalive, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rtt := now - k.echoed; k.pong && k.echoed >= 0 && rtt >= 0 {
		if p.rtt == 0 {
			p.rtt = rtt
		} else {
			p.rtt += (rtt - p.rtt) / 8
		}
	}
	p.wall, p.wallBoot = k.wall.Add(p.rtt/2), now
	if k.ping {
		p.pong, p.echo = true, k.asked
	}
	return k.ping
}

// read returns the round trip, the peer's wall clock carried on to now, and how old its reading is.
func (p *pulse) read(now time.Duration) (rtt time.Duration, wall time.Time, age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wall.IsZero() {
		return p.rtt, time.Time{}, 0
	}
	age = now - p.wallBoot
	return p.rtt, p.wall.Add(age), age
}
