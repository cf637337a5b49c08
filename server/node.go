package server

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/grpcapi"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/resp"
	"github.com/primatomic/primatomic/store"
)

// node answers what is asked of the process as a whole: command.Node.
type node struct {
	config  Config
	id      string // of the run, 40 hexadecimal digits
	started time.Time
	clock   clock.Clock
	core    *core
	store   *store.Store
	group   *raft.Group
	door    *resp.Server
	grpc    *grpcapi.Server // nil: none
	cluster *topology       // set with door
	meter   meter
}

func newNode(config Config, c *core) *node {
	return &node{
		config: config, id: runID(c.identity),
		started: clock.System.Now(), clock: clock.System, core: c, store: c.store, group: c.group,
	}
}

// counts reads the counters that the meter turns into rates.
func (n *node) counts() counts {
	door := n.door.Stats()
	return counts{calls: n.store.Calls(), in: door.BytesIn, out: door.BytesOut}
}

// Registry returns the language.
func (n *node) Registry() *command.Registry { return n.store.Registry() }

// Clients returns the sessions that are connected now.
func (n *node) Clients() []*command.Session { return n.door.Clients() }

// Cluster returns the cluster that the node belongs to.
func (n *node) Cluster() command.Cluster { return n.cluster }

// Kill ends a session's connection.
func (n *node) Kill(id uint64) bool { return n.door.Kill(id) }

// Config returns the parameters of CONFIG GET, by Redis' names.
func (n *node) Config() map[string]string {
	l := n.config.Limits
	return map[string]string{
		"databases":                strconv.Itoa(engine.NumberedMax),
		"maxmemory":                strconv.FormatInt(int64(l.MaxMemory), 10),
		"maxmemory-policy":         "noeviction",
		"maxclients":               strconv.Itoa(l.MaxConnections),
		"timeout":                  strconv.Itoa(int(l.IdleTimeout.Seconds())),
		"tcp-keepalive":            "300",
		"proto-max-bulk-len":       strconv.Itoa(engine.ValueBytesMax),
		"appendonly":               "yes",
		"appendfsync":              "always",
		"save":                     "",
		"io-threads":               strconv.Itoa(runtime.GOMAXPROCS(0)),
		"replica-read-only":        "no", // any node takes any command
		"slave-read-only":          "no",
		"lazyfree-lazy-user-del":   "yes",
		"lazyfree-lazy-user-flush": "yes",
		"cluster-enabled":          "no",
		"notify-keyspace-events":   "",
	}
}

// Info returns the sections of INFO.
func (n *node) Info(s *command.Session) []command.InfoSection {
	return []command.InfoSection{
		{Name: "Server", Fields: n.serverInfo()},
		{Name: "Clients", Fields: n.clientsInfo()},
		{Name: "Memory", Fields: n.memoryInfo()},
		{Name: "Persistence", Fields: n.persistenceInfo()},
		{Name: "Stats", Fields: n.statsInfo()},
		{Name: "Replication", Fields: n.replicationInfo()},
		{Name: "CPU", Fields: cpuInfo()},
		{Name: "Commandstats", Fields: n.commandStats(), Extra: true},
		{Name: "Cluster", Fields: fields("cluster_enabled", 0)},
		{Name: "Raft", Fields: n.raftInfo()},
		{Name: "Keyspace", Fields: n.keyspaceInfo(s)},
	}
}

// fields makes the fields of a section from names and values in turn.
func fields(pairs ...any) []command.InfoField {
	list := make([]command.InfoField, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, command.InfoField{Name: pairs[i].(string), Value: fmt.Sprint(pairs[i+1])})
	}
	return list
}

func (n *node) serverInfo() []command.InfoField {
	up := int64(n.clock.Now().Sub(n.started).Seconds())
	_, port, _ := net.SplitHostPort(n.door.Addr().String())
	return fields(
		"redis_version", command.RedisVersion,
		"redis_mode", "standalone",
		"server_name", "primatomic",
		"primatomic_version", Version(),
		"os", runtime.GOOS+" "+runtime.GOARCH,
		"arch_bits", strconv.IntSize,
		"go_version", runtime.Version(),
		"process_id", os.Getpid(),
		"run_id", n.id,
		"tcp_port", port,
		"uptime_in_seconds", up,
		"uptime_in_days", up/86400,
		"hz", 10,
	)
}

func (n *node) clientsInfo() []command.InfoField {
	return fields(
		"connected_clients", n.door.Stats().Connected,
		"maxclients", n.config.Limits.MaxConnections,
		"blocked_clients", 0,
	)
}

func (n *node) memoryInfo() []command.InfoField {
	used := n.store.Memory()
	rss := residentBytes()
	return fields(
		"used_memory", used,
		"used_memory_human", human(used),
		"used_memory_rss", rss,
		"used_memory_rss_human", human(rss),
		"used_memory_dataset", used,
		"maxmemory", int64(n.config.Limits.MaxMemory),
		"maxmemory_human", human(int64(n.config.Limits.MaxMemory)),
		"maxmemory_policy", "noeviction",
	)
}

func (n *node) persistenceInfo() []command.InfoField {
	last := n.store.LastCheckpoint()
	return fields(
		"loading", 0,
		"aof_enabled", 1,
		"aof_last_write_status", "ok",
		"rdb_bgsave_in_progress", 0,
		"rdb_last_bgsave_status", "ok",
		"checkpoint_index", last.Index,
		"checkpoint_bytes", last.Bytes,
	)
}

func (n *node) statsInfo() []command.InfoField {
	door, rates := n.door.Stats(), n.meter.rates()
	return fields(
		"total_connections_received", door.Received,
		"rejected_connections", door.Rejected,
		"total_commands_processed", n.store.Calls(),
		"instantaneous_ops_per_sec", rates.calls,
		"total_net_input_bytes", door.BytesIn,
		"total_net_output_bytes", door.BytesOut,
		"instantaneous_input_kbps", fmt.Sprintf("%.2f", float64(rates.in)/1024),
		"instantaneous_output_kbps", fmt.Sprintf("%.2f", float64(rates.out)/1024),
		"evicted_keys", 0,
		"number_of_cached_scripts", 0,
	)
}

// commandStats is the section Commandstats of INFO, in the form of Redis.
func (n *node) commandStats() []command.InfoField {
	var list []command.InfoField
	n.core.meters.calls.each(n.Registry(), func(name string, t *tally) {
		calls, usec := t.total(), t.sum/1000
		list = append(list, command.InfoField{
			Name:  "cmdstat_" + name,
			Value: fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f", calls, usec, float64(usec)/float64(calls)),
		})
	})
	return list
}

// keyspaceInfo tells the numbered databases that hold keys, of those that the session may read.
func (n *node) keyspaceInfo(s *command.Session) []command.InfoField {
	var list []command.InfoField
	if s.Principal == nil {
		return list
	}
	for _, info := range n.store.Namespaces(s.Principal.Credential) {
		if info.Number >= 0 && info.Keys > 0 && s.Principal.May(auth.Read, info.Name) {
			list = append(list, command.InfoField{
				Name:  fmt.Sprintf("db%d", info.Number),
				Value: fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", info.Keys, info.Expires),
			})
		}
	}
	return list
}
