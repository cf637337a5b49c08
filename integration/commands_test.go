package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// caller is a go-redis client whose answers are held against what is expected.
type caller struct {
	*redis.Client
	t *testing.T
}

// called is a call of go-redis that has been answered.
type called[T any] interface {
	redis.Cmder
	Result() (T, error)
}

// is checks a call's answer.
func is[T any](c *caller, want T, call called[T]) {
	c.t.Helper()
	got, err := call.Result()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		c.t.Errorf("%v: %v (-want +got):\n%s", call.Args(), err, diff)
	}
}

// says checks the answer to a command that go-redis has no method for; nil wants the null.
func (c *caller) says(want any, args ...any) {
	c.t.Helper()
	call := c.Do(c.t.Context(), args...)
	if want == nil {
		c.none(call)
		return
	}
	is(c, want, call)
}

// none checks that a call answers the null.
func (c *caller) none(call redis.Cmder) {
	c.t.Helper()
	if !errors.Is(call.Err(), redis.Nil) {
		c.t.Errorf("%v: %v, want the null", call.Args(), call)
	}
}

// fails checks that a call answers an error that begins with the given text.
func (c *caller) fails(text string, call redis.Cmder) {
	c.t.Helper()
	if err := call.Err(); err == nil || !strings.HasPrefix(err.Error(), text) {
		c.t.Errorf("%v: %v, want the error %q", call.Args(), call, text)
	}
}

func (c *caller) holds(what string, ok bool) {
	c.t.Helper()
	if !ok {
		c.t.Errorf("it does not hold that %s", what)
	}
}

// TestGoRedisCommands calls the commands of strings, keys, expiry and the server under both protocols.
func TestGoRedisCommands(t *testing.T) {
	n := startNode(t)
	for _, protocol := range []int{2, 3} {
		for name, test := range map[string]func(context.Context, *caller){
			"strings": testStrings, "counters": testCounters, "keys": testKeys,
			"expiry": testExpiry, "server": testServer,
		} {
			t.Run(fmt.Sprintf("RESP%d/%s", protocol, name), func(t *testing.T) {
				client := n.redis(t, func(o *redis.Options) { o.Protocol = protocol })
				if err := client.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				test(t.Context(), &caller{client, t})
			})
		}
	}
}

func testStrings(x context.Context, c *caller) {
	is(c, "OK", c.Set(x, "k", "v", 0))
	is(c, "v", c.Get(x, "k"))
	c.none(c.Get(x, "no"))
	is(c, false, c.SetNX(x, "k", "w", 0))
	is(c, true, c.SetXX(x, "k", "w", 0))
	is(c, false, c.SetXX(x, "no", "w", 0))
	c.says("w", "SET", "k", "x", "GET")
	c.says(nil, "SET", "new", "x", "GET")
	c.says("x", "SET", "k", "y", "NX", "GET")
	c.says("OK", "SET", "k", "y", "IFEQ", "x")
	c.says(nil, "SET", "k", "z", "IFEQ", "x")
	c.fails("ERR syntax error", c.Do(x, "SET", "k", "z", "NX", "XX"))
	c.fails("ERR invalid expire time in 'set' command", c.Do(x, "SET", "k", "z", "EX", "0"))
	c.fails("ERR value is not an integer or out of range", c.Do(x, "SET", "k", "z", "EX", "a"))
	is(c, true, c.SetNX(x, "nx", "1", 0))
	c.says(int64(0), "SETNX", "nx", "1")
	c.says("OK", "SETEX", "ex", "3600", "v")
	c.says("OK", "PSETEX", "pex", "3600000", "v")
	c.fails("ERR invalid expire time in 'setex' command", c.Do(x, "SETEX", "ex", "0", "v"))
	c.says("y", "GETSET", "k", "a")
	is(c, "a", c.GetDel(x, "k"))
	c.none(c.GetDel(x, "k"))
	is(c, "1", c.GetEx(x, "nx", time.Hour))
	is(c, time.Hour, c.TTL(x, "nx"))
	c.says("1", "GETEX", "nx", "PERSIST")
	is(c, time.Duration(-1), c.TTL(x, "nx"))
	is(c, "OK", c.MSet(x, "m1", "1", "m2", "2"))
	is(c, []any{"1", nil, "2"}, c.MGet(x, "m1", "no", "m2"))
	is(c, false, c.MSetNX(x, "m3", "3", "m1", "x"))
	is(c, int64(0), c.Exists(x, "m3"))
	is(c, true, c.MSetNX(x, "m3", "3", "m4", "4"))
	c.fails("ERR wrong number of arguments for 'mset' command", c.Do(x, "MSET", "a", "1", "b"))
	is(c, int64(5), c.Append(x, "app", "Hello"))
	is(c, int64(11), c.Append(x, "app", " World"))
	is(c, int64(11), c.StrLen(x, "app"))
	is(c, int64(0), c.StrLen(x, "no"))
	is(c, "World", c.GetRange(x, "app", -5, -1))
	is(c, "", c.GetRange(x, "app", 5, 2))
	c.says("Hello", "SUBSTR", "app", "0", "4")
	is(c, int64(11), c.SetRange(x, "app", 6, "Redis"))
	is(c, int64(3), c.SetRange(x, "pad", 2, "x"))
	is(c, "\x00\x00x", c.Get(x, "pad"))
	c.fails("ERR offset is out of range", c.Do(x, "SETRANGE", "app", "-1", "x"))
	is(c, "OK", c.Set(x, "b\x00\r\n\xff", "\x00\xff\r\n", 0))
	is(c, "\x00\xff\r\n", c.Get(x, "b\x00\r\n\xff"))
	is(c, "OK", c.Set(x, "empty", "", 0))
	is(c, "", c.Get(x, "empty"))
	c.says(int64(1), "CAS", "k", "", "1")
	c.says(int64(1), "CAS", "k", "1", "2")
	c.says(int64(0), "CAS", "k", "1", "3")
	c.says(int64(0), "DELIFEQ", "k", "1")
	c.says(int64(1), "DELIFEQ", "k", "2")
	c.fails("ERR wrong number of arguments for 'get' command", c.Do(x, "GET"))
	c.fails("ERR unknown command 'NOSUCH', with args beginning with: 'a'", c.Do(x, "NOSUCH", "a"))
}

