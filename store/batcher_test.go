package store

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/command"
)

// idle runs a test on a node whose actors get no turns, so that the test is the loop.
func idle(t *testing.T, test func(*testing.T, *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		test(t, n)
		n.kill()
	})
}

// runOf makes a run of writes with values of the given sizes, a read behind each.
func (n *node) runOf(sizes ...int) *run {
	r := n.store.newRun(command.NewReply(2, nil))
	for _, size := range sizes {
		set := command.Call{Credential: "c", Args: [][]byte{[]byte("set"), []byte("k"), make([]byte, size)}}
		r.add(op{call: &set})
		get := command.Call{Credential: "c", Args: [][]byte{[]byte("get"), []byte("k")}}
		r.add(op{call: &get, kind: riderOp})
	}
	return r
}

func (r *run) writes() (states []opState) {
	for i := range r.ops {
		if r.ops[i].kind == writeOp {
			states = append(states, r.ops[i].state)
		}
	}
	return states
}

const plenty = 1 << 40

func TestEntriesOfWaitingRuns(t *testing.T) {
	n := newNode(t)
	b := n.store.batcher
	rapid.Check(t, func(t *rapid.T) {
		var sizes []int
		for range rapid.IntRange(0, 6).Draw(t, "runs") {
			size := rapid.SampledFrom([]int{0, 10, 5000, 100_000, 255_000, 300_000})
			of := rapid.SliceOfN(size, 1, 8).Draw(t, "sizes")
			sizes = append(sizes, of...)
			b.add(n.runOf(of...))
		}
		limit := rapid.SampledFrom([]int{1, 300_000, plenty}).Draw(t, "limit")
		entryMax := rapid.SampledFrom([]int{0, 8000, 256 << 10, 1 << 20}).Draw(t, "limit of an entry")
		n.store.limits.EntryBytesMax = entryMax
		var got []int
		next := n.store.waiters.next
		for !b.idle() {
			entries := b.Take(7, limit)
			total := 0
			for i, data := range entries {
				_, calls, err := decode(data)
				if err != nil {
					t.Fatal(err)
				}
				if len(data) > min(entryMax, 256<<10) && len(calls) > 1 {
					t.Fatalf("an entry of %d calls has %d bytes", len(calls), len(data))
				}
				if total >= limit {
					t.Fatalf("entry %d was added to %d bytes, the limit is %d", i, total, limit)
				}
				total += len(data)
				for _, c := range calls {
					got = append(got, len(c.Call.Args[2]))
					if want := (origin{1, n.process, next}); c.Origin != want {
						t.Fatalf("origin %v, want %v", c.Origin, want)
					}
					if w, waits := n.store.waiters.take(next); !waits || w.term != 7 {
						t.Fatalf("waiter of %d: %v %v", next, w, waits)
					}
					next++
				}
			}
		}
		if !slices.Equal(got, sizes) {
			t.Fatalf("values of sizes %v, want %v", got, sizes)
		}
		if b.bytes != 0 {
			t.Fatalf("%d bytes are thought to wait", b.bytes)
		}
	})
	if len(b.Take(7, plenty)) != 0 {
		t.Error("an entry of nothing")
	}
	n.kill()
}

func TestWithdraw(t *testing.T) {
	tests := []struct {
		name  string
		limit int // of the Take before; 0: none
		want  []opState
	}{
		{"before any was taken", 0, []opState{refused, refused, refused}},
		{"when one was taken", 1, []opState{pending, refused, refused}},
		{"when two were taken", 300_000, []opState{pending, pending, refused}},
		{"when all were taken", plenty, []opState{pending, pending, pending}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			idle(t, func(t *testing.T, n *node) {
				b, r, other := n.store.batcher, n.runOf(200_000, 200_000, 200_000), n.runOf(1)
				b.add(r)
				b.add(other)
				if tt.limit > 0 {
					b.Take(7, tt.limit)
				}
				b.withdraw(r)
				if got := r.writes(); !slices.Equal(got, tt.want) {
					t.Errorf("states %v, want %v", got, tt.want)
				}
				for i := range r.ops {
					o := r.ops[i]
					if o.kind != riderOp {
						continue
					}
					want := pending
					switch {
					case r.ops[i-1].state == refused && r.writeFollows(i):
						want = refused // it must not see what was sent after it
					case r.ops[i-1].state == refused:
						want = unridden
					}
					if o.state != want {
						t.Errorf("call %d: a rider is %d, want %d", i, o.state, want)
					}
				}
				// Whatever is left is that of the other run.
				b.Take(7, plenty)
				b.withdraw(r)
				if b.bytes != 0 || !b.idle() {
					t.Errorf("%d bytes wait, idle %v", b.bytes, b.idle())
				}
				if got := other.writes(); !slices.Equal(got, []opState{pending}) {
					t.Errorf("the other run is %v", got)
				}
			})
		})
	}
}

