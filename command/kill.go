package command

import (
	"context"
	"math"
	"time"
)

func killGrammar() Arg {
	return Many(OneOf("filter",
		Str("ip:port"),
		Tok("ID", Int("client-id")),
		Tok("TYPE", Str("client-type")),
		Tok("USER", Str("username")),
		Tok("ADDR", Str("ip:port")),
		Tok("LADDR", Str("ip:port")),
		Tok("SKIPME", Str("yes/no")),
		Tok("MAXAGE", Int("maxage")),
	))
}

// killing is what CLIENT KILL asks for. Empty fields do not restrict it.
type killing struct {
	id               uint64
	user, peer, here string
	none             bool // of a type that no connection has
	skipMe           bool
	age              time.Duration
}

// parseKilling reads the pairs of the newer form.
func parseKilling(args [][]byte) (killing, *Error) {
	k := killing{skipMe: true}
	for ; len(args) > 0; args = args[2:] {
		if len(args) == 1 {
			return k, ErrSyntax
		}
		value := string(args[1])
		switch filter := args[0]; {
		case foldEqual(filter, "ID"):
			id, ok := parseInt(args[1])
			if !ok || id < 1 {
				return k, &Error{Invalid, "client-id should be greater than 0"}
			}
			k.id = uint64(id)
		case foldEqual(filter, "TYPE"):
			normal, err := clientType(args[1])
			if err != nil {
				return k, err
			}
			k.none = !normal
		case foldEqual(filter, "USER"):
			k.user = value
		case foldEqual(filter, "ADDR"):
			k.peer = value
		case foldEqual(filter, "LADDR"):
			k.here = value
		case foldEqual(filter, "SKIPME") && foldEqual(args[1], "yes"):
			k.skipMe = true
		case foldEqual(filter, "SKIPME") && foldEqual(args[1], "no"):
			k.skipMe = false
		case foldEqual(filter, "MAXAGE"):
			age, ok := parseInt(args[1])
			if !ok || age < 1 || age > math.MaxInt32 {
				return k, &Error{Invalid, "maxage is not an integer or out of range"}
			}
			k.age = time.Duration(age) * time.Second
		default:
			return k, ErrSyntax
		}
	}
	return k, nil
}

// clientType reports whether connections here are of a type: all of them are normal.
func clientType(name []byte) (normal bool, err *Error) {
	for _, word := range []string{"normal", "master", "replica", "slave", "pubsub"} {
		if foldEqual(name, word) {
			return word == "normal", nil
		}
	}
	return false, Errorf(Invalid, "Unknown client type '%s'", clip(name, quoteMax))
}

func (k *killing) covers(s *Session, now time.Time) bool {
	return !k.none &&
		(k.id == 0 || k.id == s.ID) &&
		(k.user == "" || k.user == s.Shown().Credential) &&
		(k.peer == "" || k.peer == s.Peer) &&
		(k.here == "" || k.here == s.Local) &&
		(k.age == 0 || now.Sub(s.Created) >= k.age)
}

// clientKill is CLIENT KILL. With one address it must hit and answers OK, with filters it answers how
// many connections it closed.
func clientKill(_ context.Context, s *Session, c *Call, r *Reply) {
	if len(c.Args) == 3 {
		if s.kill(killing{peer: string(c.Arg(2))}) == 0 {
			r.Error(&Error{Invalid, "No such client"})
			return
		}
		r.OK()
		return
	}
	k, err := parseKilling(c.Args[2:])
	if err != nil {
		r.Error(err)
		return
	}
	r.Int(s.kill(k))
}

// kill closes the connections that k covers and the session may know of. Its own connection closes
// after the answer.
func (s *Session) kill(k killing) (closed int64) {
	now := s.Host.Now()
	for _, other := range s.visible() {
		switch {
		case !k.covers(other, now), other == s && k.skipMe:
		case other == s:
			s.Closing = true
			closed++
		case s.Host.Node().Kill(other.ID):
			closed++
		}
	}
	return closed
}
