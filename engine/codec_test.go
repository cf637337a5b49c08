package engine

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzDecodeItem(f *testing.F) {
	f.Add([]byte("key"), []byte{stringFormat, 1, 0, 'v'})
	f.Add([]byte(""), []byte{stringFormat, 0x80})
	f.Add([]byte("k"), []byte{stringFormat, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add(make([]byte, KeyBytesMax+1), []byte{stringFormat, 1, 0})
	f.Add([]byte("k"), append([]byte{stringFormat, 5, 9}, make([]byte, inlineBytesMax+1)...))
	f.Fuzz(func(t *testing.T, key, data []byte) {
		it, err := decodeItem(key, data)
		if err != nil {
			wantCorrupt(t, err)
			return
		}
		again, err := decodeItem(key, appendItem(nil, it))
		if err != nil || !bytes.Equal(it.key(), key) || !bytes.Equal(again.value(), it.value()) ||
			again.revision != it.revision || again.deadline != it.deadline {
			t.Fatalf("item does not survive: %v", err)
		}
	})
}

func FuzzDecodeHeaders(f *testing.F) {
	s := newState()
	apply(f, s, db0, 1, func(tx *Tx) { tx.Set([]byte("k"), []byte("v"), 9) })
	apply(f, s, db0, 1, func(tx *Tx) { tx.Delete([]byte("k")) })
	ns, _ := s.working.find(tenant, db0)
	f.Add(ns.header().append(nil))
	f.Add(s.header().append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := decodeSectionHeader(data); err == nil {
			encoded := h.append(nil)
			again, err := decodeSectionHeader(encoded)
			if err != nil || !bytes.Equal(again.append(nil), encoded) {
				t.Fatalf("section header does not survive: %v", err)
			}
		} else {
			wantCorrupt(t, err)
		}
		if _, err := decodeStateHeader(data); err != nil {
			wantCorrupt(t, err)
		}
	})
}

// FuzzLoader feeds a Loader with one changed byte in an otherwise sound snapshot: it refuses, or gives a
// state that is sound in itself.
func FuzzLoader(f *testing.F) {
	f.Add(uint16(0), byte(1))
	f.Add(uint16(40), byte(0xff))
	f.Fuzz(func(t *testing.T, at uint16, flip byte) {
		s := newState()
		apply(t, s, db0, 1, func(tx *Tx) {
			tx.Set([]byte(""), []byte("empty key"), 0)
			tx.Set([]byte("k"), []byte("value"), 9)
		})
		apply(t, s, Ref{Number: 3}, 1, func(tx *Tx) { tx.Set([]byte("k"), bytes.Repeat([]byte("v"), 2000), 0) })
		p := s.Snapshot()
		defer p.Close()
		d := &damage{at: int(at), flip: flip}
		header := d.damage(p.Header())
		loader, err := NewLoader(header)
		if err != nil {
			wantCorrupt(t, err)
			return
		}
		d.to = loader
		for done := false; !done && err == nil; {
			done, err = p.Next(d)
		}
		if err != nil {
			wantCorrupt(t, err)
			return
		}
		loaded, err := loader.Finish()
		if err != nil {
			wantCorrupt(t, err)
			return
		}
		loaded.EndReplay()
		check(t, loaded)
	})
}

// damage passes a snapshot on with the byte at one place changed.
type damage struct {
	to   Sink
	at   int
	flip byte
}

func (d *damage) damage(b []byte) []byte {
	b = bytes.Clone(b)
	if d.at >= 0 && d.at < len(b) {
		b[d.at] ^= d.flip
	}
	d.at -= len(b)
	return b
}

func (d *damage) Section(id uint64, header []byte) error { return d.to.Section(id, d.damage(header)) }

func (d *damage) Put(key, item []byte) error { return d.to.Put(d.damage(key), d.damage(item)) }

func wantCorrupt(t *testing.T, err error) {
	t.Helper()
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("error is %v, not a CorruptError", err)
	}
}
