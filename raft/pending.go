package raft

import "context"

// Pending is the outcome, still open, of something a group was asked to do.
type Pending struct {
	done  chan struct{}
	err   error // set before done is closed
	stamp int64 // set before done is closed
}

func newPending() *Pending { return &Pending{done: make(chan struct{})} }

// Done is closed when the outcome is known.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Err returns the outcome; only after Done is closed.
func (p *Pending) Err() error { return p.err }

// Stamp returns the Stamp of the leader's Proposer that came with its answer to a read; 0 if this
// replica led. Only after Done is closed.
func (p *Pending) Stamp() int64 { return p.stamp }

// Wait returns the outcome, or the context's error if that ends first.
func (p *Pending) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pending) resolve(err error) {
	p.err = err
	close(p.done)
}
