package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// crowd is many clients of a fleet, over both doors of all of its nodes, that go on whatever happens to the nodes. All
// that they see is kept for the checkers. One crowd is one window of time: its keys are its own.
type crowd struct {
	t       testing.TB
	name    string // of this window, in front of all keys
	history *history
	pace    time.Duration // between calls of one client
	ended   chan struct{} // no new calls
	working sync.WaitGroup
	clients atomic.Int64
	fates   [3]atomic.Int64 // calls by what became of them
	writes  atomic.Int64    // of them, writes that were acknowledged
	stalls  stalls
	slack   atomic.Int64 // by how many ms log time may be off at most
	hours   *hours
	shelves *shelf
	once    sync.Once   // for the end
	full    atomic.Bool // a disk may be full, and then what grows is refused

	mu      sync.Mutex
	nodes   []*node // where clients go; guarded by mu
	seeds   *rand.Rand
	scrolls []*scroll // the last of them is appended to; guarded by mu
	mortals []*mortal // guarded by mu
	banks   []*bank   // fixed
	pages   int64     // registers that were in use, see page; guarded by mu
	turned  int       // calls since the last page was opened; guarded by mu
}

// crowdPatience bounds each exchange of a crowd's client, which may be with a node that stands still.
const crowdPatience = 12 * time.Second

// startCrowd lets a crowd loose on nodes of a fleet, on all of them if none are named.
func startCrowd(t testing.TB, f *fleet, name string, rng *rand.Rand, nodes ...*node) *crowd {
	t.Helper()
	if len(nodes) == 0 {
		nodes = f.nodes
	}
	c := &crowd{
		t: t, name: name, history: newHistory(), pace: 20 * time.Millisecond, ended: make(chan struct{}),
		hours: &hours{}, shelves: newShelf(name + ":shelf:"),
		nodes: slices.Clone(nodes), seeds: rand.New(rand.NewPCG(rng.Uint64(), 3)),
	}
	for i := range 2 {
		c.banks = append(c.banks, newBank(c.key("bank", i)))
	}
	c.slack.Store(clockSlack)
	c.unroll()
	for i := range f.nodes {
		c.enlist(i, c.append)
		c.enlist(i, c.append)
		c.enlist(i, c.read)
		c.enlist(i, c.move)
		c.enlist(i, c.live)
		c.enlist(i, c.watch)
		c.enlist(i, c.tell)
		c.enlist(i, c.shelve)
		c.enlist(i, c.guard)
		c.enlist(i, c.turnOver)
		c.enlist(i, c.turnOverRPC)
	}
	t.Cleanup(c.stop)
	return c
}

// key is a key of this window.
func (c *crowd) key(kind string, i int) string { return fmt.Sprintf("%s:%s:%d", c.name, kind, i) }

// client is one connection of the crowd. Who loses it comes back as another client, as nothing orders what the two
// have sent.
type client struct {
	n    *node
	w    *wire
	rpc  *grpc.ClientConn // nil until it is needed
	id   int
	turn int
	rng  *rand.Rand
}

// conn is the client's gRPC connection.
func (by *client) conn(t testing.TB) *grpc.ClientConn {
	if by.rpc == nil {
		by.rpc = by.n.call(t, "")
	}
	return by.rpc
}

// leave ends the client.
func (by *client) leave() {
	_ = by.w.Close()
	if by.rpc != nil {
		_ = by.rpc.Close()
	}
}

// visitMax is how many calls a client makes on a connection to another node than its own, before it looks whether its
// own is back: so a node that has come back is asked at once, and by many.
const visitMax = 25

// enlist starts a client that does one thing again and again, at the node at a place as long as that can be reached,
// and else at the next one, for a while. It ends with the crowd.
func (c *crowd) enlist(place int, do func(*client) error) {
	c.mu.Lock()
	rng := rand.New(rand.NewPCG(c.seeds.Uint64(), 4))
	c.mu.Unlock()
	c.working.Go(func() {
		beat := time.NewTicker(c.pace)
		defer beat.Stop()
		away := 0 // from its own node
		for c.on(beat) {
			n := c.node(place + away)
			w, err := connectWithin(n.respAddr(), crowdPatience)
			if err != nil {
				away++
				continue
			}
			one := &client{n: n, w: w, id: int(c.clients.Add(1)), rng: rng}
			for calls := 0; err == nil && (away == 0 || calls < visitMax) && c.on(beat); calls++ {
				err = do(one)
				one.turn++
			}
			away = 0
			one.leave()
		}
	})
}

