package command

import (
	"bytes"

	"github.com/primatomic/primatomic/engine"
)

// A step is the unit in which work under a lock is counted, about a nanosecond. The count depends on the state
// and the calls alone, so that all nodes stop at the same place.
const (
	stepsPerKey         = 64   // to look at a key, whatever is done with it
	stepsPerPatternByte = 1024 // to make a pattern ready

	// transactionStepsMax bounds what the calls of one transaction do that look at many keys: others wait
	// until it is over.
	transactionStepsMax = 16 << 20

	// chunkKeys bounds what is looked at under one hold of the lock outside of transactions. Up to so many
	// keys are seen at one instant.
	chunkKeys = 256
)

var errLongWalk = &Error{TooLarge,
	"too many keys to look at inside a transaction: ask for parts with SCAN, outside of it"}

// walk goes over many keys for one call. It leaves the lock while it works on the keys of a chunk, but in a
// transaction, where it stops with an error when the transaction has used up its steps. A key that is there from
// the begin of the call to its end is seen; one that comes or goes meanwhile may be.
type walk struct {
	view    *engine.View
	steps   *int  // that are left, if the view is atomic
	glob    *glob // nil: every key is wanted
	perByte int   // steps for each byte of a key
	keys    [][]byte
}

// newWalk takes a pattern that wanted keys match, or nil.
func newWalk(v *engine.View, c *Call, pattern []byte) (*walk, *Error) {
	w := &walk{view: v, steps: c.Steps, perByte: 1}
	if w.steps == nil {
		steps := transactionStepsMax
		w.steps = &steps
	}
	if pattern == nil {
		return w, nil
	}
	if err := w.spend(len(pattern) * stepsPerPatternByte); err != nil {
		return nil, err
	}
	v.Unlocked(func() { w.glob = newGlob(pattern) })
	w.perByte = w.glob.words
	return w, nil
}

// spend takes steps before they are done.
func (w *walk) spend(steps int) *Error {
	if !w.view.Atomic() {
		return nil
	}
	if *w.steps < steps {
		*w.steps = 0
		return errLongWalk
	}
	*w.steps -= steps
	return nil
}

// work gives the wanted keys of a chunk to fn until it returns false.
func (w *walk) work(fn func(key []byte) bool) (more bool, err *Error) {
	bytes := 0
	for _, key := range w.keys {
		bytes += len(key)
	}
	if err := w.spend(bytes * w.perByte); err != nil {
		return false, err
	}
	more = true
	w.view.Unlocked(func() {
		for i := 0; i < len(w.keys) && more; i++ {
			more = w.glob != nil && !w.glob.match(w.keys[i]) || fn(w.keys[i])
		}
	})
	w.keys = w.keys[:0]
	return more, nil
}

// ascend calls fn for the keys >= from with the prefix, in byte order, until it returns false. It looks at so
// many keys at a time, at most chunkKeys.
func (w *walk) ascend(from, prefix []byte, chunk int, fn func(key []byte) bool) *Error {
	for more := true; more; more = more && from != nil {
		if err := w.spend(chunk * stepsPerKey); err != nil {
			return err
		}
		looked := 0
		from = w.view.Ascend(from, chunk, func(key []byte, _ engine.Item) bool {
			looked++
			if !bytes.HasPrefix(key, prefix) {
				return false
			}
			w.keys = append(w.keys, key)
			return true
		})
		if from == nil {
			*w.steps += (chunk - looked) * stepsPerKey
		}
		var err *Error
		if more, err = w.work(fn); err != nil {
			return err
		}
	}
	return nil
}

// scan calls fn for about count keys in the order of SCAN and returns the cursor from which to go on. Keys of
// other types than the wanted are left out.
func (w *walk) scan(
	cursor uint64, count int, wanted func(item engine.Item) bool, fn func(key []byte),
) (next uint64, err *Error) {
	next = cursor
	for more := true; more && count > 0; count -= chunkKeys {
		chunk := min(count, chunkKeys)
		if err := w.spend(chunk * stepsPerKey); err != nil {
			return 0, err
		}
		next = w.view.Scan(next, chunk, func(key []byte, item engine.Item) {
			if wanted(item) {
				w.keys = append(w.keys, key)
			}
		})
		if _, err := w.work(func(key []byte) bool { fn(key); return true }); err != nil {
			return 0, err
		}
		more = next != 0
	}
	return next, nil
}
