package store

import "github.com/primatomic/primatomic/engine"

// Calls returns how many calls have been answered since the start of the process.
func (s *Store) Calls() uint64 { return s.calls.Load() }

// Waiting returns what is on its way to the log and through it: the writes of clients here that wait for the apply of
// their entry, and the bytes of calls that have not been put into an entry yet, those that other nodes have forwarded
// included.
func (s *Store) Waiting() (writes, bytes int) {
	s.batcher.mu.Lock()
	bytes = s.batcher.bytes + s.batcher.foreignBytes
	s.batcher.mu.Unlock()
	return s.waiters.count(), bytes
}

// Totals returns how many keys there are and how many bytes they and their values have.
func (s *Store) Totals() (keys, bytes int64) { return s.state().Totals() }

// Memory returns what the state is counted to hold in memory, in bytes; memory limits go by it.
func (s *Store) Memory() int64 { return s.state().Memory() }

// NamespaceCount returns how many namespaces there are, numbered databases that were written to included.
func (s *Store) NamespaceCount() int { return s.state().NamespaceCount() }

// AllNamespaces returns the namespaces of everyone, as this node's memory knows them.
func (s *Store) AllNamespaces() []engine.Info {
	list := make([]engine.Info, 0, s.NamespaceCount())
	s.state().Namespaces(func(info engine.Info) bool {
		list = append(list, info)
		return true
	})
	return list
}

// Namespaces returns the namespaces of a credential, as this node's memory knows them: numbered ones first,
// then by name.
func (s *Store) Namespaces(credential string) []engine.Info {
	var list []engine.Info
	_, _ = s.state().Read(credential, engine.NoNamespace, 0, func(v *engine.View) { // cannot fail
		v.Namespaces(credential, func(info engine.Info) bool {
			list = append(list, info)
			return true
		})
	})
	return list
}
