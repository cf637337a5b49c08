package engine

import (
	"errors"
	"fmt"
)

// Check compares every structure of the state with every other and returns all that disagrees. It runs on
// the apply goroutine between batches, for tests and offline verification; readers may be active.
func (s *State) Check() error {
	var errs []error
	var keys, size, earliest int64
	queued := 0
	s.working.byID.Scan(func(id uint64, ns *namespace) bool {
		if err := s.checkNamespace(id, ns); err != nil {
			errs = append(errs, fmt.Errorf("namespace %d: %w", id, err))
		}
		keys += int64(ns.keys.len())
		size += ns.keys.bytes
		if ns.queued != 0 {
			queued++
			if earliest == 0 || ns.queued < earliest {
				earliest = ns.queued
			}
		}
		return true
	})
	if k, b := s.Totals(); k != keys || b != size {
		errs = append(errs, fmt.Errorf("totals are %d keys, %d bytes; namespaces have %d, %d", k, b, keys, size))
	}
	if got := s.earliest.Load(); got != earliest || s.deadlines.Len() != queued {
		errs = append(errs, fmt.Errorf("earliest deadline %d, want %d; %d queued, want %d",
			got, earliest, s.deadlines.Len(), queued))
	}
	return errors.Join(append(errs, s.checkRegistry())...)
}

func (s *State) checkRegistry() error {
	r, named, numberedCount := s.working, 0, 0
	var errs []error
	r.byID.Scan(func(_ uint64, ns *namespace) bool {
		if ns.number < 0 {
			named++
			if found, _ := r.byName.Get(ns.name); found != ns {
				errs = append(errs, fmt.Errorf("name %q does not lead to namespace %d", ns.name, ns.id))
			}
			if found, _ := r.named.Get(ownerKey(ns.credential, ns.name)); found != ns {
				errs = append(errs, fmt.Errorf("owner of namespace %d does not lead to it", ns.id))
			}
		} else if found, _ := r.find(ns.credential, Ref{Number: ns.number}); found != ns {
			errs = append(errs, fmt.Errorf("number %d does not lead to namespace %d", ns.number, ns.id))
		}
		if public, _ := s.registry.Load().byID.Get(ns.id); public != ns {
			errs = append(errs, fmt.Errorf("namespace %d is not published", ns.id))
		}
		return true
	})
	r.numbered.Scan(func(_ string, owned *numbered) bool {
		for _, ns := range owned {
			if ns != nil {
				numberedCount++
			}
		}
		return true
	})
	if r.byName.Len() != named || r.named.Len() != named || named+numberedCount != r.byID.Len() ||
		s.registry.Load().byID.Len() != r.byID.Len() {
		errs = append(errs, errors.New("registry holds namespaces without an id"))
	}
	return errors.Join(errs...)
}

func (s *State) checkNamespace(id uint64, ns *namespace) error {
	switch {
	case ns.id != id || id >= s.nextID:
		return fmt.Errorf("id is %d, next id %d", ns.id, s.nextID)
	case ns.dropped || ns.held || ns.changed:
		return errors.New("left dropped, held or changed")
	case ns.queued != ns.keys.earliest():
		return fmt.Errorf("queued at %d, earliest deadline %d", ns.queued, ns.keys.earliest())
	case int64(ns.keys.len()) != ns.published.keys.Load() || ns.keys.bytes != ns.published.bytes.Load() ||
		int64(ns.keys.expiry.count) != ns.published.expires.Load() || ns.revision != ns.published.revision.Load():
		return errors.New("published counters differ")
	}
	if err := ns.header().check(); err != nil {
		return err
	}
	if ns.keys.order == nil && !s.replaying {
		return errors.New("has no tree in key order")
	}
	return ns.keys.check(ns.revision)
}

// check tells whether index, trees and accounting of a keyspace agree.
func (k *keyspace) check(revision uint64) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var size int64
	scheduled := 0
	k.index.each(func(it *item) {
		size += it.bytes()
		if it.deadline != 0 {
			scheduled++
			if k.expiry.get(it) != it {
				fail("key %q is not in the expiry tree", it.key())
			}
		}
		if it.revision > revision || it.revision == 0 {
			fail("key %q has revision %d of %d", it.key(), it.revision, revision)
		}
		if it.kind != String || it.form == heapForm != (it.valueLen() > inlineBytesMax) {
			fail("key %q has kind %d, form %d, %d bytes", it.key(), it.kind, it.form, it.valueLen())
		}
		if k.index.find(k.index.hash(it.key()), it.key()) != it {
			fail("key %q is not found", it.key())
		}
		if k.order != nil {
			if k.order.get(it) != it {
				fail("key %q is not in the tree", it.key())
			}
		}
	})
	if size != k.bytes {
		fail("items have %d bytes, accounted are %d", size, k.bytes)
	}
	if scheduled != k.expiry.count {
		fail("%d items with a deadline, %d in the expiry tree", scheduled, k.expiry.count)
	}
	if k.order != nil && k.order.count != k.len() {
		fail("%d items, %d in the tree", k.len(), k.order.count)
	}
	errs = append(errs, k.order.check(), k.expiry.check(), k.index.check())
	return errors.Join(errs...)
}

