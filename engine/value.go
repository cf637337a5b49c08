package engine

// Type is the type of a value.
type Type uint8

// None is the type of a missing key.
const (
	None Type = iota
	String
)

// String returns the word that the TYPE command answers.
func (t Type) String() string {
	switch t {
	case None:
		return "none"
	case String:
		return "string"
	}
	return "unknown"
}

// Item is a key's value as a View or Tx sees it. It is valid as long as the lock is held, and in a Tx
// until the key changes. The zero Item has type None.
type Item struct{ it *item }

// Type returns the type of the value.
func (i Item) Type() Type {
	if i.it == nil {
		return None
	}
	return i.it.kind
}

// Value returns the bytes of a string, which the caller must not change and must copy to keep them
// beyond the lock, unless Immutable.
func (i Item) Value() []byte { return i.it.value() }

// Immutable tells that the bytes of Value stay as they are for good: a large value is replaced, never
// overwritten.
func (i Item) Immutable() bool { return i.it.form == heapForm }

// Len returns the length of a string in bytes.
func (i Item) Len() int { return i.it.valueLen() }

// Deadline returns when the key expires in ms of log time, 0 if never.
func (i Item) Deadline() int64 { return i.it.deadline }

// Revision returns the revision of the namespace that last changed the key. In a Tx a key changed by the
// current call has the revision that its commit will give.
func (i Item) Revision() uint64 { return i.it.revision }
