package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// weather is what becomes of what peers send each other while a middleman carries it. As it is TCP that they speak,
// nothing is lost without being sent again: what is lost comes late, with all behind it, or the connection breaks.
type weather struct {
	delay, jitter time.Duration // of each piece: as long, and up to so much longer
	bytes         int           // per second and direction, 0: as many as there are
	loss          float64       // chance that a piece is lost
	breaks        float64       // chance that a connection breaks, once the piece is late
}

// lateMax is how late a piece that was lost comes, at most: the transports give up after two seconds of silence.
const lateMax = 2500 * time.Millisecond

// String is for the log.
func (w *weather) String() string {
	return fmt.Sprintf("delay %v to %v, %d bytes a second, loss %.3f, breaks %.1f", w.delay, w.delay+w.jitter, w.bytes,
		w.loss, w.breaks)
}

// road is one direction of a connection between peers. Pieces arrive in the order in which they were sent, each when
// it is due.
type road struct {
	man      *middleman
	from, to net.Conn
	rng      *rand.Rand
	due      time.Time // of the last piece that was sent
	free     time.Time // when the last of its bytes is through
	parcels  chan parcel
	once     sync.Once
	ended    chan struct{}
}

type parcel struct {
	bytes  []byte
	due    time.Time
	breaks bool // the connection breaks in place of it
}

const (
	parcelsMax = 64                     // pieces on the way, each of 64 KiB or little more
	tailMax    = 200 * time.Millisecond // before a narrow place; who sends more is made to wait
)

// newRoad makes a road. The caller holds the middleman's mu.
func newRoad(m *middleman, from, to net.Conn) *road {
	return &road{
		man: m, from: from, to: to, rng: rand.New(rand.NewPCG(m.seeds.Uint64(), 6)),
		parcels: make(chan parcel, parcelsMax), ended: make(chan struct{}),
	}
}

// end ends the connection.
func (r *road) end() {
	r.once.Do(func() {
		close(r.ended)
		_, _ = r.from.Close(), r.to.Close()
	})
}

// send sets a piece on its way, in the weather that there is, and reports whether the road goes on.
func (r *road) send(piece []byte) bool {
	w, now := r.man.weather.Load(), time.Now()
	due := now.Add(w.delay)
	if w.jitter > 0 {
		due = due.Add(time.Duration(r.rng.Int64N(int64(w.jitter))))
	}
	if w.bytes > 0 {
		if room := r.free.Add(-tailMax); room.After(now) && !r.wait(room.Sub(now)) {
			return false
		}
		if now = time.Now(); r.free.Before(now) {
			r.free = now
		}
		r.free = r.free.Add(time.Duration(len(piece)) * time.Second / time.Duration(w.bytes))
		due = due.Add(r.free.Sub(now))
	}
	p := parcel{bytes: piece}
	if w.loss > 0 && r.rng.Float64() < w.loss {
		due = due.Add(time.Duration(r.rng.Int64N(int64(lateMax))))
		p.breaks = r.rng.Float64() < w.breaks
	}
	if due.Before(r.due) {
		due = r.due
	}
	r.due, p.due = due, due
	select {
	case r.parcels <- p:
		return true
	case <-r.ended:
		return false
	}
}

// wait waits for a time, and reports whether the road goes on.
func (r *road) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.ended:
		return false
	}
}

// deliver delivers each piece when it is due.
func (r *road) deliver() {
	defer r.end()
	for p := range r.parcels {
		if wait := time.Until(p.due); wait > 0 && !r.wait(wait) || p.breaks {
			return
		}
		if _, err := r.to.Write(p.bytes); err != nil {
			return
		}
	}
}

// climates are kinds of weather, each as bad as it may be: a crowd is still to get on.
var climates = map[string]weather{
	"slow links":   {delay: 20 * time.Millisecond, jitter: 80 * time.Millisecond},
	"lossy links":  {delay: time.Millisecond, jitter: 5 * time.Millisecond, loss: 0.01, breaks: 0.3},
	"narrow links": {bytes: 64 << 10, delay: time.Millisecond},
}

// spoil lets the crowd go on for so many writes in a weather.
func (m *middleman) spoil(c *crowd, climate string, writes int64) {
	m.t.Helper()
	w := climates[climate]
	m.weather.Store(&w)
	c.await(writes)
	m.weather.Store(&weather{})
}

// TestFleetWeather lets what nodes send each other come late and out of pace, get lost until it is sent again, and
// pass a narrow place, under load.
func TestFleetWeather(t *testing.T) {
	longProof(t)
	rng := random(t)
	f := newFleet(t, 3, true)
	m := between(f, rng)
	f.start()
	for climate := range climates {
		c := startCrowd(t, f, climate, rng)
		c.await(20)
		m.spoil(c, climate, 300)
		f.serves(startTimeout, f.nodes...)
		c.await(50)
		c.settle(f.nodes...)
	}
}
