package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// fate is what a client knows of a write that it has sent.
type fate uint8

const (
	unknown fate = iota // no answer, or one that says so
	applied             // acknowledged
	refused             // the answer says that certainly nothing happened
)

// claim is a write of one or more keys that change together. Each key is written once, by one claim, or
// twice if a second one deletes it; the value follows from the key.
type claim struct {
	keys []string
	size int  // of each value
	gone bool // it deletes keys that are there
	fate fate
}

// contents is the value of a key: cheap to make, unlike that of any other key, and not the same all through.
func contents(key string, size int) string {
	return strings.Repeat(key+"|", size/(len(key)+1)+1)[:size]
}

// count is a counter that many connections increment.
type count struct {
	least, most int64          // where its value must be
	seen        map[int64]bool // answers; each may be given once
}

// ledger knows everything that was sent to a node over its restarts.
type ledger struct {
	mu       sync.Mutex
	rounds   [][]*claim         // guarded by mu
	counts   map[string]*count  // guarded by mu
	versions map[string]version // guarded by mu
	fates    [3]int             // calls by what became of them; guarded by mu
	lost     int                // acknowledged calls whose effect is missing; guarded by mu
}

// version is a value that one client counts up: the last one acknowledged and the last one sent.
type version struct{ acked, sent int64 }

func newLedger() *ledger {
	return &ledger{counts: map[string]*count{}, versions: map[string]version{}}
}

// begin starts a round.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rounds = append(l.rounds, nil)
}

// enter notes a claim with its fate.
func (l *ledger) enter(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.rounds) - 1
	l.rounds[last] = append(l.rounds[last], c)
	l.fates[c.fate]++
}

// increment notes an increment of a counter and, if it was applied, its answer.
func (l *ledger) increment(t testing.TB, name string, f fate, value int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[name]
	if c == nil {
		c = &count{seen: map[int64]bool{}}
		l.counts[name] = c
	}
	l.fates[f]++
	switch f {
	case applied:
		c.least++
		c.most++
		if c.seen[value] {
			t.Errorf("INCR %s has answered %d twice: an acknowledged increment is lost", name, value)
			l.lost++
		}
		c.seen[value] = true
	case unknown:
		c.most++
	}
}

// sent notes that a client sends the next version of a key, and returns the step.
func (l *ledger) sent(name string) (from, to int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.versions[name]
	v.sent = v.acked + 1
	l.versions[name] = v
	return v.acked, v.sent
}

// settle notes what became of it.
func (l *ledger) settle(name string, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.versions[name]
	switch f {
	case applied:
		v.acked = v.sent
	case refused:
		v.sent = v.acked
	}
	l.versions[name] = v
	l.fates[f]++
}

// audit holds what a node has against the ledger. Only the latest rounds are looked at unless all is set.
// What was unknown is known afterwards, and must stay.
func (l *ledger) audit(t testing.TB, w *wire, all bool) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, round := range l.rounds {
		if all || i+2 >= len(l.rounds) {
			l.auditClaims(t, w, round)
		}
	}
	for name, c := range l.counts {
		value := number(t, w.do(t, "GET", name))
		if value < c.least || value > c.most {
			t.Errorf("counter %s is %d, not from %d to %d", name, value, c.least, c.most)
			l.lost += int(max(0, c.least-value))
		}
		c.least, c.most = value, value
	}
	for name, v := range l.versions {
		value := number(t, w.do(t, "GET", name))
		if value < v.acked || value > v.sent {
			t.Errorf("%s is at version %d, not from %d to %d", name, value, v.acked, v.sent)
			l.lost += int(max(0, v.acked-value))
		}
		l.versions[name] = version{value, value}
	}
	if all {
		l.auditNumber(t, w)
	}
}

// number reads a counter; one that is missing is at 0.
func number(t testing.TB, a answer) int64 {
	t.Helper()
	if a.null {
		return 0
	}
	if a.kind != '$' {
		t.Fatalf("a counter is answered by %q", a.raw)
	}
	return a.int()
}

// auditBytesMax bounds the values asked for at once.
const auditBytesMax = 4 << 20

func (l *ledger) auditClaims(t testing.TB, w *wire, claims []*claim) {
	t.Helper()
	for len(claims) > 0 {
		n, bytes := 0, 0
		args := []string{"MGET"}
		for n < len(claims) && (n == 0 || bytes < auditBytesMax) {
			args = append(args, claims[n].keys...)
			bytes += len(claims[n].keys) * (claims[n].size + 64)
			n++
		}
		values := w.do(t, args...)
		if len(values.elems) != len(args)-1 {
			t.Fatalf("MGET: %.200q", values.raw)
		}
		elems := values.elems
		for _, c := range claims[:n] {
			l.auditClaim(t, c, elems[:len(c.keys)])
			elems = elems[len(c.keys):]
		}
		claims = claims[n:]
	}
}

// auditClaim holds one claim against the values of its keys.
func (l *ledger) auditClaim(t testing.TB, c *claim, values []answer) {
	t.Helper()
	present := 0
	for i, value := range values {
		switch {
		case value.null:
		case value.text != contents(c.keys[i], c.size):
			t.Errorf("%s holds what was never written: %.100q", c.keys[i], value.text)
		default:
			present++
		}
	}
	if present != 0 && present != len(values) {
		t.Errorf("of %v, which change together, %d are there", c.keys, present)
	}
	happened := (present > 0) != c.gone
	switch {
	case c.fate == applied && !happened:
		t.Errorf("an acknowledged write is lost: %v, deletion: %v", c.keys, c.gone)
		l.lost++
	case c.fate == refused && happened:
		t.Errorf("a write that was refused has happened: %v, deletion: %v", c.keys, c.gone)
	case happened:
		c.fate = applied
	default:
		c.fate = refused
	}
}

// auditNumber checks that there is nothing but what was written, once all fates are known.
func (l *ledger) auditNumber(t testing.TB, w *wire) {
	t.Helper()
	want := int64(0)
	for _, round := range l.rounds {
		for _, c := range round {
			if happened := c.fate == applied; happened != c.gone {
				want += int64(len(c.keys))
			}
		}
	}
	for _, c := range l.counts {
		want += min(c.least, 1)
	}
	for _, v := range l.versions {
		want += min(v.acked, 1)
	}
	if got := w.do(t, "DBSIZE"); got.int() != want {
		t.Errorf("there are %d keys, the ledger has %d", got.int(), want)
	}
}

// outcomes returns how many calls had which fate.
func (l *ledger) outcomes() [3]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fates
}

// String sums the ledger up.
func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("acknowledged writes %d, unknown %d, refused %d; acknowledged and lost: %d",
		l.fates[applied], l.fates[unknown], l.fates[refused], l.lost)
}
