package cluster

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/primatomic/primatomic/raft"
)

var (
	// ErrFlags says that nodes which are to found a cluster together were told different things.
	ErrFlags = errors.New("the flags of the founders disagree")
	// ErrWiped says that this node was a founder of a cluster and comes back without its disk.
	ErrWiped = errors.New("a founder cannot come back with an empty data directory: it may have voted, and could " +
		"vote twice. Put its data directory back; if that is lost, remove the node from the cluster " +
		"(`primatomic cluster remove`, or `replace`) and start a new one with --join and another --name")
	// ErrLeftBehind says that others have founded a cluster that this node has given up before.
	ErrLeftBehind = errors.New("this node has gone on without a founder that was lost, while others have founded the " +
		"cluster with that one: if a majority of them runs, remove this node from the cluster, empty its data " +
		"directory and let it --join under another --name; if not, nothing was ever written: empty the data " +
		"directories of all founders and begin again")
)

// disk is a node together with its disk: what answers at an address.
type disk struct {
	Node        uint64 `json:"node"`
	Incarnation uint64 `json:"incarnation"`
}

// listed is a founder as a list records it. Its disk is zero until the founder has answered.
type listed struct {
	Founder
	disk
}

// list is what a founder has recorded of all founders; see the package's documentation. Once sealed it never
// changes.
type list struct {
	Round    uint64   `json:"round"`
	Founders []listed `json:"founders"` // by name
	Sealed   bool     `json:"sealed"`
}

// newList is the list of a founder that has asked nobody yet.
func newList(founders []Founder, name string, self disk) list {
	l := list{Round: 1}
	for _, f := range founders {
		entry := listed{Founder: f}
		if f.Name == name {
			entry.disk = self
		}
		l.Founders = append(l.Founders, entry)
	}
	return l
}

func (l *list) clone() list {
	c := *l
	c.Founders = slices.Clone(l.Founders)
	return c
}

// flags returns what the list was made from.
func (l *list) flags() []Founder {
	founders := make([]Founder, len(l.Founders))
	for i := range l.Founders {
		founders[i] = l.Founders[i].Founder
	}
	return founders
}

// find returns the entry of a name, nil if there is none.
func (l *list) find(name string) *listed {
	for i := range l.Founders {
		if l.Founders[i].Name == name {
			return &l.Founders[i]
		}
	}
	return nil
}

// complete reports whether every founder has answered.
func (l *list) complete() bool {
	return !slices.ContainsFunc(l.Founders, func(f listed) bool { return f.disk == disk{} })
}

// same reports whether two lists are the same, whether sealed or not.
func (l *list) same(other *list) bool {
	return l.Round == other.Round && slices.Equal(l.Founders, other.Founders)
}

// check refuses a list that no correct node has.
func (l *list) check() error {
	if len(l.Founders) == 0 || len(l.Founders) > foundersMax {
		return fmt.Errorf("a list of %d founders", len(l.Founders))
	}
	for i := range l.Founders {
		f := &l.Founders[i]
		if err := CheckName(f.Name); err != nil {
			return err
		}
		if err := CheckAddr(f.Addr); err != nil {
			return err
		}
		if i > 0 && l.Founders[i-1].Name >= f.Name {
			return errors.New("a list of founders that is not in order")
		}
		if (f.Node == 0) != (f.Incarnation == 0) || f.Node >= 1<<63 {
			return fmt.Errorf("founder %s with the node %x", f.Name, f.Node)
		}
	}
	if l.Sealed && !l.complete() {
		return errors.New("a sealed list of founders that is not complete")
	}
	return nil
}

// cluster is the id of the cluster that a complete list founds. It is not 0.
func (l *list) cluster() uint64 {
	text := []byte("primatomic cluster\x00")
	for i := range l.Founders {
		f := &l.Founders[i]
		text = append(binary.AppendUvarint(text, uint64(len(f.Name))), f.Name...)
		text = binary.BigEndian.AppendUint64(text, f.Node)
		text = binary.BigEndian.AppendUint64(text, f.Incarnation)
	}
	sum := sha256.Sum256(text)
	return max(1, binary.BigEndian.Uint64(sum[:])>>1)
}

