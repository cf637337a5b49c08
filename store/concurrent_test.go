package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/internal/clock"
)

// TestImpatientClients runs the actors and many clients at once, on a real clock, with a deadline so short
// that answers and deadlines cross. Each client overwrites its arguments as soon as it is answered. What
// was acknowledged is there once, what was refused is not.
func TestImpatientClients(t *testing.T) {
	n := &node{t: t, limits: DefaultLimits(), dir: t.TempDir()}
	n.openOn(clock.System, 16<<20)
	n.store.limits.Deadline = 60 * time.Microsecond
	n.host.Start()
	defer n.kill()
	if err := n.group.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	const clients, rounds = 8, 150
	var counts [3]int
	var mu sync.Mutex
	claims := map[string]byte{} // by token: what stands behind the answer's '-' or ':'
	var working sync.WaitGroup
	for i := range clients {
		working.Go(func() {
			session := command.NewSession(uint64(i), testHost{n, auth.Off()}, "peer", "local")
			for j := range rounds {
				token := fmt.Sprintf("%d.%d;", i, j)
				all := calls("APPEND list "+token, "GET list", "APPEND other "+token)
				out := command.NewReply(2, nil)
				for done := 0; done < len(all); {
					done += n.store.Do(t.Context(), session, all[done:], out)
				}
				for k := range all {
					for _, arg := range all[k].Args {
						copy(arg, "!!!!!!!!!!!!")
					}
				}
				mu.Lock()
				claims[token] = out.Bytes()[1]
				mu.Unlock()
			}
		})
	}
	working.Wait()
	n.store.limits.Deadline = time.Minute
	session := command.NewSession(99, testHost{n, auth.Off()}, "peer", "local")
	out := command.NewReply(2, nil)
	n.store.Do(t.Context(), session, calls("SET last 1", "GET list"), out)
	list := string(out.Bytes())
	for token, claim := range claims {
		times := strings.Count(list, ";"+token) + strings.Count(list, "\n"+token)
		switch {
		case claim == 'T' && times != 0:
			t.Errorf("%s was refused and is there", token)
		case claim == 'U' && times > 1, claim != 'T' && claim != 'U' && times != 1:
			t.Errorf("%s, answered %q, is there %d times", token, claim, times)
		}
		counts[strings.IndexByte("TU", claim)+1]++
	}
	t.Logf("%d acknowledged, %d refused, %d unknown", counts[0], counts[1], counts[2])
}
