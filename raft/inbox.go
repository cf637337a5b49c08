package raft

import (
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// inbox is what others have left for a group since its last turn. Messages from peers are
// bounded in bytes and dropped above that, as a network may. Completions are never dropped;
// they are bounded by the appends and applies that the group itself has in flight.
type inbox struct {
	mu       sync.Mutex
	closed   bool
	mail     mail
	messages []*pb.Message // from peers, in order of arrival
	bytes    int           // encoded size of messages
	bytesMax int
	// read is what callers join that want to read; it stays here until a round can start, so
	// that waiting for a leader costs one object however many wait.
	read *Pending
}

// mail is the content of an inbox beside messages and reads.
type mail struct {
	appended []appendDone
	applied  []applyDone
	conf     *pb.Entry              // configuration change the apply worker has come to
	change   *confChangeOrder       // configuration change to propose
	transfer *transferOrder         // transfer of the leadership to begin
	reads    *readsOrder            // change of how reads are served to propose
	notified bool                   // the proposer may have something
	offer    *offer                 // a checkpoint that was fetched
	install  *installDone           // the apply worker has installed a checkpoint
	lost     map[ReplicaID]struct{} // replicas that messages to were dropped
	member   *memberOrder           // member to settle
}

// appendDone reports that one MsgStorageAppend is durable.
type appendDone struct {
	entries   bool
	responses []*pb.Message // those addressed to this replica, in order
	// mark: it was that of a checkpoint's mark, and outbound are its responses to others: they wait until it is
	// installed.
	mark     bool
	outbound []*pb.Message
}

// applyDone reports that one MsgStorageApply is applied.
type applyDone struct {
	index    Index
	last     Term // term of the entry at index
	bytes    int  // size of the payloads applied
	charter  Charter
	response *pb.Message
}

// reset empties the mail and keeps its slices.
func (m *mail) reset() {
	clear(m.appended)
	clear(m.applied)
	*m = mail{
		appended: m.appended[:0],
		applied:  m.applied[:0],
	}
}

// take moves the content to m, which must be empty; its slices are used from now on.
func (b *inbox) take(m *mail) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*m, b.mail = b.mail, *m
}

// receive adds a message from a peer unless there are too many already.
func (b *inbox) receive(m *pb.Message) bool {
	size := proto.Size(m)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if len(b.messages) > 0 && b.bytes+size > b.bytesMax {
		return false
	}
	b.messages = append(b.messages, m)
	b.bytes += size
	return true
}

// takeMessages returns all messages; spare is used for later ones.
func (b *inbox) takeMessages(spare []*pb.Message) []*pb.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.messages
	b.messages, b.bytes = spare[:0], 0
	return taken
}

// put changes the content under the lock, unless the inbox is closed.
func (b *inbox) put(f func(m *mail)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	f(&b.mail)
	return true
}

// joinRead returns what the next read round resolves, or nil if the inbox is closed.
func (b *inbox) joinRead() *Pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	if b.read == nil {
		b.read = newPending()
	}
	return b.read
}

// takeRead returns the reads that wait for a round, or nil. Later ones join the next round.
func (b *inbox) takeRead() *Pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.read
	b.read = nil
	return p
}

// close makes the inbox refuse everything from now on. What callers wait for in it is resolved
// with err.
func (b *inbox) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	if b.read != nil {
		b.read.resolve(err)
	}
	if b.mail.change != nil {
		b.mail.change.pending.resolve(err)
	}
	if b.mail.transfer != nil {
		b.mail.transfer.pending.resolve(err)
	}
	if b.mail.reads != nil {
		b.mail.reads.pending.resolve(err)
	}
	if b.mail.member != nil {
		b.mail.member.pending.resolve(err)
	}
	if b.mail.offer != nil {
		b.mail.offer.pending.resolve(err)
	}
	b.mail, b.messages, b.read = mail{}, nil, nil
}
