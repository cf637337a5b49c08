package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
)

// meters count what happens on the hot paths, for as long as the node runs.
type meters struct {
	calls   *callMeter // set before the doors open
	errors  command.ErrorTally
	syncs   histogram // of the log
	commits histogram // of writes that came from this node's clients
}

// synced counts a sync of the log.
func (m *meters) synced(took time.Duration) { m.syncs.observe(took, 1) }

// committed counts writes that were put on their way together and have been applied.
func (m *meters) committed(took time.Duration) { m.commits.observe(took, 1) }

// Bounds of /metrics: answers that are made at one time, and how long one may take.
const (
	scrapesMax    = 4
	scrapeTimeout = 5 * time.Second
)

// metricsHandler answers /metrics. Tenants are named only if namespaces is set: this door asks nobody who they are.
func metricsHandler(n *node, namespaces bool) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{node: n, namespaces: namespaces},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesMax, Timeout: scrapeTimeout,
	})
}

// collector reads the node when Prometheus asks. It is unchecked: what it describes follows from what it finds.
type collector struct {
	node       *node
	namespaces bool
}

// Describe tells nothing, which makes the collector unchecked.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads everything.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := sink{to}
	s.gauge("build_info", "Always 1; the label tells the version.", 1, "version", Version())
	c.raft(s)
	c.members(s)
	c.clock(s)
	c.calls(s)
	c.connections(s)
	c.data(s)
	c.storage(s)
}

// sink makes metrics. Labels are names and values in turn.
type sink struct{ to chan<- prometheus.Metric }

func describe(name, help string, labels []string) (*prometheus.Desc, []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return prometheus.NewDesc("primatomic_"+name, help, names, nil), values
}

func (s sink) gauge(name, help string, value float64, labels ...string) {
	desc, values := describe(name, help, labels)
	s.to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
}

func (s sink) counter(name, help string, value uint64, labels ...string) {
	desc, values := describe(name, help, labels)
	s.to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), values...)
}

