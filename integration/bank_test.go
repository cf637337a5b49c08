package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// bank is two accounts between which transactions move money. The sum is 0 to everyone at any time.
type bank struct {
	from, to string // keys

	mu    sync.Mutex
	least int64 // moved by transactions that were acknowledged; guarded by mu
	most  int64 // with those of unknown outcome; guarded by mu
}

func newBank(key string) *bank { return &bank{from: key + ":from", to: key + ":to"} }

// move returns the frames of a transaction that moves an amount. It has four answers.
func (b *bank) move(amount int64) string {
	return frame("MULTI") + frame("DECRBY", b.from, fmt.Sprint(amount)) +
		frame("INCRBY", b.to, fmt.Sprint(amount)) + frame("EXEC")
}

// settle notes what became of it.
func (b *bank) settle(f fate, amount int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch f {
	case applied:
		b.least += amount
		b.most += amount
	case unknown:
		b.most += amount
	}
}

// balance holds the answer to MGET from to against what must be.
func (b *bank) balance(a answer) (to int64, wrong string) {
	var values [2]int64
	for i := range a.elems {
		if a.elems[i].null {
			continue // an account that nobody has used
		}
		values[i] = a.elems[i].int()
	}
	if len(a.elems) != 2 || values[0]+values[1] != 0 {
		return values[1], fmt.Sprintf("%s and %s are %q: half a transaction", b.from, b.to, a.raw)
	}
	return values[1], ""
}

// check holds the end against all that was moved.
func (b *bank) check(a answer) (wrong []string) {
	to, half := b.balance(a)
	if half != "" {
		wrong = append(wrong, half)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if to < b.least || to > b.most {
		wrong = append(wrong, fmt.Sprintf("%s is at %d, not from %d to %d", b.to, to, b.least, b.most))
	}
	return wrong
}

// TestBankCatchesPlantedFaults shows a bank answers that no sound store gives, and their likes that one does.
func TestBankCatchesPlantedFaults(t *testing.T) {
	b := newBank("b")
	b.settle(applied, 5)
	b.settle(unknown, 2)
	b.settle(refused, 9)
	for _, test := range []struct {
		name, want string
		from, to   string
	}{
		{"acknowledged", "", "-5", "5"},
		{"and unknown", "", "-7", "7"},
		{"half", "half a transaction", "-5", "0"},
		{"lost", "not from 5 to 7", "-2", "2"},
		{"refused and there", "not from 5 to 7", "-14", "14"},
	} {
		t.Run(test.name, func(t *testing.T) {
			said := strings.Join(b.check(answer{elems: []answer{{text: test.from}, {text: test.to}}}), "\n")
			if test.want == "" && said != "" || !strings.Contains(said, test.want) {
				t.Errorf("the check says %q", said)
			}
		})
	}
}