func testCounters(x context.Context, c *caller) {
	is(c, "OK", c.Set(x, "app", "Hello Redis", 0))
	is(c, int64(1), c.Incr(x, "n"))
	is(c, int64(42), c.IncrBy(x, "n", 41))
	is(c, int64(41), c.Decr(x, "n"))
	is(c, int64(-9), c.DecrBy(x, "n", 50))
	c.fails("ERR value is not an integer or out of range", c.Incr(x, "app"))
	c.fails("ERR increment or decrement would overflow", c.DecrBy(x, "n", 1<<63-1))
	is(c, 10.5, c.IncrByFloat(x, "f", 10.5))
	is(c, 5010.5, c.IncrByFloat(x, "f", 5.0e3))
	is(c, "5010.5", c.Get(x, "f"))
}

func testKeys(x context.Context, c *caller) {
	is(c, "OK", c.MSet(x, "a", "1", "b", "2", "c", "3", "aa", "4"))
	is(c, int64(2), c.Exists(x, "a", "a", "no"))
	is(c, "string", c.Type(x, "a"))
	is(c, "none", c.Type(x, "no"))
	is(c, int64(2), c.Touch(x, "a", "b", "no"))
	is(c, []string{"a", "aa"}, c.Keys(x, "a*"))
	is(c, []string{"b", "c"}, c.Keys(x, "[b-c]"))
	is(c, []string{}, c.Keys(x, "z*"))
	c.says([]any{"aa"}, "LISTKEYS", "a", "AFTER", "a", "LIMIT", "5")
	is(c, int64(4), c.DBSize(x))
	c.holds("RANDOMKEY is a key", slices.Contains([]string{"a", "aa", "b", "c"}, c.RandomKey(x).Val()))
	is(c, "OK", c.Rename(x, "a", "d"))
	c.fails("ERR no such key", c.Rename(x, "a", "d"))
	is(c, false, c.RenameNX(x, "d", "b"))
	is(c, true, c.RenameNX(x, "d", "e"))
	is(c, int64(1), c.Copy(x, "e", "f", 0, false))
	is(c, int64(0), c.Copy(x, "e", "b", 0, false))
	is(c, int64(1), c.Copy(x, "e", "e", 9, true))
	is(c, int64(2), c.Del(x, "e", "f", "no"))
	is(c, int64(1), c.Unlink(x, "b", "no"))
	keys, cursor := c.Scan(x, 0, "", 100).Val()
	c.holds("SCAN answers all keys in one page", len(keys) == 2 && cursor == 0)
	keys, _ = c.ScanType(x, 0, "", 100, "list").Val()
	c.holds("SCAN TYPE list answers nothing", len(keys) == 0)
	c.fails("ERR invalid cursor", c.Do(x, "SCAN", "x"))
	is(c, "int", c.ObjectEncoding(x, "c"))
	is(c, "OK", c.FlushDB(x))
	is(c, int64(0), c.DBSize(x))
	c.none(c.RandomKey(x))
	is(c, "OK", c.FlushAllAsync(x))
}