func (s sink) histogram(name, help string, t *tally, labels ...string) {
	desc, values := describe(name, help, labels)
	s.to <- prometheus.MustNewConstHistogram(desc, t.total(), t.seconds(), t.cumulative(), values...)
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// raft tells of the raft group.
func (c *collector) raft(s sink) {
	status := c.node.group.Status()
	for _, role := range []raft.Role{raft.RoleFollower, raft.RoleCandidate, raft.RoleLeader} {
		s.gauge("raft_role", "1 for the role of the node, 0 for others.", number(status.Role == role),
			"role", role.String())
	}
	s.gauge("raft_term", "The raft term.", float64(status.Term))
	s.gauge("raft_leader_known", "1 if the node knows a leader.", number(status.Leader != 0))
	s.gauge("raft_lease_held", "1 if the node leads and holds a lease for reads.", number(status.Leased))
	s.gauge("raft_commit_index", "Index up to which the log is known to be committed.", float64(status.Commit))
	s.gauge("raft_applied_index", "Index up to which the log is applied.", float64(status.Applied))
	s.gauge("raft_first_index", "First index that the log holds.", float64(status.First))
	s.gauge("raft_last_index", "Last index that the log holds.", float64(status.Last))
	s.gauge("raft_voters", "Members with a vote.", float64(len(status.Voters)))
	s.gauge("raft_learners", "Members that catch up, without a vote.", float64(len(status.Learners)))
	s.counter("raft_messages_dropped_total", "Messages of peers that found the inbox full.", status.Dropped)
	c.digest(s)
	s.gauge("log_stalled", "1 if writes wait because there is no disk space for the log.",
		number(c.node.core.host.Stalled()))
	var syncs, commits tally
	syncs.add(&c.node.core.meters.syncs)
	commits.add(&c.node.core.meters.commits)
	s.histogram("log_sync_seconds", "How long a sync of the log takes.", &syncs)
	s.histogram("commit_seconds",
		"How long writes take from when they are sent on their way to the log until they are applied here.", &commits)
}

// digest tells how the node's data compares with that of the others.
func (c *collector) digest(s sink) {
	status := c.node.store.DigestStatus()
	_, quarantined := c.node.store.Quarantined()
	s.gauge("digest_index", "Last entry as of which the node has hashed its data.", float64(status.Made))
	s.gauge("digest_agreed_index", "Last entry as of which it agreed with a majority.", float64(status.Agreed))
	s.gauge("digest_disputed_index", "Last entry as of which no majority can agree.", float64(status.Disputed))
	s.gauge("digest_differing", "Other members that differ from the majority.", float64(len(status.Wrong)))
	s.counter("digest_skipped_total", "Digests left out because one was under way.", status.Skipped)
	s.gauge("quarantined", "1 if the node's data is wrong and it serves nothing.", number(quarantined))
}

// members tells of the other members of the cluster.
func (c *collector) members(s sink) {
	t := c.node.cluster.Topology()
	leads, last := t.Leads(), t.Member(t.Self)
	for i := range t.Members {
		m := &t.Members[i]
		if m.ID == t.Self {
			continue
		}
		id, role := cluster.ID(m.ID), "learner"
		if m.Voter {
			role = "voter"
		}
		s.gauge("member_connected", "1 if the member was heard of lately.", number(m.Connected),
			"id", id, "name", m.Name, "role", role)
		if leads && last != nil {
			s.gauge("member_lag_entries",
				"Entries of the log that the member is not known to hold; told by the leader.",
				float64(last.Match-min(m.Match, last.Match)), "id", id, "name", m.Name)
		}
	}
}

// clock tells how wrong the wall clock is.
func (c *collector) clock(s sink) {
	if guard := c.node.core.clock; guard != nil {
		s.gauge("clock_ahead_seconds", "How far the wall clock is ahead of the other voters', if that is more than "+
			"10 s, so that times to live do not go by it; else 0.", time.Duration(guard.ahead.Load()).Seconds())
	}
}

// calls tells of the commands.
func (c *collector) calls(s sink) {
	meters := c.node.core.meters
	meters.calls.each(c.node.Registry(), func(name string, t *tally) {
		s.histogram("command_seconds",
			"How long commands take, each as long as all that arrived with it.", t, "command", name)
	})
	for _, code := range command.Codes() {
		s.counter("errors_total", "Errors that clients were answered with.", meters.errors.Count(code),
			"code", code.String())
	}
}

// connections tells of the doors.
func (c *collector) connections(s sink) {
	stats := c.node.door.Stats()
	s.gauge("connections", "Open connections of clients.", float64(stats.Connected), "door", "resp")
	if c.node.grpc != nil {
		s.gauge("connections", "Open connections of clients.", float64(c.node.grpc.Connections()), "door", "grpc")
	}
	s.gauge("connections_limit", "Connections at one time that each door takes.",
		float64(c.node.config.Limits.MaxConnections))
	s.counter("connections_received_total", "Connections of Redis clients that were taken.", stats.Received)
	s.counter("connections_rejected_total", "Connections of Redis clients that were one too many.", stats.Rejected)
	s.counter("connections_cut_off_total", "Redis clients cut off because they did not read their answers.",
		stats.CutOff)
	s.counter("protocol_errors_total", "Connections of Redis clients ended by a malformed frame.",
		stats.ProtocolErrors)
	s.counter("received_bytes_total", "Bytes of commands from Redis clients.", stats.BytesIn)
	s.counter("sent_bytes_total", "Bytes of answers to Redis clients.", stats.BytesOut)
}

// data tells of what is stored, without names unless they were asked for.
func (c *collector) data(s sink) {
	keys, bytes := c.node.store.Totals()
	s.gauge("keys", "Keys, with those that have expired and are not removed yet.", float64(keys))
	s.gauge("data_bytes", "Bytes of keys and values.", float64(bytes))
	writes, queued := c.node.store.Waiting()
	s.gauge("writes_waiting", "Writes of clients of this node that wait for their entry of the log.", float64(writes))
	s.gauge("queue_bytes", "Bytes of calls that wait to be put into the log.", float64(queued))
	s.gauge("memory_counted_bytes", "Memory of the data as --max-memory counts it.", float64(c.node.store.Memory()))
	s.gauge("memory_limit_bytes", "The limit of --max-memory, 0 for none.", float64(c.node.config.Limits.MaxMemory))
	s.gauge("namespaces", "Namespaces, with numbered databases that were written to.",
		float64(c.node.store.NamespaceCount()))
	if !c.namespaces {
		return
	}
	for _, info := range c.node.store.AllNamespaces() {
		owner := []string{"credential", info.Credential, "namespace", info.Name}
		s.gauge("namespace_keys", "Keys of a namespace.", float64(info.Keys), owner...)
		s.gauge("namespace_bytes", "Bytes of the keys and values of a namespace.", float64(info.Bytes), owner...)
	}
}

// storage tells of the disk.
func (c *collector) storage(s sink) {
	last := c.node.store.LastCheckpoint()
	s.gauge("checkpoint_index", "Index of the log as of which the newest checkpoint is; 0 if there is none.",
		float64(last.Index))
	s.gauge("checkpoint_bytes", "Size of the newest checkpoint.", float64(last.Bytes))
	s.gauge("log_bytes", "Size of the log that is kept.", float64(c.node.core.log.Bytes()))
	if free, err := vfs.OS.Free(c.node.config.Storage.DataDir); err == nil {
		s.gauge("disk_free_bytes", "Free space on the disk of the data directory.", float64(free))
	}
}
