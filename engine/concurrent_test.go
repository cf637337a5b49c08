package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestReadersAndSnapshotsBesideTheApplier keeps an invariant in every committed state: the keys "a" and "b"
// of each database are equal, and so are they in every view and every snapshot. It is for -race.
func TestReadersAndSnapshotsBesideTheApplier(t *testing.T) {
	s := newState()
	write := func(b *Batch, i int) {
		tx, err := b.Tx(tenant, Ref{Number: int16(i % 3)})
		if err != nil {
			t.Error(err)
			return
		}
		value := fmt.Appendf(nil, "%0*d", 1+i%1500, i)
		tx.Set([]byte("a"), value, 0)
		tx.Set(fmt.Appendf(nil, "filler-%d", i%400), value[:min(len(value), 100)], int64(i%7*i))
		if i%5 == 0 {
			tx.Rollback()
			return
		}
		tx.Set([]byte("b"), value, 0)
		if i%97 == 0 {
			tx.Clear()
		}
		tx.Commit()
	}
	snapshots := make(chan *Snapshot)
	closed := make(chan struct{}, 2)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for r := range 2 {
		readers.Go(func() {
			for i := r; !stop.Load(); i++ {
				readEqual(t, s, Ref{Number: int16(i % 3)})
			}
		})
	}
	for range cap(closed) { // as many snapshots are open at a time
		readers.Go(func() {
			for p := range snapshots {
				walkEqual(t, p)
				p.Close()
				closed <- struct{}{}
			}
		})
		closed <- struct{}{}
	}
	for i := 0; i < 6000; {
		b := s.Begin(int64(i), uint64(i))
		for range 20 {
			write(b, i)
			i++
		}
		b.Reap(5)
		b.End()
		select {
		case <-closed:
			snapshots <- s.Snapshot()
		default:
		}
	}
	stop.Store(true)
	close(snapshots)
	readers.Wait()
	check(t, s)
}

func readEqual(t *testing.T, s *State, ref Ref) {
	_, err := s.Read(tenant, ref, 0, func(v *View) {
		a, hasA := v.Lookup([]byte("a"))
		b, hasB := v.Lookup([]byte("b"))
		if hasA != hasB || hasA && string(a.Value()) != string(b.Value()) {
			t.Error("a view shows half of a call")
		}
		v.Scan(0, 5, func(key []byte, it Item) { _ = it.Len() })
		v.Ascend([]byte("filler-2"), 1000, func(key []byte, it Item) bool { return it.Len() < 50 })
		ascendAll(v, 100, func() {})
		v.Random(v.Revision())
		v.Namespaces(tenant, func(i Info) bool { return i.Keys >= 0 })
	})
	if err != nil {
		t.Error(err)
	}
	s.EarliestDeadline()
	s.Totals()
}

// walkEqual compares "a" and "b" of every section.
func walkEqual(t *testing.T, p *Snapshot) {
	sink := &pairs{}
	for done := false; !done; {
		var err error
		if done, err = p.Next(sink); err != nil {
			t.Error(err)
			return
		}
	}
	for _, pair := range sink.found {
		if pair["a"] != pair["b"] {
			t.Error("a snapshot shows half of a call")
		}
	}
}

type pairs struct{ found []map[string]string }

func (p *pairs) Section(uint64, []byte) error {
	p.found = append(p.found, map[string]string{})
	return nil
}

func (p *pairs) Put(key, data []byte) error {
	it, err := decodeItem(key, data)
	if err == nil {
		p.found[len(p.found)-1][string(key)] = string(it.value())
	}
	return err
}