// on waits for the next beat, and reports whether there is to be another call.
func (c *crowd) on(beat *time.Ticker) bool {
	select {
	case <-c.ended:
		return false
	case <-beat.C:
		return true
	}
}

func (c *crowd) node(place int) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[place%len(c.nodes)]
}

// judge tells what an answer means.
func (c *crowd) judge(a answer, err error) fate {
	if a.prefix() == "EXECABORT" || a.prefix() == "DISKFULL" && c.full.Load() {
		a.text = "TRYAGAIN" // nothing has happened, of a transaction neither
	}
	f := judgeRESP(c.t)(a, err)
	c.fates[f].Add(1)
	return f
}

// scrollMax is how many passes one scroll is for: what is read grows with it.
const scrollMax = 600

// unroll begins another scroll. The caller holds mu, or is the only one.
func (c *crowd) unroll() {
	c.scrolls = append(c.scrolls, &scroll{key: c.key("scroll", len(c.scrolls))})
}

// scroll returns the one that is in use.
func (c *crowd) scroll() *scroll {
	c.mu.Lock()
	s := c.scrolls[len(c.scrolls)-1]
	c.mu.Unlock()
	s.mu.Lock()
	full := len(s.passes) >= scrollMax
	s.mu.Unlock()
	if full {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s == c.scrolls[len(c.scrolls)-1] {
			c.unroll()
		}
	}
	return s
}

// append appends to a scroll, now and then several times in one go.
func (c *crowd) append(by *client) error {
	s := c.scroll()
	together := 1
	if by.rng.IntN(8) == 0 {
		together = 4
	}
	var frames strings.Builder
	for i := range together {
		frames.WriteString(frame("APPEND", s.key, elementOf(by.id, by.turn+i)))
	}
	called := c.history.now()
	err := by.w.put(frames.String())
	for i := range together {
		var a answer
		if err == nil {
			a, err = by.w.get()
		}
		p := pass{client: by.id, turn: by.turn + i, element: elementOf(by.id, by.turn+i), called: called}
		if p.fate = c.judge(a, err); p.fate == applied {
			p.size = int(a.int())
			c.wrote()
		}
		p.returned = c.history.now()
		s.add(p)
	}
	by.turn += together - 1
	return err
}

// read reads the scroll in use, or one before.
func (c *crowd) read(by *client) error {
	s := c.scroll()
	p := pass{client: by.id, turn: by.turn, called: c.history.now()}
	a, err := by.w.call("GET", s.key)
	p.fate, p.text, p.returned = c.judge(a, err), a.text, c.history.now()
	s.add(p)
	return err
}

// move moves money in a transaction, or looks how much there is.
func (c *crowd) move(by *client) (err error) {
	b := c.banks[by.rng.IntN(len(c.banks))]
	var a answer
	if by.rng.IntN(2) == 0 {
		a, err = by.w.call("MGET", b.from, b.to)
		if c.judge(a, err) == applied {
			if _, wrong := b.balance(a); wrong != "" {
				c.t.Error(wrong)
			}
		}
		return err
	}
	amount := 1 + by.rng.Int64N(9)
	err = by.w.put(b.move(amount))
	for range 4 {
		if err == nil {
			a, err = by.w.get()
		}
	}
	f := c.judge(a, err)
	if f == applied {
		c.wrote()
	}
	b.settle(f, amount)
	return err
}

