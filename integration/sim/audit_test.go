package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/store"
)

// story is a history and the log that is to explain it, made by hand.
type story struct {
	calls   []*call
	entries []store.Entry
	now     int // steps; a call takes one from its sending to its answer, and one lies between two calls
	time    int64
}

// says has a connection send a line and get an answer.
func (s *story) says(connection uint64, told answer, words ...string) *call {
	s.now += 2
	c := &call{
		client: command.Client{Session: connection, Sequence: uint64(len(s.calls) + 1)}, words: words,
		begin: s.now, end: s.now + 1, wallBegin: s.time, wallEnd: s.time, answer: &told,
	}
	if c.outcome() == unknown {
		c.end = never
	}
	s.calls = append(s.calls, c)
	return c
}

// writes is says for a call that gets into the log.
func (s *story) writes(connection uint64, told answer, words ...string) *call {
	c := s.says(connection, told, words...)
	s.log(c)
	return c
}

// log appends an entry with one call.
func (s *story) log(c *call, watched ...command.Watch) {
	if c.words[0] == "NAMESPACE" {
		c.at = engine.NoNamespace
	}
	l := store.LoggedCall{Call: command.Call{
		Client: c.client, Namespace: c.at, Args: argsOf(c.words), Watched: watched,
	}}
	for _, q := range c.queued {
		l.Sub = append(l.Sub, command.Call{Namespace: q.at, Args: argsOf(q.words)})
	}
	s.entries = append(s.entries, store.Entry{LogTime: s.time, Calls: []store.LoggedCall{l}})
}

// pass lets log time pass.
func (s *story) pass(ms int64) {
	s.time += ms
	s.entries = append(s.entries, store.Entry{LogTime: s.time, Reap: 10})
}

func argsOf(words []string) [][]byte {
	var args [][]byte
	for _, word := range words {
		args = append(args, []byte(word))
	}
	return args
}

// transaction has a connection send one, as the EXEC that carries its lines.
func (s *story) transaction(connection uint64, told answer, lines ...string) *call {
	c := s.says(connection, told, "EXEC")
	for _, l := range lines {
		c.queued = append(c.queued, &call{words: strings.Fields(l), inside: true})
	}
	return c
}

// unanswered makes of a call one of which nobody knows what became of it.
func unanswered(c *call) *call {
	c.answer, c.end = nil, never
	return c
}

// check audits the story.
func (s *story) check() error {
	slices.SortStableFunc(s.calls, func(x, y *call) int { return x.begin - y.begin })
	a := &audit{calls: s.calls, exact: true}
	return a.run(s.entries)
}

// tale is a story, and what is wrong with it: "" for nothing.
type tale struct {
	name, wrong string
	tell        func(s *story)
}

// expect tells the story behind its beginning, and holds what the audit says of it against what it should.
func (l tale) expect(t *testing.T, begin func(s *story)) {
	t.Helper()
	s := &story{time: 1000}
	begin(s)
	l.tell(s)
	switch err := s.check(); {
	case l.wrong == "" && err != nil:
		t.Errorf("%s: %v", l.name, err)
	case l.wrong != "" && (err == nil || !strings.Contains(err.Error(), l.wrong)):
		t.Errorf("%s: found %v, want %q", l.name, err, l.wrong)
	}
}

var refusal = answer{kind: '-', text: "TRYAGAIN not applied"}

