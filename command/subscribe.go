package command

import (
	"context"
	"slices"
	"strings"
)

// There is no Pub/Sub yet but for what a Redis Sentinel publishes: clients that look for the leader subscribe to its
// channels, and would try again for ever if they were refused.

// SwitchMaster is the channel in which nodes tell that another node leads. Its messages are the name
// SentinelMaster, host and port of the old leader, and those of the new one.
const SwitchMaster = "+switch-master"

// FoundReplica is the channel in which they then tell who follows the new leader, with a message for each in Redis'
// form: "slave", name, host and port, "@", and SentinelMaster with the leader's. node-redis heeds these alone.
const FoundReplica = "+slave"

// Bounds of what a connection subscribes to.
const (
	channelsMax     = 64
	channelBytesMax = 64
)

func subscribeCommands() []*Spec {
	row := func(name string, conn connFunc, summary string, arg Arg) *Spec {
		return &Spec{
			Name: name, Conn: conn, Family: PubSub, Since: "0.2.0", Cost: "O(N) in channels",
			Flags: NoMulti | Barrier | WhileSubscribed, Summary: summary, Args: []Arg{arg},
		}
	}
	channels, patterns := Many(Str("channel")), Many(Str("pattern"))
	return []*Spec{
		row("subscribe", subscribe, "Listens to channels of a Redis Sentinel: of those, "+SwitchMaster+
			" tells of a new leader.", channels),
		row("unsubscribe", unsubscribe, "Listens to channels no more.", Opt(channels)),
		row("psubscribe", psubscribe, "Listens to those channels of a Redis Sentinel that match.", patterns),
		row("punsubscribe", punsubscribe, "Listens to patterns no more.", Opt(patterns)),
	}
}

// subscriptions are what a connection listens to, in order of subscription.
type subscriptions struct{ channels, patterns []string }

func (n *subscriptions) count() int { return len(n.channels) + len(n.patterns) }

// Subscribed reports whether the connection listens to channels. Any goroutine may call it.
func (s *Session) Subscribed() bool { return s.subscribed.Load() }

// Message returns how a message in a channel is sent to the session's client: once for each way in which it
// listens, nothing if it does not. Any goroutine may call it.
func (s *Session) Message(channel, text string) []byte {
	s.mu.Lock()
	listens, proto := s.listens, s.shown.Proto
	s.mu.Unlock()
	if listens.count() == 0 {
		return nil
	}
	r := NewReply(proto, nil)
	if slices.Contains(listens.channels, channel) {
		r.push("message", channel, text)
	}
	for _, pattern := range listens.patterns {
		if newGlob([]byte(pattern)).match([]byte(channel)) {
			r.push("pmessage", pattern, channel, text)
		}
	}
	return r.Bytes()
}

func (r *Reply) push(texts ...string) {
	r.Push(len(texts))
	for _, text := range texts {
		r.BulkString(text)
	}
}

var errNoPubSub = &Error{Unsupported, "Pub/Sub is not there yet: there are only the channels of a Redis Sentinel, " +
	"such as " + SwitchMaster}

// ofSentinel reports whether a channel is one that a Sentinel may publish in.
func ofSentinel(name string) bool {
	return strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-")
}

// forSentinel reports whether a pattern is for channels of a Sentinel. node-redis listens to switch-master, without
// the +, and to [-+]sdown.
func forSentinel(pattern string) bool {
	if rest, ok := strings.CutPrefix(pattern, "["); ok {
		class, _, closed := strings.Cut(rest, "]")
		return closed && class != "" && strings.Trim(class, "+-") == ""
	}
	return pattern == "*" || ofSentinel(pattern) || "+"+pattern == SwitchMaster
}

func subscribe(_ context.Context, s *Session, c *Call, r *Reply) {
	s.listen(c, r, "subscribe", ofSentinel, func(n *subscriptions) *[]string { return &n.channels })
}

func psubscribe(_ context.Context, s *Session, c *Call, r *Reply) {
	s.listen(c, r, "psubscribe", forSentinel, func(n *subscriptions) *[]string { return &n.patterns })
}

// listen adds to one of the session's lists, all names or none.
func (s *Session) listen(
	c *Call, r *Reply, kind string, wanted func(string) bool, of func(*subscriptions) *[]string,
) {
	for _, name := range c.Args[1:] {
		if len(name) > channelBytesMax || !wanted(string(name)) {
			r.Error(errNoPubSub)
			return
		}
	}
	listens := s.listens // written by this goroutine only
	list := of(&listens)
	*list = slices.Clone(*list)
	var counts []int
	for _, arg := range c.Args[1:] {
		if name := string(arg); !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
		counts = append(counts, listens.count())
	}
	if listens.count() > channelsMax {
		r.Error(Errorf(TooLarge, "a connection listens to at most %d channels", channelsMax))
		return
	}
	s.setListens(listens)
	for i, name := range c.Args[1:] {
		r.subscription(kind, name, counts[i])
	}
}

func unsubscribe(_ context.Context, s *Session, c *Call, r *Reply) {
	s.unlisten(c, r, "unsubscribe", func(n *subscriptions) *[]string { return &n.channels })
}

func punsubscribe(_ context.Context, s *Session, c *Call, r *Reply) {
	s.unlisten(c, r, "punsubscribe", func(n *subscriptions) *[]string { return &n.patterns })
}

// unlisten removes names from one of the session's lists, all if none is given.
func (s *Session) unlisten(c *Call, r *Reply, kind string, of func(*subscriptions) *[]string) {
	listens := s.listens
	list := of(&listens)
	names := c.Args[1:]
	if len(names) == 0 {
		for _, name := range *list {
			names = append(names, []byte(name))
		}
	}
	*list = slices.Clone(*list)
	for _, name := range names {
		*list = slices.DeleteFunc(*list, func(have string) bool { return have == string(name) })
		r.subscription(kind, name, listens.count())
	}
	if len(names) == 0 {
		r.subscription(kind, nil, listens.count())
	}
	s.setListens(listens)
}

func (s *Session) setListens(listens subscriptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listens = listens
	s.subscribed.Store(listens.count() > 0)
}

// subscription appends the answer for one channel; nil stands for none.
func (r *Reply) subscription(kind string, channel []byte, count int) {
	r.Push(3)
	r.BulkString(kind)
	if channel == nil {
		r.Null()
	} else {
		r.Bulk(channel)
	}
	r.Int(int64(count))
}

// refuseSubscribed refuses what a RESP2 client may not send while it listens: it could not tell the answer
// from a message.
func (s *Session) refuseSubscribed(spec *Spec) *Error {
	if !s.Subscribed() || s.Proto == 3 || spec.Flags.Has(WhileSubscribed) {
		return nil
	}
	return Errorf(Invalid, "Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "+
		"allowed in this context", spec.FullName())
}