// live writes a key with a TTL.
func (c *crowd) live(by *client) error {
	m := &mortal{
		key: fmt.Sprintf("%s:mortal:%d.%d", c.name, by.id, by.turn), ttl: 200 + by.rng.Int64N(3000), slack: &c.slack,
	}
	m.sent = wallMillis()
	a, err := by.w.call("SET", m.key, "alive", "PX", fmt.Sprint(m.ttl))
	m.fate, m.backAt = c.judge(a, err), wallMillis()
	if m.fate == applied {
		c.wrote()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mortals = append(c.mortals, m)
	return err
}

// watch looks after one of the latest keys with a TTL.
func (c *crowd) watch(by *client) error {
	c.mu.Lock()
	var m *mortal
	if n := len(c.mortals); n > 0 {
		m = c.mortals[n-1-by.rng.IntN(min(n, 200))]
	}
	c.mu.Unlock()
	if m == nil {
		return nil
	}
	return c.look(by, m)
}

// look asks for the deadline of a mortal, or for what else tells that it lives.
func (c *crowd) look(by *client, m *mortal) error {
	line := [][]string{
		{"PEXPIRETIME", m.key}, {"PTTL", m.key}, {"GET", m.key}, {"EXISTS", m.key},
	}[by.rng.IntN(4)]
	s := sight{called: wallMillis()}
	a, err := by.w.call(line...)
	s.returned = wallMillis()
	if c.judge(a, err) != applied {
		return err
	}
	switch gone := a.null || a.text == "-2" || line[0] == "EXISTS" && a.text == "0"; {
	case gone:
		s.told = -2
	case line[0] == "PEXPIRETIME":
		s.told = a.int()
	case line[0] == "PTTL" && (a.int() < 1 || a.int() > m.ttl+m.slack.Load()):
		c.t.Errorf("%s was given %d ms to live, and has %s", m.key, m.ttl, a.text)
	case line[0] == "GET" && a.text != "alive":
		c.t.Errorf("%s is %q", m.key, a.text)
	}
	if wrong := m.see(s); wrong != "" {
		c.t.Error(wrong)
	}
	return err
}

// tell learns log time from a write with a TTL and its deadline, in one entry.
func (c *crowd) tell(by *client) error {
	key := fmt.Sprintf("%s:hour:%d", c.name, by.id)
	h := hour{called: c.history.now(), from: wallMillis()}
	err := by.w.put(frame("MULTI") + frame("SET", key, "x", "PX", fmt.Sprint(hourTTL)) +
		frame("PEXPIRETIME", key) + frame("EXEC"))
	var a answer
	for range 4 {
		if err == nil {
			a, err = by.w.get()
		}
	}
	if c.judge(a, err) == applied && len(a.elems) == 2 {
		c.wrote()
		h.returned, h.to, h.told = c.history.now(), wallMillis(), a.elems[1].int()-hourTTL
		c.hours.add(h)
	}
	return err
}

// doubt says that from now on, or soon, log time may be off by so much more than it always may.
func (c *crowd) doubt(by time.Duration) {
	c.slack.Store(max(c.slack.Load(), by.Milliseconds()+clockSlack))
}

// A page is two registers. pageMax is how many calls it is for: the checker of registers bears no long histories, and
// few outcomes that are unknown.
const pageMax = 250

// page returns a register of the page that is in use.
func (c *crowd) page(rng *rand.Rand) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turned++; c.turned > pageMax {
		c.pages++
		c.turned = 0
	}
	return c.register(c.pages, rng.IntN(2))
}

// tear ends the page, as there is one more outcome that is unknown.
func (c *crowd) tear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turned += pageMax / 5
}

func (c *crowd) register(page int64, i int) string { return c.key("register", int(2*page)+i) }

// turnOver works on a register over RESP.
func (c *crowd) turnOver(by *client) error {
	if c.onRegister(by, respDoor{c.judge, by.w}, respOperations...) {
		return errBroken
	}
	return nil
}

var errBroken = fmt.Errorf("the connection has broken")

// onRegister makes one of the operations on a register, and reports whether the door is of no more use.
func (c *crowd) onRegister(by *client, d door, names ...string) (broken bool) {
	o := operation{
		name: names[by.rng.IntN(len(names))], key: c.page(by.rng),
		value: fmt.Sprintf("%d%06d", by.id, by.turn), expect: fmt.Sprintf("%d%06d", by.id, by.turn-1),
	}
	called := c.history.now()
	told, broken := d.do([]operation{o})
	c.history.add(by.id, o, called, told[0])
	if told[0].unknown && o.name != "get" {
		c.tear()
	}
	return broken
}

// turnOverRPC works on a register over gRPC.
func (c *crowd) turnOverRPC(by *client) error {
	if c.onRegister(by, rpcDoor{c.t, pb.NewKeyValueClient(by.conn(c.t))}, rpcOperations...) {
		return errBroken
	}
	return nil
}