func testExpiry(x context.Context, c *caller) {
	far := time.Date(2100, 1, 2, 3, 4, 5, 678e6, time.UTC)
	is(c, "OK", c.Set(x, "k", "v", time.Hour))
	is(c, time.Hour, c.TTL(x, "k"))
	is(c, time.Duration(-2), c.TTL(x, "no"))
	left := c.PTTL(x, "k").Val()
	c.holds("PTTL is just below an hour", left > 3590*time.Second && left <= time.Hour)
	is(c, "OK", c.Set(x, "k", "w", redis.KeepTTL))
	is(c, time.Hour, c.TTL(x, "k"))
	is(c, "OK", c.Set(x, "k", "w", 0))
	is(c, time.Duration(-1), c.TTL(x, "k"))
	is(c, true, c.Expire(x, "k", time.Minute))
	is(c, false, c.ExpireNX(x, "k", time.Hour))
	is(c, true, c.ExpireGT(x, "k", time.Hour))
	is(c, false, c.ExpireLT(x, "k", 2*time.Hour))
	is(c, true, c.ExpireXX(x, "k", time.Minute))
	c.fails("ERR GT and LT options at the same time are not compatible",
		c.Do(x, "EXPIRE", "k", "1", "GT", "LT"))
	is(c, false, c.Expire(x, "no", time.Minute))
	is(c, true, c.Persist(x, "k"))
	is(c, false, c.Persist(x, "k"))
	is(c, true, c.PExpire(x, "k", time.Hour))
	is(c, true, c.ExpireAt(x, "k", far))
	c.says(far.Unix(), "EXPIRETIME", "k")
	is(c, true, c.PExpireAt(x, "k", far))
	c.says(far.UnixMilli(), "PEXPIRETIME", "k")
	c.says(int64(-2), "EXPIRETIME", "no")
	c.says("OK", "SET", "at", "v", "EXAT", far.Unix())
	c.says(far.Unix(), "EXPIRETIME", "at")
	c.says("OK", "SET", "at", "v", "PXAT", far.UnixMilli())
	c.says(far.UnixMilli(), "PEXPIRETIME", "at")
	c.says(int64(1), "CAS", "at", "v", "w")
	c.says(far.UnixMilli(), "PEXPIRETIME", "at")
	is(c, int64(2), c.Append(x, "at", "x"))
	c.says(far.UnixMilli(), "PEXPIRETIME", "at")
	is(c, "OK", c.Rename(x, "at", "then"))
	c.says(far.UnixMilli(), "PEXPIRETIME", "then")
	is(c, true, c.Expire(x, "k", -time.Second))
	is(c, int64(0), c.Exists(x, "k"))
	c.says("OK", "SET", "past", "v", "PXAT", "1")
	is(c, int64(0), c.Exists(x, "past"))
	c.fails("ERR invalid expire time in 'expire' command", c.Do(x, "EXPIRE", "then", "9223372036854775807"))
}

func testServer(x context.Context, c *caller) {
	is(c, "PONG", c.Ping(x))
	is(c, "hi", c.Echo(x, "hi"))
	conn := c.Conn()
	defer conn.Close()
	protocol := int64(c.Options().Protocol)
	c.holds("HELLO answers the protocol", conn.Hello(x, int(protocol), "", "", "").Val()["proto"] == protocol)
	c.fails("NOPROTO unsupported protocol version", c.Do(x, "HELLO", "4"))
	c.holds("TIME is now", time.Since(c.Time(x).Val()).Abs() < time.Minute)
	c.holds("CLIENT ID is positive", c.ClientID(x).Val() > 0)
	c.says("OK", "CLIENT", "SETNAME", "me")
	is(c, "me", c.ClientGetName(x))
	c.fails("ERR Client names cannot contain spaces", c.Do(x, "CLIENT", "SETNAME", "a b"))
	info := c.ClientInfo(x).Val()
	c.holds("CLIENT INFO knows who it is", info.Name == "me" && strings.HasPrefix(info.LibName, "go-redis("))
	list := c.ClientList(x).Val()
	c.holds("CLIENT LIST shows this call", strings.Contains(list, " name=me ") &&
		strings.Contains(list, " cmd=client|list "))
	c.fails("ERR No such client", c.Do(x, "CLIENT", "KILL", "1.2.3.4:5"))
	is(c, int64(0), c.ClientKillByFilter(x, "ID", "999999"))
	c.says("OK", "CLIENT", "NO-EVICT", "ON")
	count, _ := c.Do(x, "COMMAND", "COUNT").Int()
	c.holds("COMMAND COUNT is large", count > 50)
	get := c.Command(x).Val()["get"]
	c.holds("COMMAND describes GET", get != nil && get.Arity == 2 && get.ReadOnly &&
		get.FirstKeyPos == 1 && get.LastKeyPos == 1 && get.StepCount == 1)
	c.says([]any{"a", "b"}, "COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2")
	for _, field := range []string{
		"redis_version:7.2", "maxmemory_policy:noeviction", "loading:0", "role:master",
	} {
		c.holds("INFO has "+field, strings.Contains(c.Info(x).Val(), field))
	}
	is(c, map[string]string{"databases": "16"}, c.ConfigGet(x, "databases"))
	c.holds("WAIT is answered", c.Wait(x, 0, 0).Err() == nil)
	c.says([]any{}, "MODULE", "LIST")
	c.fails("ERR CLUSTER MEET is not supported", c.Do(x, "CLUSTER", "MEET", "127.0.0.1", "1"))
	c.fails("ERR DB index is out of range", c.Do(x, "SELECT", "16"))
	c.says("RESET", "RESET")
}