func TestDroppedTakesTheLatestTakeBack(t *testing.T) {
	idle(t, func(t *testing.T, n *node) {
		b, first, second, third := n.store.batcher, n.runOf(1, 2), n.runOf(300_000, 300_000), n.runOf(3)
		b.add(first)
		b.Take(7, plenty)
		b.add(second)
		taken := b.Take(7, 1)
		b.add(third)
		b.Dropped(7, taken)
		for _, tt := range []struct {
			name string
			run  *run
			want []opState
		}{
			{"taken before", first, []opState{pending, pending}},
			{"taken in part", second, []opState{pending, pending}},
			{"not taken", third, []opState{pending}},
		} {
			if got := tt.run.writes(); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		if second.taken != 0 || !third.queued || b.queue[b.head] != second {
			t.Errorf("the head of the queue is not the first write that was dropped")
		}
		b.Dropped(7, nil) // nothing of an earlier Take
		if got := first.writes(); !slices.Equal(got, []opState{pending, pending}) {
			t.Errorf("taken before: %v", got)
		}
	})
}

func TestFullQueueRefuses(t *testing.T) {
	idle(t, func(t *testing.T, n *node) {
		b, large := n.store.batcher, n.runOf(1)
		large.bytes = queueBytesMax
		if !b.add(large) {
			t.Fatal("the queue took nothing")
		}
		s := n.session()
		expect(t, s.start("SET a 1", "PING").answers(t), "-TRYAGAIN "+errNotApplied.Text+" +PONG ")
		b.withdraw(large)
		if p := s.start("SET a 1"); p.ended {
			t.Error("refused though the queue is empty again")
		}
		n.clock.Advance(n.limits.Deadline)
		synctest.Wait()
	})
}

// TestQueueKeepsNoRoomForWhatWasTaken: under a load that never lets the queue run empty it stays small.
func TestQueueKeepsNoRoomForWhatWasTaken(t *testing.T) {
	idle(t, func(t *testing.T, n *node) {
		b := n.store.batcher
		for range 3 {
			b.add(n.runOf(300_000))
		}
		for range 2000 {
			b.add(n.runOf(300_000))
			b.Take(7, 1)
		}
		if cap(b.queue) > 100 {
			t.Errorf("room for %d runs, 3 wait", cap(b.queue))
		}
	})
}

// reaps returns what the entries say of expired keys.
func reaps(t *testing.T, entries [][]byte) (reaps []int) {
	t.Helper()
	for _, data := range entries {
		h, _, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		reaps = append(reaps, h.Reap)
	}
	return reaps
}

func TestTicks(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		b, s := n.store.batcher, n.session()
		step := func(name string, want ...int) {
			t.Helper()
			if got := reaps(t, b.Take(1, plenty)); !slices.Equal(got, want) {
				t.Errorf("%s: entries that reap %v, want %v", name, got, want)
			}
		}
		s.do("SET a 1 PX 100", "SET b 1 PX 200")
		boot := n.clock.Boot()
		at, ok := b.WakeAt()
		if want := boot + 100*time.Millisecond; at != want || !ok {
			t.Errorf("wants to wake at %v (%v), want %v", at, ok, want)
		}
		step("before the deadline")
		n.clock.Advance(100 * time.Millisecond)
		step("at the deadline", reapMax)
		step("while one is on its way")
		if _, ok := b.WakeAt(); ok {
			t.Error("wants to wake while a tick is on its way")
		}
		b.add(n.runOf(1))
		step("a write while one is on its way", 0)
		b.Dropped(1, nil)
		n.clock.Advance(tickInterval)
		step("that write was dropped and comes again, the tick was not", 0)
		b.ticked(n.clock.Now().UnixMilli())
		step("once it is applied", reapMax)
		b.Dropped(1, nil)
		n.clock.Advance(tickInterval - 1)
		step("dropped, but too soon after the last one")
		if at, ok := b.WakeAt(); at != boot+110*time.Millisecond+tickInterval || !ok {
			t.Errorf("wants to wake at %v (%v)", at, ok)
		}
		b.add(n.runOf(1, 300_000))
		step("with a write that goes anyway", reapMax, 0)
		b.ticked(n.clock.Now().UnixMilli() - 1)
		step("before that one is applied")
		b.ticked(n.clock.Now().UnixMilli())
		n.clock.Advance(tickInterval)
		step("after it", reapMax)
		n.clock.Advance(tickInterval)
		if got := reaps(t, b.Take(2, plenty)); !slices.Equal(got, []int{reapMax}) {
			t.Errorf("a tick of an earlier term stands in the way of the next: %v", got)
		}
	})
}

