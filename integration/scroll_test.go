package integration

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

// scroll is a string that many clients append to and read. As nothing is ever taken away, what each saw is a
// beginning of what is there at the end: so a history of any length is checked for linearizability in one pass, and
// what is unknown costs nothing.
type scroll struct {
	key string

	mu     sync.Mutex
	passes []pass // guarded by mu
}

// pass is one append or read.
type pass struct {
	client, turn     int    // of one client, turns follow each other
	element          string // that is appended; "": a read
	fate             fate
	called, returned int64
	size             int    // of the whole, as an append that was applied has answered
	text             string // that was read
}

// add notes a pass.
func (s *scroll) add(p pass) {
	if p.element == "" {
		if p.fate != applied {
			return // it tells nothing
		}
		p.size = len(p.text)
	}
	if p.fate == unknown {
		p.returned = math.MaxInt64
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passes = append(s.passes, p)
}

// elementOf is what a client appends at its turn.
func elementOf(client, turn int) string { return fmt.Sprintf("%d.%d;", client, turn) }

// check holds all passes against what is there at the end, and returns what cannot be.
func (s *scroll) check(end string) (wrong []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(format string, args ...any) {
		wrong = append(wrong, s.key+": "+fmt.Sprintf(format, args...))
	}
	place := map[string]int{} // end of each element
	at := 0
	for element := range strings.SplitAfterSeq(end, ";") {
		at += len(element)
		if place[element] != 0 {
			fail("%s was applied twice", element)
		}
		if element != "" {
			place[element] = at
		}
	}
	sent := map[string]bool{}
	for i := range s.passes {
		p := &s.passes[i]
		switch where := place[p.element]; {
		case p.element == "":
			if !strings.HasPrefix(end, p.text) {
				fail("client %d has read %q, which is no beginning of the end, %q", p.client, p.text, end)
			}
		case p.fate == applied && where == 0:
			fail("an acknowledged append is lost: %s", p.element)
		case p.fate == applied && where != p.size:
			fail("the append of %s was answered by %d, and it ends at %d", p.element, p.size, where)
		case p.fate == refused && where != 0:
			fail("an append that was refused has happened: %s", p.element)
		case p.fate == unknown:
			p.size = where
		}
		sent[p.element] = true
	}
	for element := range place {
		if !sent[element] {
			fail("%s was never sent", element)
		}
	}
	return append(wrong, slices.Concat(s.checkOrder(place), s.checkTime())...)
}

// checkOrder: what one client appended stands in the order in which it did.
func (s *scroll) checkOrder(place map[string]int) (wrong []string) {
	byClient := map[int][]*pass{}
	for i := range s.passes {
		if p := &s.passes[i]; p.element != "" && place[p.element] != 0 {
			byClient[p.client] = append(byClient[p.client], p)
		}
	}
	for client, passes := range byClient {
		slices.SortFunc(passes, func(a, b *pass) int { return a.turn - b.turn })
		for i := 1; i < len(passes); i++ {
			if place[passes[i].element] < place[passes[i-1].element] {
				wrong = append(wrong, fmt.Sprintf(
					"%s: client %d has appended %s before %s, and they stand the other way",
					s.key, client, passes[i-1].element, passes[i].element))
			}
		}
	}
	return wrong
}

// checkTime: whoever comes after another one has returned sees at least what that one saw, and an append ends behind
// it.
func (s *scroll) checkTime() (wrong []string) {
	type moment struct {
		at   int64
		back bool
		pass *pass
	}
	var moments []moment
	for i := range s.passes {
		p := &s.passes[i]
		if p.fate == refused || p.element != "" && p.size == 0 {
			continue
		}
		moments = append(moments, moment{p.called, false, p})
		if p.returned != math.MaxInt64 {
			moments = append(moments, moment{p.returned, true, p})
		}
	}
	slices.SortStableFunc(moments, func(a, b moment) int {
		switch {
		case a.at != b.at:
			return int(min(max(a.at-b.at, -1), 1))
		case a.back == b.back:
			return 0
		case a.back:
			return 1
		}
		return -1
	})
	seen, by := 0, (*pass)(nil)
	for _, m := range moments {
		p := m.pass
		if m.back {
			if p.size > seen {
				seen, by = p.size, p
			}
		} else if p.size-len(p.element) < seen {
			wrong = append(wrong, fmt.Sprintf("%s: client %d, called at %d, has met %d bytes; "+
				"client %d, back at %d, %d (append %q, before it %q)", s.key, p.client, p.called, p.size-len(p.element),
				by.client, by.returned, seen, p.element, by.element))
		}
	}
	return wrong
}

// TestScrollCatchesPlantedFaults checks scrolls that no sound store can make, and their likes that one can.
func TestScrollCatchesPlantedFaults(t *testing.T) {
	write := func(client, turn int, f fate, size int, from, to int64) pass {
		return pass{
			client: client, turn: turn, element: elementOf(client, turn), fate: f, size: size,
			called: from, returned: to,
		}
	}
	read := func(text string, from, to int64) pass {
		return pass{client: 9, text: text, fate: applied, called: from, returned: to}
	}
	a, b := elementOf(1, 0), elementOf(1, 1) // of 4 bytes each
	for _, test := range []struct {
		name, end, want string
		passes          []pass
	}{
		{"in order", a + b, "", []pass{write(1, 0, applied, 4, 0, 1), read(a, 2, 3), write(1, 1, applied, 8, 4, 5)}},
		{"lost", "", "lost", []pass{write(1, 0, applied, 4, 0, 1)}},
		{"twice", a + a, "twice", []pass{write(1, 0, unknown, 0, 0, 0)}},
		{"refused and there", a, "refused", []pass{write(1, 0, refused, 0, 0, 1)}},
		{"unknown and there", a, "", []pass{write(1, 0, unknown, 0, 0, 0)}},
		{"unknown and not there", "", "", []pass{write(1, 0, unknown, 0, 0, 0)}},
		{"never sent", a, "never sent", nil},
		{"other place than answered", b + a, "ends at", []pass{
			write(1, 0, applied, 4, 0, 9), write(1, 1, unknown, 0, 0, 0)}},
		{"program order", b + a, "the other way", []pass{
			write(1, 0, unknown, 0, 0, 0), write(1, 1, applied, 4, 5, 6)}},
		{"stale read", a + b, "has met 4 bytes", []pass{
			write(1, 0, applied, 4, 0, 1), write(1, 1, applied, 8, 2, 3), read(a, 4, 5)}},
		{"read back in time", a + b, "has met 4 bytes", []pass{
			write(1, 0, applied, 4, 0, 1), write(1, 1, applied, 8, 2, 9), read(a+b, 3, 4), read(a, 5, 6)}},
		{"reads at one time", a + b, "", []pass{
			write(1, 0, applied, 4, 0, 1), write(1, 1, applied, 8, 2, 9), read(a+b, 3, 5), read(a, 4, 6)}},
		{"read before it was sent", a, "has met 0 bytes", []pass{read(a, 0, 1), write(1, 0, unknown, 0, 2, 0)}},
		{"contradiction", a + b, "no beginning", []pass{
			write(1, 0, unknown, 0, 0, 0), write(1, 1, applied, 8, 0, 9), read(b, 1, 9)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &scroll{key: "s"}
			for _, p := range test.passes {
				s.add(p)
			}
			said := strings.Join(s.check(test.end), "\n")
			if test.want == "" && said != "" || !strings.Contains(said, test.want) {
				t.Errorf("the check says %q", said)
			}
		})
	}
}
