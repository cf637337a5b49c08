package command

import (
	"bytes"
	"context"
)

func connectionCommands() []*Spec {
	return []*Spec{
		{
			Name: "ping", Conn: ping, Family: Connection, Flags: Fast | WhileSubscribed, Since: "0.1.0", Cost: "O(1)",
			Args:    []Arg{Opt(Str("message"))},
			Summary: "Answers PONG, or the message.",
		},
		{
			Name: "echo", Conn: echo, Family: Connection, Flags: Fast, Since: "0.1.0", Cost: "O(1)",
			Args:    []Arg{Str("message")},
			Summary: "Answers the message.",
		},
		{
			Name: "quit", Conn: quit, Family: Connection, Since: "0.1.0", Cost: "O(1)",
			Flags:   Fast | BeforeAuth | MultiNow | Barrier,
			Args:    []Arg{Opt(Many(Str("ignored")))},
			Summary: "Closes the connection after what was sent before is answered.",
		},
		{
			Name: "reset", Conn: reset, Family: Connection, Since: "0.1.0", Cost: "O(1)",
			Flags:   Fast | BeforeAuth | MultiNow | Barrier,
			Summary: "Puts the connection into the state of a new one.",
		},
		{
			Name: "hello", Conn: handshake, Family: Connection, Since: "0.1.0", Cost: "O(1)",
			Flags: Fast | BeforeAuth | NoMulti | Barrier,
			Stray: "Syntax error in HELLO option '%s'",
			Args: []Arg{Opt(Block("arguments", Int("protover"),
				Opt(Tok("AUTH", Str("username"), Str("password"))),
				Opt(Tok("SETNAME", Str("clientname")))))},
			Summary: "Chooses the protocol, may authenticate and name the connection, describes the server.",
		},
		{
			Name: "auth", Conn: authenticate, Family: Connection, Since: "0.1.0", Cost: "O(1)",
			Flags: Fast | BeforeAuth | NoMulti | Barrier,
			Args:  []Arg{Opt(Str("username")), Str("password")},
			Stray: "syntax error",
			Summary: "Authenticates the connection: the password is a token, " +
				"the user name its credential or credential/namespace.",
		},
		{
			Name: "select", Conn: selectNamespace, Family: Connection, Since: "0.1.0", Cost: "O(1)",
			Flags:   Fast | Barrier,
			Args:    []Arg{Str("index")},
			Summary: "Changes the namespace of the connection: a number from 0 to 15 or a name.",
		},
		clientContainer(),
	}
}

func ping(_ context.Context, s *Session, c *Call, r *Reply) {
	if s.Proto != 3 && s.Subscribed() {
		r.Array(2)
		r.BulkString("pong")
		r.Bulk(bytes.Join(c.Args[1:], nil)) // at most one
		return
	}
	if len(c.Args) == 2 {
		r.Bulk(c.Arg(1))
		return
	}
	r.Status("PONG")
}

func echo(_ context.Context, _ *Session, c *Call, r *Reply) { r.Bulk(c.Arg(1)) }

func quit(_ context.Context, s *Session, _ *Call, r *Reply) {
	s.Closing = true
	r.OK()
}

func reset(_ context.Context, s *Session, _ *Call, r *Reply) {
	s.begin()
	r.SetProto(s.Proto)
	r.Status("RESET")
}

// authenticate is AUTH. Without authentication any token is accepted, so that a client which is
// configured with a password runs unchanged.
func authenticate(ctx context.Context, s *Session, c *Call, r *Reply) {
	var user string
	if len(c.Args) == 3 {
		user = string(c.Arg(1))
	}
	if err := s.login(ctx, user, string(c.Arg(len(c.Args)-1))); err != nil {
		r.Error(err)
		return
	}
	r.OK()
}

func selectNamespace(ctx context.Context, s *Session, c *Call, r *Reply) {
	selected, err := s.find(ctx, s.Principal, string(c.Arg(1)))
	if err != nil {
		r.Error(err)
		return
	}
	s.Choose(selected)
	r.OK()
}

// protocol reads the version that HELLO asks for; current if it names none.
func protocol(c *Call, current int) (int, *Error) {
	if len(c.Args) == 1 {
		return current, nil
	}
	proto, ok := parseInt(c.Arg(1))
	switch {
	case !ok:
		return 0, &Error{Invalid, "Protocol version is not an integer or out of range"}
	case proto != 2 && proto != 3:
		return 0, &Error{NoProto, "unsupported protocol version"}
	}
	return int(proto), nil
}

var errHelloNoAuth = &Error{NoAuth, "HELLO must be called with the client already authenticated, " +
	"otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client " +
	"and select the RESP protocol version at the same time"}

// handshake is HELLO. What it asks for happens whole or not at all.
func handshake(ctx context.Context, s *Session, c *Call, r *Reply) {
	proto, err := protocol(c, s.Proto)
	name := c.Value("SETNAME")
	if err == nil {
		err = validClientText("Client names", name)
	}
	if at := c.Options.At("AUTH"); err == nil && at > 0 {
		err = s.login(ctx, string(c.Arg(at)), string(c.Arg(at+1)))
	}
	if err == nil {
		if err = s.verified(); err == ErrNoAuth {
			err = errHelloNoAuth
		}
	}
	if err != nil {
		r.Error(err)
		return
	}
	if c.Options.Has("SETNAME") {
		s.describe(func(shown *Shown) { shown.Name = string(name) })
	}
	s.Proto = proto
	s.publish()
	s.greet(r)
}

// greet appends the answer to HELLO, already in the protocol that it chose.
func (s *Session) greet(r *Reply) {
	role := "replica"
	if t := s.topology(); t.Leads() {
		role = "master"
	}
	r.SetProto(s.Proto)
	r.Map(7)
	r.BulkString("server")
	r.BulkString("redis")
	r.BulkString("version")
	r.BulkString(RedisVersion)
	r.BulkString("proto")
	r.Int(int64(s.Proto))
	r.BulkString("id")
	r.Int(int64(s.ID))
	r.BulkString("mode")
	r.BulkString("standalone")
	r.BulkString("role")
	r.BulkString(role)
	r.BulkString("modules")
	r.Array(0)
}

// describedBytesMax bounds each text with which a client describes itself.
const describedBytesMax = 1024

// validClientText refuses what would break a line of CLIENT LIST.
func validClientText(what string, text []byte) *Error {
	if len(text) > describedBytesMax {
		return Errorf(TooLarge, "%s cannot be longer than %d bytes.", what, describedBytesMax)
	}
	for _, b := range text {
		if b < '!' || b > '~' {
			return Errorf(Invalid, "%s cannot contain spaces, newlines or special characters.", what)
		}
	}
	return nil
}
