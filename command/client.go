package command

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/primatomic/primatomic/auth"
)

const noTracking = "keys that clients hold in a cache are not tracked yet"

func clientContainer() *Spec {
	list := clientRow("list", clientList,
		"Describes the connections of the credential, or all for an administrator.",
		Opt(Tok("TYPE", Str("client-type"))), Opt(Tok("ID", Many(Int("client-id")))))
	kill := clientRow("kill", clientKill,
		"Closes connections of the credential, or any for an administrator.", killGrammar())
	reply := clientRow("reply", clientReply, "Turns answers on or off, or skips the next one.",
		OneOf("action", Tok("ON"), Tok("OFF"), Tok("SKIP")))
	consistency := clientRow("consistency", clientConsistency,
		"Chooses how reads of the connection are answered: linearizable, or stale from this node's memory.",
		OneOf("mode", Tok("LINEARIZABLE"), Tok("STALE")))
	consistency.Since, consistency.Flags = "0.2.0", NoMulti|Barrier
	list.Flags, kill.Flags, reply.Flags = Dangerous, Dangerous, NoMulti|Barrier
	return &Spec{
		Name: "client", Family: Connection, Since: "0.1.0",
		Summary: "Commands about client connections.",
		Sub: []*Spec{
			clientRow("id", clientID, "Answers the id of the connection."),
			clientRow("getname", clientGetName, "Answers the name of the connection."),
			clientRow("setname", clientSetName, "Names the connection.", Str("connection-name")),
			clientRow("setinfo", clientSetInfo, "Tells the client library's name or version.",
				OneOf("attr", Tok("LIB-NAME", Str("libname")), Tok("LIB-VER", Str("libver")))),
			clientRow("info", clientInfo, "Describes the connection."),
			list, kill, reply, consistency,
			clientRow("no-evict", clientNoEvict, "Accepted for compatibility.",
				OneOf("enabled", Tok("ON"), Tok("OFF"))),
			clientRow("no-touch", clientNoTouch, "Accepted for compatibility.",
				OneOf("enabled", Tok("ON"), Tok("OFF"))),
			unsupported("unblock", Connection, "no command blocks yet", Many(Str("arg"))),
			unsupported("pause", Connection, "connections cannot be paused yet", Many(Str("arg"))),
			unsupported("unpause", Connection, "connections cannot be paused yet"),
			unsupported("tracking", Connection, noTracking, Many(Str("arg"))),
			unsupported("trackinginfo", Connection, noTracking),
			unsupported("caching", Connection, noTracking, Str("mode")),
			unsupported("getredir", Connection, noTracking),
			helpRow(Connection),
		},
	}
}

type connFunc func(ctx context.Context, s *Session, c *Call, r *Reply)

func clientRow(name string, conn connFunc, summary string, args ...Arg) *Spec {
	return &Spec{
		Name: name, Conn: conn, Family: Connection, Since: "0.1.0", Cost: "O(1)",
		Summary: summary, Args: args,
	}
}

func clientID(_ context.Context, s *Session, _ *Call, r *Reply) { r.Int(int64(s.ID)) }

func clientGetName(_ context.Context, s *Session, _ *Call, r *Reply) {
	if name := s.Shown().Name; name != "" {
		r.BulkString(name)
		return
	}
	r.Null()
}

func clientSetName(_ context.Context, s *Session, c *Call, r *Reply) {
	if err := validClientText("Client names", c.Arg(2)); err != nil {
		r.Error(err)
		return
	}
	name := string(c.Arg(2))
	s.describe(func(shown *Shown) { shown.Name = name })
	r.OK()
}

func clientSetInfo(_ context.Context, s *Session, c *Call, r *Reply) {
	what := strings.ToLower(string(c.Arg(2)))
	if err := validClientText(what, c.Arg(3)); err != nil {
		r.Error(err)
		return
	}
	text := string(c.Arg(3))
	s.describe(func(shown *Shown) {
		if what == "lib-name" {
			shown.LibName = text
		} else {
			shown.LibVer = text
		}
	})
	r.OK()
}

// clientNoEvict and clientNoTouch keep what they are told for CLIENT LIST: no connection is evicted
// here, and reads leave no trace on keys.
func clientNoEvict(_ context.Context, s *Session, c *Call, r *Reply) {
	on := c.Options.Has("ON")
	s.describe(func(shown *Shown) { shown.NoEvict = on })
	r.OK()
}

