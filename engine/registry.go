package engine

import (
	"github.com/tidwall/btree"
)

// registry knows the namespaces. The applier has one of its own and publishes copies of it: readers
// find a namespace without a lock and never see a change that is not committed. A copy shares all but
// the nodes that change.
type registry struct {
	byID     *btree.Map[uint64, *namespace]
	byName   *btree.Map[string, *namespace] // named ones, over all credentials
	named    *btree.Map[string, *namespace] // by ownerKey
	numbered *btree.Map[string, *numbered]  // by credential
}

// numbered are the numbered databases of a credential, nil where nothing was ever written. It is
// replaced, never changed.
type numbered [NumberedMax]*namespace

func newRegistry() *registry {
	return &registry{
		byID:     btree.NewMap[uint64, *namespace](0),
		byName:   btree.NewMap[string, *namespace](0),
		named:    btree.NewMap[string, *namespace](0),
		numbered: btree.NewMap[string, *numbered](0),
	}
}

// copy writes the receiver too: applier only.
func (r *registry) copy() *registry {
	return &registry{
		byID: r.byID.Copy(), byName: r.byName.Copy(), named: r.named.Copy(), numbered: r.numbered.Copy(),
	}
}

// ownerKey sorts named namespaces by credential and name. The credential's length before it keeps one
// credential from being the beginning of another.
func ownerKey(credential, name string) string {
	return string([]byte{byte(len(credential) >> 8), byte(len(credential))}) + credential + name
}

// find returns nil without an error for a numbered database that does not exist yet and for NoNamespace.
func (r *registry) find(credential string, ref Ref) (*namespace, error) {
	if ref.ID != 0 {
		ns, ok := r.byID.Get(ref.ID)
		switch {
		case !ok:
			return nil, ErrNoNamespace
		case ns.credential != credential:
			return nil, ErrNotOwner
		}
		return ns, nil
	}
	if ref.Number < -1 || ref.Number >= NumberedMax {
		return nil, ErrNoNamespace
	}
	if ref == NoNamespace {
		return nil, nil
	}
	if owned, ok := r.numbered.Get(credential); ok {
		return owned[ref.Number], nil
	}
	return nil, nil
}

func (r *registry) add(ns *namespace) {
	r.byID.Set(ns.id, ns)
	if ns.number >= 0 {
		r.setNumbered(ns, ns)
		return
	}
	r.byName.Set(ns.name, ns)
	r.named.Set(ownerKey(ns.credential, ns.name), ns)
}

func (r *registry) remove(ns *namespace) {
	r.byID.Delete(ns.id)
	if ns.number >= 0 {
		r.setNumbered(ns, nil)
		return
	}
	r.byName.Delete(ns.name)
	r.named.Delete(ownerKey(ns.credential, ns.name))
}

// setNumbered puts next where ns belongs.
func (r *registry) setNumbered(ns, next *namespace) {
	var owned numbered
	if have, ok := r.numbered.Get(ns.credential); ok {
		owned = *have
	}
	owned[ns.number] = next
	if owned == (numbered{}) {
		r.numbered.Delete(ns.credential)
		return
	}
	r.numbered.Set(ns.credential, &owned)
}

// countNamed returns how many named namespaces a credential has.
func (r *registry) countNamed(credential string) int {
	count := 0
	r.named.Ascend(ownerKey(credential, ""), func(_ string, ns *namespace) bool {
		if ns.credential != credential {
			return false
		}
		count++
		return true
	})
	return count
}

// ofCredential calls fn for the namespaces of a credential: numbered ones first, then by name.
func (r *registry) ofCredential(credential string, fn func(ns *namespace) bool) {
	if owned, ok := r.numbered.Get(credential); ok {
		for _, ns := range owned {
			if ns != nil && !fn(ns) {
				return
			}
		}
	}
	prefix := ownerKey(credential, "")
	r.named.Ascend(prefix, func(key string, ns *namespace) bool {
		return ns.credential == credential && fn(ns)
	})
}
