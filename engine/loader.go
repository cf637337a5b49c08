package engine

import "bytes"

// Loader rebuilds a State from what a Snapshot gave to its Sink; it is itself such a Sink. What it is
// given may be damaged: it answers with a CorruptError and never panics.
type Loader struct {
	state *State
	ns    *namespace // of the present section
	want  sectionHeader
	items []*item // of the present section, in key order
}

// NewLoader starts with the Header of the snapshot.
func NewLoader(header []byte) (*Loader, error) {
	h, err := decodeStateHeader(header)
	if err != nil {
		return nil, err
	}
	s := New(h.hashKey)
	s.logTime.Store(h.logTime)
	s.nextID = h.nextID
	s.BeginReplay()
	return &Loader{state: s}, nil
}

// Section starts the next namespace.
func (l *Loader) Section(id uint64, header []byte) error {
	if err := l.finishSection(); err != nil {
		return err
	}
	h, err := decodeSectionHeader(header)
	if err != nil {
		return err
	}
	if h.id != id || id >= l.state.nextID || l.ns != nil && id <= l.ns.id {
		return corrupt("section %d is out of order", id)
	}
	if l.taken(h) {
		return corrupt("section %d repeats a namespace", id)
	}
	l.want, l.items = h, l.items[:0]
	l.ns = &namespace{
		id: h.id, credential: h.credential, name: h.name, number: h.number,
		keys: newKeyspace(l.state.hashKey, false), revision: h.revision, deletions: h.deletions,
	}
	l.state.working.add(l.ns)
	return nil
}

func (l *Loader) taken(h sectionHeader) bool {
	if h.number < 0 {
		_, taken := l.state.working.byName.Get(h.name)
		return taken
	}
	ns, _ := l.state.working.find(h.credential, Ref{Number: h.number})
	return ns != nil
}

// Put adds an item to the section.
func (l *Loader) Put(key, data []byte) error {
	if l.ns == nil {
		return corrupt("item outside of a section")
	}
	it, err := decodeItem(key, data)
	if err != nil {
		return err
	}
	if n := len(l.items); n > 0 && bytes.Compare(key, l.items[n-1].key()) <= 0 {
		return corrupt("items of section %d are out of order", l.ns.id)
	}
	if it.revision == 0 || it.revision > l.ns.revision {
		return corrupt("section %d has an item outside of its revisions", l.ns.id)
	}
	l.items = append(l.items, it)
	return nil
}

func (l *Loader) finishSection() error {
	if l.ns == nil {
		return nil
	}
	l.ns.keys.load(l.items)
	clear(l.items)
	if keys := l.ns.keys; keys.len() != l.want.keys || keys.bytes != l.want.bytes {
		return corrupt("section %d has %d keys and %d bytes, its header says %d and %d",
			l.ns.id, keys.len(), keys.bytes, l.want.keys, l.want.bytes)
	}
	return nil
}

// Finish returns the state, in replay: EndReplay must follow before it is read.
func (l *Loader) Finish() (*State, error) {
	if err := l.finishSection(); err != nil {
		return nil, err
	}
	b := l.state.Begin(l.state.LogTime(), 0)
	l.state.working.byID.Scan(func(_ uint64, ns *namespace) bool {
		b.lock(ns)
		return true
	})
	b.list()
	b.End()
	return l.state, nil
}
