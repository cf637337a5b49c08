package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// founderDisk is a disk of a founder, and what is durable on it.
type founderDisk struct {
	*founding
	durable list
	stopped bool // it was told to stay out
}

// foundersWorld is founders, the one disk that runs at each address, and answers on their way.
type foundersWorld struct {
	t       *testing.T
	random  *rand.Rand
	flags   []Founder
	at      []*founderDisk
	aside   []*founderDisk // of each address the disk that was there before; nil: none
	pending [][]*pendingReport
	disks   []*founderDisk
}

// pendingReport is an answer that was given and has not arrived yet.
type pendingReport struct {
	to *founderDisk
	report
}

func newFoundersWorld(t *testing.T, random *rand.Rand, n int) *foundersWorld {
	w := &foundersWorld{t: t, random: random, at: make([]*founderDisk, n), aside: make([]*founderDisk, n)}
	for i := range n {
		w.flags = append(w.flags, Founder{fmt.Sprint("n", i), fmt.Sprintf("h:%d", i+1)})
		w.pending = append(w.pending, make([]*pendingReport, n))
	}
	for i := range n {
		w.wipe(i)
	}
	return w
}

// wipe starts a founder with an empty disk.
func (w *foundersWorld) wipe(i int) {
	self := disk{uint64(len(w.disks) + 1), uint64(len(w.disks) + 1001)}
	l := newList(w.flags, w.flags[i].Name, self)
	d := &founderDisk{founding: newFounding(w.flags[i].Name, self, l.clone()), durable: l.clone()}
	w.disks = append(w.disks, d)
	w.aside[i], w.at[i] = w.at[i], d
}

// restart starts a founder again: what it has heard is forgotten.
func (w *foundersWorld) restart(i int) {
	d := w.at[i]
	d.founding = newFounding(d.name, d.self, d.durable.clone())
}

// ask lets founder i ask founder j, one question at a time; the answer is what is durable there.
func (w *foundersWorld) ask(i, j int) {
	if i != j && w.pending[i][j] == nil {
		from := w.at[j]
		w.pending[i][j] = &pendingReport{w.at[i], report{from.self, from.name, from.durable.clone()}}
	}
}

// arrive lets an answer arrive, if who has asked is still there.
func (w *foundersWorld) arrive(i, j int) {
	p := w.pending[i][j]
	w.pending[i][j] = nil
	if p == nil || p.to != w.at[i] || p.to.stopped {
		return
	}
	d := p.to
	changed, err := d.hear(w.flags[j].Name, p.report)
	switch {
	case errors.Is(err, ErrWiped), errors.Is(err, ErrLeftBehind):
		d.stopped = true
	case err != nil:
		w.t.Fatal(err)
	case changed:
		if w.random.IntN(20) == 0 { // a crash before it is durable
			w.restart(i)
			return
		}
		if d.durable.Sealed {
			w.t.Fatal("a sealed list has changed")
		}
		d.durable = d.list.clone()
		w.check()
	}
}

// check holds all sealed lists against each other: two disks that are in each other's lists have the same one.
func (w *foundersWorld) check() {
	for _, x := range w.disks {
		for _, y := range w.disks {
			a, b := &x.durable, &y.durable
			if !a.Sealed || !b.Sealed || a.same(b) || a.find(y.name).disk != y.self || b.find(x.name).disk != x.self {
				continue
			}
			w.t.Fatalf("two clusters: %s has sealed %+v, %s has sealed %+v", x.name, a, y.name, b)
		}
	}
}

// step does something at random. Disks come back only if they may.
func (w *foundersWorld) step(back bool) {
	i, j := w.random.IntN(len(w.at)), w.random.IntN(len(w.at))
	switch what := w.random.IntN(100); {
	case what < 45:
		w.ask(i, j)
	case what < 92:
		w.arrive(i, j)
	case what < 95:
		w.restart(i)
	case what < 97:
		w.wipe(i)
	case back && w.aside[i] != nil:
		w.at[i], w.aside[i] = w.aside[i], w.at[i]
		w.restart(i)
	}
}

// TestFoundingIsOne: whatever founders are started again, lose their disks and get old ones back while they ask each
// other, no two of them are in clusters that both are in; and with disks that stay, one cluster is founded.
func TestFoundingIsOne(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	founded, again := 0, 0
	for range 500 {
		w := newFoundersWorld(t, random, 2+random.IntN(3))
		back := random.IntN(2) == 0
		for range random.IntN(400) {
			w.step(back)
		}
		for i := range w.at {
			for j := range w.at {
				w.arrive(i, j) // also of a disk that is not there any more
			}
			w.restart(i) // what disks that are gone have said is forgotten
		}
		sealed := false
		for _, d := range w.disks {
			sealed = sealed || d.durable.Sealed
		}
		for range 30 {
			for i := range w.at {
				for j := range w.at {
					w.ask(i, j)
					w.arrive(i, j)
				}
			}
		}
		if sealed {
			again++ // a disk that is gone may be in the list, which founds nothing any more
			continue
		}
		founded++
		for _, d := range w.at {
			if !d.durable.Sealed || !d.durable.same(&w.at[0].durable) {
				t.Fatalf("%s has %+v, %s has %+v", d.name, d.durable, w.at[1].name, w.at[1].durable)
			}
		}
	}
	t.Logf("founded with disks that stay: %d; with disks that were lost on the way: %d", founded, again)
}

func TestListsRefused(t *testing.T) {
	founders := []Founder{{"n1", "h:1"}, {"n2", "h:2"}}
	good := func() list {
		return list{Round: 1, Founders: []listed{{founders[0], disk{1, 1}}, {founders[1], disk{2, 2}}}, Sealed: true}
	}
	l := good()
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(l *list){
		"empty":             func(l *list) { l.Founders = nil },
		"too many":          func(l *list) { l.Founders = make([]listed, foundersMax+1) },
		"a bad name":        func(l *list) { l.Founders[0].Name = "" },
		"a bad address":     func(l *list) { l.Founders[0].Addr = "h" },
		"out of order":      func(l *list) { l.Founders[0].Name = "n3" },
		"a name twice":      func(l *list) { l.Founders[0].Name = "n2" },
		"half a disk":       func(l *list) { l.Founders[0].Incarnation = 0 },
		"an id too large":   func(l *list) { l.Founders[0].Node = 1 << 63 },
		"sealed, with gaps": func(l *list) { l.Founders[0].disk = disk{} },
	} {
		l := good()
		if spoil(&l); l.check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestParseFounders(t *testing.T) {
	got, err := ParseFounders([]string{"n2=db2.example.com:8379", " n1=[fd00::1]:8379"})
	if err != nil || describe(got) != "n1=[fd00::1]:8379,n2=db2.example.com:8379" {
		t.Fatal(got, err)
	}
	for name, list := range map[string][]string{
		"none":              {},
		"too many":          make([]string, foundersMax+1),
		"no name":           {"h:1"},
		"an empty name":     {"=h:1"},
		"a name with space": {"n 1=h:1"},
		"no port":           {"n1=h"},
		"port 0":            {"n1=h:0"},
		"port too large":    {"n1=h:65536"},
		"any host":          {"n1=0.0.0.0:8379"},
		"any host of v6":    {"n1=[::]:8379"},
		"no host":           {"n1=:8379"},
		"host with control": {"n1=h\x00:8379"},
		"one name":          {"n1=h:1", "n1=h:2"},
		"one address":       {"n1=h:1", "n2=h:1"},
	} {
		if got, err := ParseFounders(list); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