// TestTicksForReaders: a reader's wish for log time is kept until it is granted.
func TestTicksForReaders(t *testing.T) {
	idle(t, func(t *testing.T, n *node) {
		b := n.store.batcher
		due := epoch.UnixMilli() + 50
		granted := func(name string, want bool) {
			t.Helper()
			entries := b.Take(1, plenty)
			if (len(entries) == 1) != want {
				t.Fatalf("%s: %d entries", name, len(entries))
			}
			for _, data := range entries {
				if h, _, err := decode(data); err != nil || h.LogTime < due {
					t.Errorf("%s: log time %d, want at least %d (%v)", name, h.LogTime, due, err)
				}
			}
		}
		granted("before anyone asks", false)
		b.wantTick(due)
		granted("asked for", true)
		due += 5
		b.wantTick(due)
		granted("while another is on its way", false)
		if _, ok := b.WakeAt(); ok {
			t.Error("wants to wake while a tick is on its way")
		}
		b.ticked(due - 5)
		if at, ok := b.WakeAt(); !ok || at > n.clock.Boot() {
			t.Errorf("wants to wake at %v (%v) though a reader waits", at, ok)
		}
		granted("once that is applied", true)
		b.Dropped(1, nil)
		granted("again, because it was dropped", true)
		b.ticked(due)
		granted("no more", false)
	})
}

func TestEntriesSayThatMemoryIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.store.limits.MemoryBytesMax = 1610 // one key of 9 bytes and its database are counted as 1609
		n.settle()
		s := n.session()
		expect(t, s.do("SET a 12345678"), "+OK ")
		expect(t, s.do("SET b 12345678", "GET b"), "+OK $8 12345678 ")
		full := "-OOM " + command.ErrOutOfMemory.Text + " "
		expect(t, s.do("SET c 1", "GET c", "DEL b", "GET b"), full+"$-1 :1 $-1 ")
		expect(t, s.do("SET c 1"), "+OK ")
		n.kill()
	})
}

// TestMemoryLimitHoldsWithinAnEntry: calls that grow are refused one by one, and a transaction as a whole, although
// they stand in one entry.
func TestMemoryLimitHoldsWithinAnEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.store.limits.MemoryBytesMax = 8000
		n.settle()
		s := n.session()
		full := "-OOM " + command.ErrOutOfMemory.Text + " "
		expect(t, s.do("SETRANGE a 6999 x", "SETRANGE b 6999 x", "SETRANGE c 6999 x"), ":7000 "+full+full)
		expect(t, s.do("DEL a", "MULTI", "SET d 1", "SETRANGE e 6999 x", "SET f 1", "EXEC", "EXISTS d e f"),
			":1 +OK +QUEUED +QUEUED +QUEUED "+full+":0 ")
		n.kill()
	})
}

func TestTakeReusesItsMemory(t *testing.T) {
	idle(t, func(t *testing.T, n *node) {
		b := n.store.batcher
		b.add(n.runOf(100))
		first := b.Take(1, plenty)[0]
		kept := bytes.Clone(first)
		b.add(n.runOf(1000, 300_000, 10))
		all := b.Take(1, plenty)
		for i := range all {
			for j := range all[:i] {
				if &all[i][0] == &all[j][0] {
					t.Fatalf("entries %d and %d share their memory", i, j)
				}
			}
		}
		if bytes.Equal(first, kept) {
			t.Error("the memory of the entry before was not used again")
		}
	})
}