// seed is what the founders of a complete list begin from.
func (l *list) seed() (raft.Seed, error) {
	var voters []raft.ReplicaID
	for i := range l.Founders {
		voters = append(voters, raft.ReplicaID(l.Founders[i].Node))
	}
	return raft.Founding(voters...)
}

// founding is the founding of a cluster as one founder sees it. It has no clock, disk or socket.
type founding struct {
	name    string
	self    disk
	list    list
	reports map[string]list // what each other founder has reported last
	// replacing are the founders at whose address there is another disk than the list has.
	replacing map[string]*replacement
}

// replacement is a disk that is to come into a complete list in the place of another.
type replacement struct {
	disk
	// heard counts the reports of the other founders since it was met.
	heard map[string]int
}

// heardMin is how many reports of a founder prove that it had not sealed its list when a disk was met: the question
// for the first one may have been answered before.
const heardMin = 2

func newFounding(name string, self disk, l list) *founding {
	return &founding{
		name: name, self: self, list: l, reports: map[string]list{}, replacing: map[string]*replacement{},
	}
}

// report is what a founder has answered at its address.
type report struct {
	from disk // as the handshake has proved it
	name string
	list list
}

// hear takes a report of the founder that is listed under a name. It reports whether the list has changed and
// must be made durable before anyone is told of it. An error ends the founding.
func (f *founding) hear(name string, r report) (changed bool, err error) {
	if f.list.Sealed {
		return false, nil
	}
	entry := f.list.find(name)
	if r.name != name {
		return false, fmt.Errorf("%w: the node at %s is to be %s, but says it is %q",
			ErrFlags, entry.Addr, name, r.name)
	}
	if !slices.Equal(r.list.flags(), f.list.flags()) {
		return false, fmt.Errorf("%w: here --cluster is %s, at %s it is %s",
			ErrFlags, describe(f.list.flags()), name, describe(r.list.flags()))
	}
	if r.list.Sealed {
		return f.adopt(name, &r.list)
	}
	for replaced, by := range f.replacing {
		if replaced != name {
			by.heard[name]++
		}
	}
	switch entry.disk {
	case r.from:
		delete(f.replacing, name)
	case disk{}:
		entry.disk = r.from
		changed = true
	default:
		if !f.mayReplace(name, r.from) {
			return false, nil
		}
		f.list.Round = max(f.list.Round, r.list.Round) + 1
		entry.disk = r.from
		changed = true
	}
	if r.list.Round > f.list.Round {
		f.list.Round = r.list.Round
		changed = true
	}
	f.reports[name] = r.list
	if f.agreed() {
		f.list.Sealed = true
		changed = true
	}
	return changed, nil
}

// mayReplace reports whether another disk at a founder's address may come into the list: as soon as all others have
// said since that they have not sealed one. As long as there is one that has, and a cluster with that, it is heard of
// here before the list becomes another.
func (f *founding) mayReplace(name string, by disk) bool {
	delete(f.reports, name)
	r := f.replacing[name]
	if r == nil || r.disk != by {
		r = &replacement{by, map[string]int{}}
		f.replacing[name] = r
	}
	for i := range f.list.Founders {
		other := f.list.Founders[i].Name
		if other != name && other != f.name && r.heard[other] < heardMin {
			return false
		}
	}
	delete(f.replacing, name)
	return true
}

// adopt seals the list that another founder has sealed, unless this one has recorded a later one.
func (f *founding) adopt(from string, sealed *list) (changed bool, err error) {
	if entry := sealed.find(f.name); entry.disk != f.self {
		return false, fmt.Errorf("%s has founded the cluster with another disk of %s: %w", from, f.name, ErrWiped)
	}
	later := f.list.Round > sealed.Round ||
		f.list.Round == sealed.Round && f.list.complete() && !f.list.same(sealed)
	if later {
		return false, fmt.Errorf("%s: %w", from, ErrLeftBehind)
	}
	f.list = sealed.clone()
	return true, nil
}

// agreed reports whether all founders have reported the list that is recorded here.
func (f *founding) agreed() bool {
	if !f.list.complete() {
		return false
	}
	for i := range f.list.Founders {
		name := f.list.Founders[i].Name
		if reported, ok := f.reports[name]; name != f.name && (!ok || !reported.same(&f.list)) {
			return false
		}
	}
	return true
}