// guard sets a register to another value than it has read, in a transaction that is not to happen if anyone has written
// in between. For the checker the read is one operation, and the transaction, if it may have happened, another: a swap.
func (c *crowd) guard(by *client) error {
	o := operation{name: "get", key: c.page(by.rng)}
	d := respDoor{c.judge, by.w}
	if a, err := by.w.call("WATCH", o.key); c.judge(a, err) != applied {
		return err
	}
	called := c.history.now()
	told, broken := d.do([]operation{o})
	if c.history.add(by.id, o, called, told[0]); broken || told[0].unknown || told[0].refused {
		return errBroken // and with the connection goes the watch
	}
	swap := operation{
		name: "cas", key: o.key, expect: told[0].value, value: fmt.Sprintf("%d%06d", by.id, by.turn),
	}
	called = c.history.now()
	err := by.w.put(frame("MULTI") + frame("SET", swap.key, swap.value) + frame("EXEC"))
	var a answer
	for range 3 {
		if err == nil {
			a, err = by.w.get()
		}
	}
	switch f := c.judge(a, err); {
	case f == unknown:
		c.history.add(by.id, swap, called, outcome{unknown: true})
		c.tear()
	case f == applied && !a.null:
		c.history.add(by.id, swap, called, outcome{done: true})
		c.wrote()
	}
	return err
}

// wrote notes a write that was acknowledged.
func (c *crowd) wrote() {
	c.writes.Add(1)
	c.stalls.mark(time.Now())
}

// visit sends the clients to other nodes from now on.
func (c *crowd) visit(nodes []*node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.Clone(nodes)
}

// stalls knows the longest time between two things that were to follow each other closely.
type stalls struct {
	mu      sync.Mutex
	last    time.Time     // guarded by mu
	longest time.Duration // guarded by mu
}

func (s *stalls) mark(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() {
		s.longest = max(s.longest, now.Sub(s.last))
	}
	s.last = now
}

// take returns the longest one since it was taken before, with the one that lasts now.
func (s *stalls) take() time.Duration {
	s.mark(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.longest = 0 }()
	return s.longest
}

// await waits until so many more writes are acknowledged.
func (c *crowd) await(more int64) {
	c.t.Helper()
	enough := c.writes.Load() + more
	eventually(c.t, 30*time.Second, fmt.Sprint(more, " more writes are acknowledged"), func() bool {
		return c.writes.Load() >= enough
	})
}

// stop lets the crowd end with the calls that are on their way.
func (c *crowd) stop() {
	c.once.Do(func() { close(c.ended) })
	c.working.Wait()
}

// settle ends the crowd and holds all it has seen against what each node says afterwards. The nodes must serve.
func (c *crowd) settle(nodes ...*node) {
	c.t.Helper()
	c.stop()
	for i, n := range nodes {
		c.audit(n, 1_000_000+i)
	}
	c.history.check(c.t)
	for _, wrong := range c.hours.check(c.slack.Load()) {
		c.t.Error(wrong)
	}
	c.t.Log(c)
}

// audit holds a node against all that was seen.
func (c *crowd) audit(n *node, id int) {
	c.t.Helper()
	by := &client{n: n, w: n.wire(c.t), id: id, rng: rand.New(rand.NewPCG(uint64(id), 7))}
	defer by.w.Close()
	for _, s := range c.scrolls {
		a := by.w.do(c.t, "GET", s.key)
		for _, wrong := range s.check(a.text) {
			c.t.Errorf("node %s: %.2000s", n.host, wrong)
		}
	}
	for _, b := range c.banks {
		for _, wrong := range b.check(by.w.do(c.t, "MGET", b.from, b.to)) {
			c.t.Errorf("node %s: %s", n.host, wrong)
		}
	}
	for _, m := range c.mortals {
		if err := c.look(by, m); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := c.list(by); err != nil {
		c.t.Fatal(err)
	}
	for page := range c.pages + 1 {
		for i := range 2 {
			o := operation{name: "get", key: c.register(page, i)}
			called := c.history.now()
			told, _ := respDoor{c.judge, by.w}.do([]operation{o})
			c.history.add(id, o, called, told[0])
		}
	}
}

// String sums the crowd up.
func (c *crowd) String() string {
	return fmt.Sprintf("%d calls answered (%d of them writes), %d unknown, %d refused; %d connections, %d scrolls, "+
		"%d keys with a TTL", c.fates[applied].Load(), c.writes.Load(), c.fates[unknown].Load(),
		c.fates[refused].Load(), c.clients.Load(), len(c.scrolls), len(c.mortals))
}
