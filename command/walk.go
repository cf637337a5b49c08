package command

import (
	"bytes"

	"github.com/primatomic/primatomic/engine"
)

// A step is the unit in which work under a lock is counted, about a nanosecond. The count depends on the state
// and the call alone, so that all nodes stop at the same place.
const (
	stepsPerKey = 64 // to look at a key, whatever is done with it

	// transactionStepsMax bounds what the calls of one transaction do that look at many keys: others wait
	// until it is over.
	transactionStepsMax = 16 << 20

	// chunkKeys bounds what is looked at under one hold of the lock outside of transactions. A walk that may
	// end soon begins with chunkKeysMin and doubles.
	chunkKeys    = 256
	chunkKeysMin = 16
)

var errLongWalk = &Error{TooLarge,
	"too many keys to look at inside a transaction: ask for parts with SCAN, outside of it"}

// walk goes over many keys for one call. It leaves the lock while it works on the keys of a chunk, but in a
// transaction, where it stops with an error when the transaction has used up its steps.
type walk struct {
	view   *engine.View
	steps  *int // that are left, if the view is atomic
	weight int  // steps per byte of a key
	keys   [][]byte
}

func newWalk(v *engine.View, c *Call, weight int) *walk {
	w := &walk{view: v, steps: c.Steps, weight: weight}
	if w.steps == nil {
		steps := transactionStepsMax
		w.steps = &steps
	}
	return w
}

// work gives the keys of a chunk, for which so many were looked at, to fn. It returns false if fn does, or if
// the steps are used up.
func (w *walk) work(looked int, fn func(key []byte) bool) (more bool, err *Error) {
	if w.view.Atomic() {
		for _, key := range w.keys {
			*w.steps -= len(key) * w.weight
		}
		if *w.steps -= looked * stepsPerKey; *w.steps < 0 {
			return false, errLongWalk
		}
	}
	more = true
	w.view.Unlocked(func() {
		for i := 0; i < len(w.keys) && more; i++ {
			more = fn(w.keys[i])
		}
	})
	w.keys = w.keys[:0]
	return more, nil
}

// ascend calls fn for the keys >= from with the prefix, in byte order, until it returns false.
func (w *walk) ascend(from, prefix []byte, fn func(key []byte) bool) *Error {
	for more, chunk := true, chunkKeysMin; more; chunk = min(2*chunk, chunkKeys) {
		looked := 0
		from = w.view.Ascend(from, chunk, func(key []byte, _ engine.Item) bool {
			looked++
			if !bytes.HasPrefix(key, prefix) {
				return false
			}
			w.keys = append(w.keys, key)
			return true
		})
		if from != nil {
			looked = chunk // some of them have expired
		}
		var err *Error
		if more, err = w.work(looked, fn); err != nil {
			return err
		}
		more = more && from != nil
	}
	return nil
}

// scan calls fn for about count keys in the order of SCAN and returns the cursor from which to go on. Keys
// that are not wanted are left out.
func (w *walk) scan(
	cursor uint64, count int, wanted func(item engine.Item) bool, fn func(key []byte),
) (next uint64, err *Error) {
	next = cursor
	for more := true; more && count > 0; count -= chunkKeys {
		looked := min(count, chunkKeys)
		next = w.view.Scan(next, looked, func(key []byte, item engine.Item) {
			if wanted(item) {
				w.keys = append(w.keys, key)
			}
		})
		_, err = w.work(looked, func(key []byte) bool { fn(key); return true })
		more = err == nil && next != 0
	}
	return next, err
}
