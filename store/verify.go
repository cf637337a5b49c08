package store

// Verify holds every structure of the applied state against every other, and returns the state's digest:
// nodes that have applied the same log have the same. Only while no actor of the raft host has its
// turn; for tests, simulation and offline verification.
func (s *Store) Verify() (digest [32]byte, err error) {
	if err := s.state().Check(); err != nil {
		return digest, err
	}
	return s.state().Digest(), nil
}
