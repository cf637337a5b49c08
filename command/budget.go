package command

import "sync/atomic"

// Budget bounds the memory that many connections hold of one kind, all together. Any goroutine may use it.
type Budget struct {
	most int64
	held atomic.Int64
}

// NewBudget returns a budget of so many bytes.
func NewBudget(most int64) *Budget { return &Budget{most: most} }

// Take reserves n bytes, or reports false and reserves nothing if there are not so many left. Of a nil
// Budget there always are.
func (b *Budget) Take(n int64) bool {
	if b == nil || b.held.Add(n) <= b.most {
		return true
	}
	b.held.Add(-n)
	return false
}

// Give gives back what was taken.
func (b *Budget) Give(n int64) {
	if b != nil {
		b.held.Add(-n)
	}
}

// Held returns the bytes that are taken.
func (b *Budget) Held() int64 { return b.held.Load() }
