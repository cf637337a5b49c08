package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// shelf is keys with a common beginning that come, each once, go again, and are listed meanwhile. A list shows every
// key that was there all the time, and none that was not there at any moment.
type shelf struct {
	prefix string

	mu    sync.Mutex
	books map[string]*book // by key; guarded by mu
	made  int              // guarded by mu
}

// book is a key of a shelf. Both of its changes go through what a call can: called, and back with a fate.
type book struct{ put, taken change }

type change struct {
	called, back bool
	fate         fate
}

// sure: it has happened, or it certainly has not.
func (c *change) sure(f fate) bool { return c.back && c.fate == f }

func newShelf(prefix string) *shelf { return &shelf{prefix: prefix, books: map[string]*book{}} }

// put makes up a book that is to be put there. done is told what became of it.
func (s *shelf) put() (key string, done func(fate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	key = fmt.Sprintf("%s%d", s.prefix, s.made)
	b := &book{put: change{called: true}}
	s.books[key] = b
	return key, s.ending(&b.put)
}

// take picks a book that is there and that nobody takes, "" if there is none. done is told what became of it.
func (s *shelf) take(rng *rand.Rand) (key string, done func(fate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var free []string
	for key, b := range s.books {
		if b.put.sure(applied) && !b.taken.called {
			free = append(free, key)
		}
	}
	if len(free) == 0 {
		return "", nil
	}
	slices.Sort(free)
	key = free[rng.IntN(len(free))]
	b := s.books[key]
	b.taken = change{called: true}
	return key, s.ending(&b.taken)
}

func (s *shelf) ending(c *change) func(fate) {
	return func(f fate) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.back, c.fate = true, f
	}
}

// look begins a list. check holds its keys against what was there all the time, and at no time.
func (s *shelf) look() (check func(keys []string) (wrong []string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := make(map[string]book, len(s.books))
	for key, b := range s.books {
		before[key] = *b
	}
	return func(keys []string) (wrong []string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		listed := map[string]bool{}
		for _, key := range keys {
			if listed[key] {
				wrong = append(wrong, key+" is listed twice")
			}
			listed[key] = true
			if s.books[key] == nil {
				wrong = append(wrong, key+" is listed, and nobody has put it there")
			}
		}
		if !slices.IsSorted(keys) {
			wrong = append(wrong, fmt.Sprintf("the list is not in order: %q", keys))
		}
		for key, now := range s.books {
			was := before[key]
			switch {
			case was.put.sure(applied) && (!now.taken.called || now.taken.sure(refused)) && !listed[key]:
				wrong = append(wrong, key+" is there and not listed")
			case was.taken.sure(applied) && listed[key]:
				wrong = append(wrong, key+" was taken away and is listed")
			case now.put.sure(refused) && listed[key]:
				wrong = append(wrong, key+" was refused and is listed")
			}
		}
		return wrong
	}
}

// shelve puts a book on the shelf over RESP, takes one away over gRPC, or lists them over either door.
func (c *crowd) shelve(by *client) error {
	s := c.shelves
	kv := pb.NewKeyValueClient(by.conn(c.t))
	ctx, cancel := context.WithTimeout(context.Background(), crowdPatience)
	defer cancel()
	switch by.rng.IntN(4) {
	case 0:
		key, done := s.put()
		a, err := by.w.call("SET", key, "x", "NX")
		f := c.judge(a, err)
		if f == applied && a.null {
			c.t.Errorf("%s is new, and SET NX says that it is there", key)
		}
		done(f)
		return err
	case 1:
		key, done := s.take(by.rng)
		if key == "" {
			return nil
		}
		_, err := kv.DeleteKey(ctx, &pb.DeleteKeyRequest{Namespace: "0", Key: key})
		f, gone := judgeRPC(c.t, err)
		done(f)
		return gone
	case 2:
		check := s.look()
		reply, err := kv.ListKeys(ctx, &pb.ListKeysRequest{Namespace: "0", Prefix: s.prefix})
		f, gone := judgeRPC(c.t, err)
		if f == applied {
			c.wrong(check(reply.GetKeys()))
		}
		return gone
	}
	return c.list(by)
}

// list lists the shelf over RESP.
func (c *crowd) list(by *client) error {
	check := c.shelves.look()
	a, err := by.w.call("LISTKEYS", c.shelves.prefix)
	if c.judge(a, err) != applied {
		return err
	}
	var keys []string
	for _, elem := range a.elems {
		keys = append(keys, elem.text)
	}
	c.wrong(check(keys))
	return err
}

func (c *crowd) wrong(lines []string) {
	for _, line := range lines {
		c.t.Error(line)
	}
}

// TestShelfCatchesPlantedFaults shows lists that no sound store gives, and their likes that one does.
func TestShelfCatchesPlantedFaults(t *testing.T) {
	for _, test := range []struct {
		name, want string
		list       []string
	}{
		{"all", "", []string{"s1", "s2"}},
		{"with what is unknown", "", []string{"s1", "s2", "s5"}},
		{"lost", "s2 is there and not listed", []string{"s1"}},
		{"back", "s3 was taken away", []string{"s1", "s2", "s3"}},
		{"refused", "s4 was refused", []string{"s1", "s2", "s4"}},
		{"twice", "twice", []string{"s1", "s1", "s2"}},
		{"nobody's", "nobody has put", []string{"s1", "s2", "s9"}},
		{"order", "not in order", []string{"s2", "s1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newShelf("s")
			for _, f := range []fate{applied, applied, applied, refused, unknown} {
				_, done := s.put()
				done(f)
			}
			s.books["s3"].taken = change{true, true, applied}
			said := strings.Join(s.look()(test.list), "\n")
			if test.want == "" && said != "" || !strings.Contains(said, test.want) {
				t.Errorf("the check says %q", said)
			}
		})
	}
}