// TestAuditOfReads: a read sees what was there at a moment between its sending and its answer.
func TestAuditOfReads(t *testing.T) {
	for _, test := range []tale{
		{"one after the other", "", func(s *story) {
			s.writes(1, okay, "SET", "p0", "a")
			s.says(2, bulk("a"), "GET", "p0")
			s.writes(2, number(2), "APPEND", "p0", "b")
			s.says(1, bulk("ab"), "GET", "p0")
			s.says(1, refusal, "SET", "p0", "c")
			s.says(1, refusal, "GET", "p0")
			unanswered(s.says(1, okay, "SET", "p0", "d"))
			unanswered(s.writes(3, okay, "SET", "p0", "e"))
			s.says(2, bulk("e"), "GET", "p0")
		}},
		{"a read of what never was", "what never was", func(s *story) {
			s.writes(1, okay, "SET", "p0", "a")
			s.says(2, bulk("x"), "GET", "p0")
		}},
		{"an old read", "a read saw state", func(s *story) {
			s.writes(1, okay, "SET", "p0", "a")
			s.writes(1, okay, "SET", "p0", "b")
			s.says(2, bulk("a"), "GET", "p0")
		}},
		{"a read of another key that is older than one of the first", "a read saw state", func(s *story) {
			slow := s.writes(1, okay, "MSET", "p0", "a", "p1", "b")
			s.says(2, bulk("a"), "GET", "p0")
			s.says(3, noValue, "GET", "p1")
			slow.end = s.now + 5
		}},
		{"an old read while the write is under way", "", func(s *story) {
			slow := s.writes(1, okay, "SET", "p0", "a")
			s.says(2, noValue, "GET", "p0")
			s.says(3, bulk("a"), "GET", "p0")
			slow.end = s.now + 5
		}},
		{"reads of one connection go back", "a read saw state", func(s *story) {
			slow := s.writes(1, okay, "SET", "p0", "a")
			first, second := s.says(2, bulk("a"), "GET", "p0"), s.says(2, noValue, "GET", "p0")
			first.begin, first.end, second.end, slow.end = second.begin, s.now+9, s.now+9, s.now+9
		}},
		{"a read of what is sent later", "a read saw state", func(s *story) {
			s.says(2, bulk("a"), "GET", "p0")
			s.writes(1, okay, "SET", "p0", "a")
		}},
		{"a read of what its connection sends later", "a read saw state", func(s *story) {
			read, write := s.says(1, bulk("a"), "GET", "p0"), s.writes(1, okay, "SET", "p0", "a")
			write.begin, read.end = read.begin, write.end
		}},
	} {
		test.expect(t, func(*story) {})
	}
}

// TestAuditOfWrites: the log has what was acknowledged, once, in an order that clients may have seen.
func TestAuditOfWrites(t *testing.T) {
	for _, test := range []tale{
		{"a wrong answer to a write", "the answer at its place in the log is :2", func(s *story) {
			s.writes(1, okay, "SET", "p0", "a")
			s.writes(2, number(3), "APPEND", "p0", "b")
		}},
		{"two writes that change places", "behind it in the log", func(s *story) {
			first := s.says(1, okay, "SET", "p0", "a")
			s.writes(2, okay, "SET", "p0", "b")
			s.log(first)
		}},
		{"two writes of a connection that change places", "changed places", func(s *story) {
			first := unanswered(s.says(1, okay, "SET", "p0", "a"))
			s.writes(1, okay, "SET", "p0", "b")
			s.log(first)
		}},
		{"two writes at one time in either order", "", func(s *story) {
			first := s.says(1, number(2), "APPEND", "p0", "a")
			second := s.writes(2, number(1), "APPEND", "p0", "b")
			first.end = second.end
			s.log(first)
		}},
		{"a lost write", "acknowledged, and not in the log", func(s *story) { s.says(1, okay, "SET", "p0", "a") }},
		{"a refused write in the log", "said not to be applied", func(s *story) {
			s.writes(1, refusal, "SET", "p0", "a")
		}},
		{"a write twice", "in the log twice", func(s *story) { s.log(s.writes(1, okay, "SET", "p0", "a")) }},
		{"a write of nobody", "a call that nobody sent", func(s *story) {
			s.log(&call{words: []string{"SET", "p0", "a"}})
		}},
		{"another write", `["SET" "p0" "b"] is in the log`, func(s *story) {
			c := s.writes(1, okay, "SET", "p0", "b")
			c.words = []string{"SET", "p0", "a"}
		}},
		{"a write in another database", "for namespace {0 2}", func(s *story) {
			s.writes(1, okay, "SET", "p0", "b")
			s.entries[0].Calls[0].Namespace = engine.Ref{Number: 2}
		}},
		{"a read in the log", "no place in the log", func(s *story) { s.writes(1, noValue, "GET", "p0") }},
		{"log time that goes back", "log time goes back", func(s *story) {
			s.pass(1)
			s.pass(-1)
		}},
	} {
		test.expect(t, func(*story) {})
	}
}

