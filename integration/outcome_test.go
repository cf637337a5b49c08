package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// TestOutcomesWithoutTime gives calls less time than the disk needs. Each is acknowledged, refused or
// unknown, and what was refused has not happened.
func TestOutcomesWithoutTime(t *testing.T) {
	n := startNode(t, "--call-timeout", "1ms")
	l := newLedger()
	for round := range 3 {
		g := startLoad(t, n, l, round)
		eventually(t, time.Minute, "there are outcomes of each kind", func() bool {
			fates := l.outcomes()
			return fates[applied] > 100*(round+1) && fates[unknown] > 20*(round+1) && fates[refused] > 0
		})
		g.stop()
		n.kill()
		n.flags = []string{"--call-timeout", "10s"}
		n.restart()
		l.audit(t, n.wire(t), true)
		n.kill()
		n.flags = []string{"--call-timeout", "1ms"}
		n.restart()
	}
	t.Log(l)
}

// TestUncertainOverBothDoors: how an unknown outcome and a refusal are told, and that the connection stays.
func TestUncertainOverBothDoors(t *testing.T) {
	n := startNode(t, "--call-timeout", "100us")
	w, kv := n.wire(t), n.keyValue(t, "")
	met := map[string]bool{}
	eventually(t, time.Minute, "an outcome is unknown at both doors", func() bool {
		a := w.do(t, "SET", "k", strings.Repeat("v", 100<<10))
		if a.kind == '-' && a.prefix() != "UNCERTAIN" && a.prefix() != "TRYAGAIN" {
			t.Errorf("SET is answered by %q", a.raw)
		}
		met[a.prefix()] = true
		_, err := kv.PutKey(t.Context(), &pb.PutKeyRequest{
			Namespace: "0", Key: "k", Value: make([]byte, 100<<10),
		})
		want := map[codes.Code]string{
			codes.OK: "", codes.DeadlineExceeded: "UNCERTAIN", codes.Unavailable: "NOT_APPLIED",
		}
		reason, known := want[status.Code(err)]
		if !known || reason != reasonOf(err) {
			t.Errorf("put_key is answered by %v with reason %q", err, reasonOf(err))
		}
		met[status.Code(err).String()] = true
		return met["UNCERTAIN"] && met["DeadlineExceeded"]
	})
	w.do(t, "PING")
}

// recorder is a test that notes its errors instead of failing.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// TestLedgerCatchesPlantedFaults changes a node's data behind the ledger's back.
func TestLedgerCatchesPlantedFaults(t *testing.T) {
	n := startNode(t)
	w := n.wire(t)
	for _, test := range []struct{ name, fault, want string }{
		{"nothing", "PING", ""},
		{"lost write", "DEL one", "an acknowledged write is lost"},
		{"half a transaction", "DEL left", "of [left right], which change together, 1 are there"},
		{"wrong value", "SET one other", "was never written"},
		{"refused write", "SET refused " + contents("refused", 10), "a write that was refused has happened"},
		{"deleted and back", "SET deleted " + contents("deleted", 10), "an acknowledged write is lost"},
		{"lost increment", "SET count 1", "counter count is 1, not from 2 to 3"},
		{"increment too many", "SET count 4", "counter count is 4, not from 2 to 3"},
		{"old version", "SET version 3", "version is at version 3, not from 4 to 5"},
		{"a key nobody wrote", "SET foreign 1", "there are"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.do(t, "FLUSHALL")
			for _, key := range []string{"one", "left", "right"} {
				w.do(t, "SET", key, contents(key, 10))
			}
			w.do(t, "MSET", "count", "3", "version", "5")
			l := newLedger()
			l.rounds = [][]*claim{{
				{keys: []string{"one"}, size: 10, fate: applied},
				{keys: []string{"left", "right"}, size: 10},
				{keys: []string{"refused"}, size: 10, fate: refused},
				{keys: []string{"deleted"}, size: 10, gone: true, fate: applied},
			}}
			l.counts["count"] = &count{least: 2, most: 3}
			l.versions["version"] = version{4, 5}
			w.do(t, strings.Fields(test.fault)...)
			r := &recorder{TB: t}
			l.audit(r, w, true)
			said := strings.Join(r.errors, "\n")
			if test.want == "" && said != "" || !strings.Contains(said, test.want) {
				t.Errorf("the ledger says %q", said)
			}
		})
	}
}
