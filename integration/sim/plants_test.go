package sim

// plants are the bugs that the simulator must find.
var plants = []plant{
	{
		name:  "the log is not synced",
		file:  "raft/writer.go",
		old:   "	err := w.host.log.Sync()\n	if w.host.synced",
		new:   "	var err error\n	if w.host.synced",
		found: lost,
	}, {
		name:  "answers leave before the log is synced",
		file:  "raft/writer.go",
		old:   "		if len(orders[i].responses) > 0 {\n			return true",
		new:   "		if len(orders[i].responses) > 0 {\n			return false",
		found: lost,
	}, {
		name:  "a vote is not on disk when it is given",
		file:  "raft/turn.go",
		old:   "mandatory: len(entries) > 0 || voted || mark != nil,",
		new:   "mandatory: len(entries) > 0 || mark != nil,",
		found: "_test.go",
		pkg:   "store",
		run:   "Traces|Durable",
	}, {
		name: "one disk counts as a majority",
		file: "raft/turn.go",
		old:  "	for _, m := range done.responses {\n		g.step(m)\n	}",
		new: `	for _, m := range done.responses {
		g.step(m)
		for _, v := range g.conf.GetVoters() {
			if m.GetType() == pb.MsgAppResp && g.leads() && v != uint64(g.replica) {
				g.step(&pb.Message{Type: m.Type, To: m.To, From: new(v), Term: m.Term, Index: m.Index})
			}
		}
	}`,
		found: lost + "|" + differs,
	}, {
		name: "a node comes back under its id with an empty disk",
		file: "integration/sim/world.go",
		old:  "	n.die()\n	w.network.breaks(n.replica())\n",
		new: `	n.die()
	w.network.breaks(n.replica())
	n.disk = newDisk(w.rng.Uint64(), w.directory(), w.trace)
`,
		found: lost,
	}, {
		name:  "a process begins with the sequences of the one before",
		file:  "integration/sim/node.go",
		old:   "	n.process++\n",
		new:   "	n.process = 1\n",
		found: answered + "|" + twice,
	}, {
		name: "what a node forwards to the leader arrives twice",
		file: "integration/sim/network.go",
		old:  "func (e packetEnd) Send(to uint64, packet []byte) error {\n",
		new: `func (e packetEnd) Send(to uint64, packet []byte) error {
	_ = e.network.send(route{from: e.replica(), to: raft.ReplicaID(to)}, letter{packet: packet})
`,
		found: twice,
	}, {
		name:  "a leader takes calls that were sent for another term",
		file:  "store/forward.go",
		old:   "if s.halted() || term != f.term || uint64(leader)",
		new:   "if f.term = term; s.halted() || uint64(leader)",
		found: "_test.go",
		pkg:   "store",
		run:   "Forward",
	}, {
		name:  "calls on their way when a checkpoint is installed are sent again",
		file:  "store/apply.go",
		old:   "		if w.jumped {\n",
		new:   "		if w.jumped && false {\n",
		found: "",
		pkg:   "store",
		run:   "Checkpoint",
	}, {
		name:  "a call whose outcome is unknown is said not to be applied",
		file:  "store/do.go",
		old:   "out.Error(errUncertain)",
		new:   "out.Error(errNotApplied)",
		found: lied,
	}, {
		name: "an entry is applied twice",
		file: "store/apply.go",
		old:  "			if err := s.applyEntry(e.Data); err != nil {",
		new: `			if e.Index%16 == 9 {
				_ = s.applyEntry(e.Data)
			}
			if err := s.applyEntry(e.Data); err != nil {`,
		found: answered + "|" + twice,
	}, {
		name:  "an entry is skipped in the replay after a restart",
		file:  "store/apply.go",
		old:   "		if len(e.Data) > 0 {\n			if err := s.applyEntry",
		new:   "		if len(e.Data) > 0 && !(s.replaying && e.Index%8 == 3) {\n			if err := s.applyEntry",
		found: differs + "|" + answered + "|" + lost,
	}, {
		name:  "nodes reap different keys",
		file:  "store/apply.go",
		old:   "		b.Reap(o.Reap)",
		new:   "		b.Reap(o.Reap * int(s.node%2))",
		found: differs + "|of the states",
	}, {
		name:  "relative times to live count from the local clock",
		file:  "store/apply.go",
		old:   "s.state().Begin(o.LogTime, o.Seed)",
		new:   "s.state().Begin(max(o.LogTime, s.clock.read()), o.Seed)",
		found: differs + "|" + answered + "|of the states",
	}, {
		name:  "log time goes back on a change of the leader",
		file:  "store/store.go",
		old:   "func (s *Store) Leading(raft.Term) {\n	s.clock.raise(s.state().LogTime())\n",
		new:   "func (s *Store) Leading(raft.Term) {\n",
		found: "log time goes back",
	}, {
		name:  "a checkpoint forgets when keys expire",
		file:  "engine/codec.go",
		old:   "	it.revision, it.deadline = revision, deadline\n",
		new:   "	it.revision, it.deadline = revision, 0\n",
		found: differs + "|" + stale + "|" + answered + "|alive at",
	}, {
		name:  "a checkpoint claims an entry that it lacks",
		file:  "store/checkpoint.go",
		old:   "Index: uint64(s.applied.Index),\n",
		new:   "Index: uint64(s.applied.Index) + 1,\n",
		found: differs + "|" + lost + "|" + answered + "|start node",
	}, {
		name:  "WATCH compares nothing",
		file:  "command/txn.go",
		old:   "if !found || in.ChangedSince(w.Key, w.Revision, w.Alive) {",
		new:   "if _ = in; !found {",
		found: answered + "|WATCH|watched",
	}, {
		name:  "reads ask nobody",
		file:  "store/read.go",
		old:   "	case s.group.TryRead():",
		new:   "	case true:",
		found: stale,
	}, {
		name:  "a node that follows answers reads without asking for a read index",
		file:  "raft/group.go",
		old:   "	return false\n}\n\n// Read waits until",
		new:   "	return v.role == RoleFollower\n}\n\n// Read waits until",
		found: stale,
	}, {
		name:  "a read is answered before its read index is applied",
		file:  "raft/read.go",
		old:   "		if c.index <= applied {",
		new:   "		if true {",
		found: stale,
	}, {
		name:  "a read goes by a read index that was asked for before it",
		file:  "raft/read.go",
		old:   "	if q.round == nil || !q.issued || r.seq < q.first {",
		new:   "	if q.round == nil {",
		found: "",
		pkg:   "raft",
		run:   "Read|Lease",
	}, {
		name:  "a leader reads under its lease what is not all applied",
		file:  "raft/group.go",
		old:   "return g.host.clock.Boot() < v.lease && g.applied.Load() >= uint64(v.commit)",
		new:   "return g.host.clock.Boot() < v.lease",
		found: stale,
	}, {
		name:  "a lease never ends",
		file:  "raft/group.go",
		old:   "return g.host.clock.Boot() < v.lease && g.applied",
		new:   "return g.applied",
		found: stale,
	}, {
		name:  "a lease counts from the answers to its round",
		file:  "raft/lease.go",
		old:   "max(g.lease.until, r.sent+g.charter.Reads.Lease)",
		new:   "max(g.lease.until, g.host.clock.Boot()+g.charter.Reads.Lease)",
		found: "",
		pkg:   "raft",
		run:   "Lease|Late",
	}, {
		name:  "a new leader does not wait old leases out",
		file:  "raft/lease.go",
		old:   "	return g.tenure.electedAt + g.charter.Reads.wait()",
		new:   "	return 0",
		found: stale,
	}, {
		name:  "a new leader's wait takes no account of how fast clocks run",
		file:  "raft/charter.go",
		old:   "return lease/5 + 10*time.Millisecond",
		new:   "return 0 * lease",
		found: "_test.go",
		pkg:   "raft",
		run:   "Lease|Wait|Serve",
	}, {
		name:  "a leader whose transfer failed goes on with the lease that it gave up",
		file:  "raft/lease.go",
		old:   "		case isKind(e, hostRelease):\n			l.allowedAt = index + 1",
		new:   "		case isKind(e, hostRelease):\n			l.allowedAt = 0",
		found: "_test.go",
		pkg:   "raft",
		run:   "Lease|Transfer",
	}, {
		name:  "every new leader thinks that the former gave up its lease",
		file:  "raft/lease.go",
		old:   "		succeeds:  g.followsRelease(entries),",
		new:   "		succeeds:  true,",
		found: stale,
	}, {
		name:  "a new leader answers reads while it waits",
		file:  "raft/read.go",
		old:   "	if g.leads() {\n		return g.serves()\n	}\n	return g.leader != 0",
		new:   "	return g.leader != 0",
		found: "",
		pkg:   "raft",
		run:   "Lease|Wait|Serve",
	}, {
		name:  "a new leader gives read indexes while it waits",
		file:  "raft/turn.go",
		old:   "(!g.serves() || !g.stillLeads() || g.answerLeased(m))",
		new:   "(!g.leads() || !g.stillLeads() || g.answerLeased(m))",
		found: "_test.go",
		pkg:   "raft",
		run:   "Lease|Wait|Serve",
	}, {
		name:  "effects of an older term are shown in answers before SERVE",
		file:  "store/curtain.go",
		old:   "return c.drawn.Load() && term >= c.serving",
		new:   "return false",
		found: "_test.go",
		pkg:   "store",
		run:   "Curtain|Former|Serve",
	}, {
		name:  "effects of an older term are shown to reads before SERVE",
		file:  "store/read.go",
		old:   "if hidden = s.curtain.drawn.Load(); !hidden {",
		new:   "if !hidden {",
		found: "_test.go",
		pkg:   "store",
		run:   "Curtain|Former|Serve",
	}, {
		name:  "a read shows a key whose time is over by the clock",
		file:  "store/read.go",
		old:   "s.state().Read(credential, ref, now, func(v *engine.View) {\n			if hidden",
		new:   "s.state().Read(credential, ref, 0*now, func(v *engine.View) {\n			if hidden",
		found: "alive at|over by|of the states",
	}, {
		name:  "the time of another node's leader expires a key",
		file:  "engine/view.go",
		old:   "		v.behind = max(v.behind, it.deadline)",
		new:   "		return false",
		found: "_test.go",
		pkg:   "store",
		run:   "Expire|Deadline|Follower|Tick",
	}, {
		name:  "a frame that is whole but damaged is cut as a torn tail",
		file:  "wal/frame.go",
		old:   "	return f, damaged, reason, err\n}\n\n// describe",
		new:   "	return f, torn, reason, err\n}\n\n// describe",
		found: "_test.go",
		pkg:   "wal",
		run:   "Damage|Torn|Bit|Flip",
	},
}