// TestAuditOfDeadlines: a key ends when it should, and for good.
func TestAuditOfDeadlines(t *testing.T) {
	for _, test := range []tale{
		{"a life", "", func(s *story) {
			s.says(2, number(100), "PTTL", "t0")
			s.pass(60)
			s.says(2, number(40), "PTTL", "t0")
			s.says(2, number(1100), "PEXPIRETIME", "t0")
			s.says(2, number(1), "DBSIZE")
			s.pass(40)
			s.says(2, number(-2), "PTTL", "t0")
			s.says(2, number(0), "DBSIZE")
		}},
		{"by the leader's clock", "", func(s *story) {
			late := s.says(2, number(30), "PTTL", "t0")
			late.wallBegin, late.wallEnd = 1060, 1080
		}},
		{"longer than it was given", "a read saw", func(s *story) { s.says(2, number(101), "PTTL", "t0") }},
		{"less than a millisecond", "a read saw", func(s *story) { s.says(2, number(0), "PTTL", "t0") }},
		{"less than is left", "a read saw", func(s *story) { s.says(2, number(90), "PTTL", "t0") }},
		{"a key that came back", "a read saw", func(s *story) {
			s.pass(100)
			s.says(2, noValue, "GET", "t0")
			s.says(3, bulk("x"), "GET", "t0")
		}},
		{"a key that outlives its end by the log", "a read saw", func(s *story) {
			s.pass(100)
			s.writes(1, okay, "SET", "p0", "a")
			s.says(2, bulk("x"), "GET", "t0")
		}},
		{"a key that outlives its end by the clock", "what never was", func(s *story) {
			s.says(2, bulk("x"), "GET", "t0").wallBegin = 1100
		}},
		{"a write that finds it after its end", "the answer at its place in the log is :1", func(s *story) {
			s.pass(100)
			s.writes(2, number(2), "APPEND", "t0", "y")
		}},
		{"a deadline that is forgotten", "the answer at its place in the log is :1", func(s *story) {
			s.writes(2, number(2), "APPEND", "t0", "y")
			s.writes(2, number(0), "PERSIST", "t0")
		}},
	} {
		test.expect(t, func(s *story) { s.writes(1, okay, "SET", "t0", "x", "PX", "100") })
	}
}

// TestAuditOfTransactions: all of one or nothing of it, at one moment.
func TestAuditOfTransactions(t *testing.T) {
	for _, test := range []tale{
		{"as a whole", "", func(s *story) {
			s.log(s.transaction(1, array(number(2), okay), "APPEND p0 b", "SET p1 c"))
			s.says(2, array(bulk("ab"), bulk("c")), "MGET", "p0", "p1")
			s.transaction(2, array(bulk("ab"), answer{kind: '+', text: "PONG"}), "GET p0", "PING")
		}},
		{"half in the log", "1 queued calls are in the log", func(s *story) {
			c := s.transaction(1, array(number(2), okay), "APPEND p0 b", "SET p1 c")
			s.log(c)
			s.entries[1].Calls[0].Sub = s.entries[1].Calls[0].Sub[:1]
		}},
		{"seen by half", "what never was", func(s *story) {
			s.log(s.transaction(1, array(number(2), okay), "APPEND p0 b", "SET p1 c"))
			s.says(2, array(bulk("ab"), noValue), "MGET", "p0", "p1")
		}},
		{"reads of two moments", "what never was", func(s *story) {
			slow := s.writes(1, okay, "MSET", "p0", "b", "p1", "b")
			s.transaction(2, array(bulk("a"), bulk("b")), "GET p0", "GET p1")
			slow.end = s.now + 3
		}},
		{"done without a place in the log", "acknowledged, and not in the log", func(s *story) {
			s.transaction(1, array(okay), "SET p0 b")
		}},
	} {
		test.expect(t, func(s *story) { s.writes(1, okay, "SET", "p0", "a") })
	}
}

