package cluster

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/raft"
)

// FuzzFounding lets another founder answer whatever it likes, again and again. The list stays one that a correct node
// has: of these founders, with this disk under this name, of no lower round, and sealed only as a whole.
func FuzzFounding(f *testing.F) {
	flags := []Founder{{"n1", "h:1"}, {"n2", "h:2"}, {"n3", "h:3"}}
	self := disk{1, 101}
	full := newList(flags, "n1", self)
	full.Founders[1].disk, full.Founders[2].disk = disk{2, 102}, disk{3, 103}
	sealed, wiped, later := full.clone(), full.clone(), full.clone()
	sealed.Sealed = true
	wiped.Sealed, wiped.Founders[0].disk = true, disk{9, 109}
	later.Round, later.Founders[2].disk = 7, disk{8, 108}
	for _, l := range []list{newList(flags, "n2", disk{2, 102}), full, sealed, wiped, later} {
		data, err := json.Marshal(foundingAnswer{Name: "n2", List: l})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data, uint64(2), uint64(102))
		f.Add(data, []byte(`{"name":"n3"}`), uint64(8), uint64(108))
	}
	f.Fuzz(func(t *testing.T, first, second []byte, node, incarnation uint64) {
		fd := newFounding("n1", self, newList(flags, "n1", self))
		for i := range 6 {
			var a foundingAnswer
			if json.Unmarshal([][]byte{first, second}[i%2], &a) != nil || a.List.check() != nil || node == 0 {
				return
			}
			before := fd.list.clone()
			changed, err := fd.hear(flags[1+i%2].Name, report{disk{node, incarnation | 1}, a.Name, a.List})
			now := &fd.list
			switch {
			case !changed && !reflect.DeepEqual(*now, before):
				t.Fatalf("%+v became %+v without a word (%v)", before, *now, err)
			case before.Sealed && changed:
				t.Fatal("a sealed list has changed")
			case now.Round < before.Round, now.find("n1").disk != self, !reflect.DeepEqual(now.flags(), flags):
				t.Fatalf("%+v became %+v", before, *now)
			case now.Sealed && !now.complete():
				t.Fatalf("sealed with gaps: %+v", *now)
			}
			if err != nil {
				return
			}
		}
	})
}

// memoryDB is a node.db in memory, of a node that has no log yet.
type memoryDB struct {
	id       nodedb.Identity
	document []byte
}

func (m *memoryDB) Identity() nodedb.Identity { return m.id }
func (m *memoryDB) Founded() bool             { return false }
func (m *memoryDB) Document(string) []byte    { return m.document }

func (m *memoryDB) Keep(_ string, document []byte) error {
	m.document = document
	return nil
}

func (m *memoryDB) Enter(cluster uint64, _ string, document []byte) error {
	m.id.Cluster, m.document = cluster, document
	return nil
}

// FuzzRecord: what node.db keeps of the cluster is refused or stays what it is when it is kept again, and a node that
// opens on it knows where it belongs or says why not.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"name":"n1","members":[]}`, `{"version":1,"name":"n1","removed":true}`,
		`{"version":1,"name":"n1","joined":true,"members":[{"node":1,"incarnation":2,"name":"n1","peer":"h:1"},` +
			`{"node":7,"incarnation":8,"name":"n7","peer":"h:7","resp":"h:6379","replaces":9}]}`,
		`{"version":1,"name":"n","founding":{"round":1,` +
			`"founders":[{"name":"n","addr":"h:1","node":1,"incarnation":2}]}}`,
		`{"version":1,"name":"n","founding":{"round":1,"sealed":true,` +
			`"founders":[{"name":"n","addr":"h:1","node":1,"incarnation":2}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		db := &memoryDB{nodedb.Identity{Cluster: 5, Node: 1, Incarnation: 2, Process: 3}, document}
		r, err := readRecord(db)
		if err != nil || r == nil {
			return
		}
		n, err := Open(Options{DB: db, Clock: clock.System, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			if p, err := n.place(); err == nil && (p.Cluster == 0 || !p.Joined && p.Seed.Index == 0) {
				t.Fatalf("%+v belongs to %+v", r, p)
			}
			n.known(&raft.Status{})
			if err := n.keep(n.record, 0); err != nil {
				t.Fatal(err)
			}
			again, err := readRecord(db)
			if err != nil || !cmp.Equal(*again, n.record, cmpopts.EquateEmpty(), cmp.AllowUnexported(listed{})) {
				t.Fatalf("%+v is kept as %+v, %v", n.record, again, err)
			}
			n.Close()
		}
	})
}