func clientNoTouch(_ context.Context, s *Session, c *Call, r *Reply) {
	on := c.Options.Has("ON")
	s.describe(func(shown *Shown) { shown.NoTouch = on })
	r.OK()
}

// clientConsistency is CLIENT CONSISTENCY, ours alone.
func clientConsistency(_ context.Context, s *Session, c *Call, r *Reply) {
	s.Stale = c.Options.Has("STALE")
	s.publish()
	r.OK()
}

// clientReply is CLIENT REPLY: only ON is answered.
func clientReply(_ context.Context, s *Session, c *Call, r *Reply) {
	switch {
	case c.Options.Has("ON"):
		s.Mute = MuteOff
		r.OK()
	case c.Options.Has("OFF"):
		s.Mute = MuteOn
	case s.Mute != MuteOn:
		s.Mute = MuteNext
	}
}

func clientInfo(_ context.Context, s *Session, _ *Call, r *Reply) {
	r.Verbatim(string(s.appendLine(nil, s.Host.Now())))
}

// clientList is CLIENT LIST.
func clientList(_ context.Context, s *Session, c *Call, r *Reply) {
	normal := true
	if kind := c.Value("TYPE"); kind != nil {
		var err *Error
		if normal, err = clientType(kind); err != nil {
			r.Error(err)
			return
		}
	}
	var ids map[int64]bool
	if at := c.Options.At("ID"); at > 0 {
		ids = make(map[int64]bool, len(c.Args)-at)
		for _, arg := range c.Args[at:] {
			id, ok := parseInt(arg)
			if !ok {
				r.Error(&Error{Invalid, "Invalid client ID"})
				return
			}
			ids[id] = true
		}
	}
	var lines []byte
	now := s.Host.Now()
	for _, other := range s.visible() {
		if normal && (ids == nil || ids[int64(other.ID)]) {
			lines = other.appendLine(lines, now)
		}
	}
	r.Verbatim(string(lines))
}

// visible returns the connections that the session may know of: those of its credential, or all for
// an administrator.
func (s *Session) visible() []*Session {
	all := s.Host.Node().Clients()
	if s.Principal.May(auth.Admin, "") {
		return all
	}
	own := make([]*Session, 0, len(all))
	for _, other := range all {
		if other.Shown().Credential == s.credential() {
			own = append(own, other)
		}
	}
	return own
}

// appendLine appends the session's line of CLIENT LIST, with the fields of Redis 7.2. Clients refuse
// fields that they do not know, so a named namespace is told as db=-1 user=credential/namespace.
func (s *Session) appendLine(b []byte, now time.Time) []byte {
	shown := s.Shown()
	db, user := shown.Namespace, shown.Credential
	if _, err := strconv.Atoi(db); err != nil {
		db, user = "-1", user+"/"+shown.Namespace
	}
	command := shown.LastCommand
	if command == "" {
		command = "NULL"
	}
	field := func(name, value string) {
		b = append(b, name...)
		b = append(b, value...)
	}
	count := func(name string, n int64) { b = strconv.AppendInt(append(b, name...), n, 10) }
	count("id=", int64(s.ID))
	field(" addr=", s.Peer)
	field(" laddr=", s.Local)
	field(" fd=-1 name=", shown.Name)
	count(" age=", seconds(now.Sub(s.Created)))
	count(" idle=", seconds(now.Sub(shown.LastAt)))
	field(" flags=", shown.flags())
	field(" db=", db)
	count(" sub=", int64(shown.Channels))
	count(" psub=", int64(shown.Patterns))
	count(" ssub=0 multi=", int64(shown.Multi))
	field(" qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0", "")
	field(" events=r cmd=", command)
	field(" user=", user)
	count(" redir=-1 resp=", int64(shown.Proto))
	field(" lib-name=", shown.LibName)
	field(" lib-ver=", shown.LibVer)
	return append(b, '\n')
}

// seconds never is negative: the wall clock may have been set back.
func seconds(d time.Duration) int64 { return max(0, int64(d/time.Second)) }

// flags are the letters of CLIENT LIST; r is what Redis shows of a connection that may read old data.
func (n *Shown) flags() string {
	var flags []byte
	if n.Multi >= 0 {
		flags = append(flags, 'x')
	}
	if n.Channels+n.Patterns > 0 {
		flags = append(flags, 'P')
	}
	if n.NoEvict {
		flags = append(flags, 'e')
	}
	if n.NoTouch {
		flags = append(flags, 'T')
	}
	if n.Stale {
		flags = append(flags, 'r')
	}
	if len(flags) == 0 {
		return "N"
	}
	return string(flags)
}