// TestAuditOfWatches: a transaction is carried out only if what was watched is as it was.
func TestAuditOfWatches(t *testing.T) {
	seen := command.Watch{Key: []byte("p0"), Revision: 1, Alive: true}
	watches := func(s *story) *call { return s.says(1, okay, "WATCH", "p0") }
	for _, test := range []tale{
		{"what was watched is the same", "", func(s *story) {
			w := watches(s)
			s.says(1, bulk("a"), "GET", "p0")
			c := s.transaction(1, array(okay), "SET p0 b")
			c.watched = []*call{w}
			s.log(c, seen)
		}},
		{"what was watched has changed", "", func(s *story) {
			w := watches(s)
			s.writes(2, okay, "SET", "p0", "x")
			c := s.transaction(1, notDone, "SET p0 b")
			c.watched = []*call{w}
			s.log(c, seen)
		}},
		{"what was watched has changed, and it is carried out", "carried out, though \"p0\" changed", func(s *story) {
			w := watches(s)
			s.writes(2, okay, "SET", "p0", "x")
			c := s.transaction(1, array(okay), "SET p0 b")
			c.watched = []*call{w}
			s.log(c, command.Watch{Key: []byte("p0"), Revision: 2, Alive: true})
		}},
		{"what was read has changed, and it is carried out", "what was read has changed", func(s *story) {
			w := watches(s)
			s.says(1, bulk("a"), "GET", "p0")
			other := s.writes(2, okay, "SET", "p0", "x")
			other.begin = w.begin
			c := s.transaction(1, array(okay), "SET p0 b")
			c.watched = []*call{w}
			s.log(c, command.Watch{Key: []byte("p0"), Revision: 2, Alive: true})
		}},
		{"what was watched has expired, and it is carried out", "has expired", func(s *story) {
			s.writes(1, number(1), "PEXPIRE", "p0", "10")
			w := watches(s)
			s.writes(2, okay, "SET", "p2", "a")
			s.time += 20
			c := s.transaction(1, array(okay), "SET p1 b")
			c.watched = []*call{w}
			s.log(c, command.Watch{Key: []byte("p0"), Revision: 2})
		}},
		{"done by the log, and answered with nothing", "the answer at its place in the log is [+OK]", func(s *story) {
			w := watches(s)
			c := s.transaction(1, notDone, "SET p0 b")
			c.watched = []*call{w}
			s.log(c, seen)
		}},
		{"not done, as the watch was old", "", func(s *story) {
			s.writes(2, okay, "SET", "p0", "x")
			w := watches(s)
			c := s.transaction(1, notDone, "SET p0 b")
			c.watched = []*call{w}
			s.log(c, seen)
		}},
	} {
		test.expect(t, func(s *story) { s.writes(1, okay, "SET", "p0", "a") })
	}
}

// TestAuditOfScans: an iteration has what was there all the time, and nothing that was not.
func TestAuditOfScans(t *testing.T) {
	part := func(cursor string, keys ...string) answer { return array(bulk(cursor), bulks(keys)) }
	for _, test := range []tale{
		{"all", "", func(s *story) {
			s.says(2, part("7", "p1"), "SCAN", "0", "COUNT", "1")
			s.says(2, part("0", "p0", "p1"), "SCAN", "7", "COUNT", "1")
		}},
		{"one that comes and one that goes", "", func(s *story) {
			s.says(2, part("7", "p0"), "SCAN", "0", "COUNT", "1")
			s.writes(1, okay, "SET", "p2", "c")
			s.writes(1, number(1), "DEL", "p1")
			s.says(2, part("0"), "SCAN", "7", "COUNT", "1")
		}},
		{"one is missing", `"p1" was there all the time`, func(s *story) {
			s.says(2, part("7", "p0"), "SCAN", "0", "COUNT", "1")
			s.says(2, part("0"), "SCAN", "7", "COUNT", "1")
		}},
		{"one that is not asked for", "what never was", func(s *story) {
			s.says(2, part("0", "p0", "p1"), "SCAN", "0", "MATCH", "t*", "COUNT", "9")
		}},
		{"one twice", "what never was", func(s *story) { s.says(2, part("0", "p0", "p1", "p1"), "SCAN", "0") }},
		{"one that was gone before", "a read saw state", func(s *story) {
			s.writes(1, number(1), "DEL", "p1")
			s.says(2, part("0", "p0", "p1"), "SCAN", "0")
		}},
	} {
		test.expect(t, func(s *story) { s.writes(1, okay, "MSET", "p0", "a", "p1", "b") })
	}
}