// check tells whether a tree is in order, balanced and of its count. A nil tree is not kept.
func (t *tree) check() error {
	if t == nil {
		return nil
	}
	var last *item
	count := 0
	var err error
	t.ascend(nil, func(it *item) bool {
		if last != nil && !t.less(last, it) {
			err = fmt.Errorf("key %q is out of order in a tree", it.key())
		}
		last = it
		count++
		return true
	})
	if count != t.count {
		err = errors.Join(err, fmt.Errorf("tree counts %d items, holds %d", t.count, count))
	}
	_, balanced := t.root.check(true)
	return errors.Join(err, balanced)
}

// check returns the height of a node's subtree.
func (n *node) check(root bool) (height int, err error) {
	if n.count < nodeItemsMin && !root || root && n.count == 0 && n.children != nil {
		return 0, fmt.Errorf("tree node has only %d items", n.count)
	}
	for i, it := range n.items {
		if (it != nil) != (i < n.count) {
			return 0, errors.New("tree node keeps an item behind its count, or misses one")
		}
	}
	if n.children == nil {
		return 1, nil
	}
	for i, child := range n.children {
		if (child != nil) != (i <= n.count) {
			return 0, errors.New("tree node keeps a child behind its count, or misses one")
		}
		if child == nil {
			break
		}
		below, err := child.check(false)
		if err != nil || i > 0 && below != height {
			return 0, errors.Join(err, errors.New("tree is not balanced"))
		}
		height = below
	}
	return height + 1, nil
}

func (x *index) check() error {
	count := 0
	err := x.root.check(x, 0, 0, &count)
	if count != x.count {
		err = errors.Join(err, fmt.Errorf("index counts %d items, holds %d", x.count, count))
	}
	return err
}

// check walks a directory whose hashes share their first used bits with prefix.
func (d *directory) check(x *index, prefix uint64, used uint, count *int) error {
	if used != uint(d.level)*directoryBits || len(d.entries) != 1<<d.depth || d.depth > directoryBits {
		return fmt.Errorf("directory at level %d has %d entries, depth %d", d.level, len(d.entries), d.depth)
	}
	var errs []error
	deepest := 0
	for i := 0; i < len(d.entries); {
		b := d.entries[i]
		if b.depth > d.depth {
			return fmt.Errorf("bucket of depth %d in a directory of depth %d", b.depth, d.depth)
		}
		if b.depth == d.depth {
			deepest++
		}
		span := 1 << (d.depth - b.depth)
		for j := i; j < i+span; j++ {
			if j >= len(d.entries) || d.entries[j] != b {
				return fmt.Errorf("bucket of depth %d does not span its %d entries", b.depth, span)
			}
		}
		below := prefix | uint64(i)<<(64-used-uint(d.depth))
		if b.sub != nil {
			errs = append(errs, b.sub.check(x, below, used+uint(b.depth), count))
		} else {
			errs = append(errs, b.check(x, below, used+uint(b.depth), count))
		}
		i += span
	}
	if deepest != d.deepest {
		errs = append(errs, fmt.Errorf("directory counts %d deepest buckets, has %d", d.deepest, deepest))
	}
	return errors.Join(errs...)
}

func (b *bucket) check(x *index, prefix uint64, used uint, count *int) error {
	for ; b != nil; b = b.next {
		*count += int(b.count)
		for i, it := range b.slots {
			if i >= int(b.count) {
				if it != nil {
					return errors.New("bucket keeps an item behind its count")
				}
				continue
			}
			h := x.hash(it.key())
			if b.tags[i] != tagOf(h) || (h^prefix)>>(64-used) != 0 {
				return fmt.Errorf("key %q has hash %x in a bucket for %x/%d", it.key(), h, prefix, used)
			}
		}
		if b.next != nil && (used < levelsMax*directoryBits || b.next.count != bucketSlots) {
			return errors.New("chained bucket where hashes could be told apart, or with holes")
		}
	}
	return nil
}