// TestAuditOfNamespaces: what is meant for a namespace that is gone never reaches a later one of its name.
func TestAuditOfNamespaces(t *testing.T) {
	selects := func(s *story, told answer, id uint64) *call {
		c := s.says(1, told, "SELECT", "na")
		c.chosen = engine.Ref{ID: id}
		return c
	}
	sets := func(s *story, told answer, id uint64) {
		c := s.says(1, told, "SET", "p0", "a")
		c.at = engine.Ref{ID: id}
		s.log(c)
	}
	again := func(s *story) {
		s.writes(2, okay, "NAMESPACE", "DROP", "na")
		s.writes(2, okay, "NAMESPACE", "CREATE", "na")
	}
	for _, test := range []tale{
		{"a life", "", func(s *story) {
			selects(s, okay, 1)
			sets(s, okay, 1)
			s.says(2, bulks([]string{"na"}), "NAMESPACE", "LIST")
			again(s)
			sets(s, noSpace, 1)
			selects(s, okay, 2)
			sets(s, okay, 2)
			s.writes(2, okay, "NAMESPACE", "DROP", "na")
			s.writes(2, noName("na"), "NAMESPACE", "DROP", "na")
			selects(s, noName("na"), 0)
		}},
		{"a write to one that is gone", "the answer at its place in the log is -NONAMESPACE", func(s *story) {
			again(s)
			sets(s, okay, 1)
		}},
		{"one that is gone is selected", "a read saw state", func(s *story) {
			again(s)
			selects(s, okay, 1)
		}},
		{"one that is there is not found", "a read saw state", func(s *story) { selects(s, noName("na"), 0) }},
	} {
		test.expect(t, func(s *story) { s.writes(1, okay, "NAMESPACE", "CREATE", "na") })
	}
}

// TestModelReaps removes expired keys as the log orders it: from the space with the earliest deadline first.
func TestModelReaps(t *testing.T) {
	s := &state{spaces: map[engine.Ref]*space{}, names: map[string]engine.Ref{}}
	for i, words := range []string{"0 t0 30", "1 t0 20", "0 t1 10", "1 t1 15", "1 t2 40", "0 p0 0"} {
		var database int16
		var key string
		var deadline int64
		if _, err := fmt.Sscan(words, &database, &key, &deadline); err != nil {
			t.Fatal(i, err)
		}
		d := s.draft(0)
		d.put(engine.Ref{Number: database}, key, "v", deadline)
		s = &d.state
	}
	for _, test := range []struct {
		time        int64
		limit       int
		one, two    int // keys that are left
		revisionOne uint64
	}{{25, 10, 2, 1, 4}, {35, 2, 1, 3, 4}, {35, 3, 1, 2, 4}, {5, 9, 3, 3, 3}, {99, 1, 2, 3, 4}} {
		after := s.later(test.time).reaped(test.limit)
		one, two := engine.Ref{Number: 0}, engine.Ref{Number: 1}
		revision := after.spaces[one].revision
		if after.size(one) != test.one || after.size(two) != test.two || revision != test.revisionOne {
			t.Errorf("at %d, %d keys at most: %d and %d are left, revision %d; want %+v", test.time, test.limit,
				after.size(one), after.size(two), revision, test)
		}
	}
}
