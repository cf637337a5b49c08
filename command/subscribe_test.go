package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/auth"
)

// TestMessage: each way in which a connection listens brings a message of its own, in its protocol.
func TestMessage(t *testing.T) {
	host := newFakeHost(auth.Off())
	for proto, want := range map[string]string{
		"2": "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nm\r\n" +
			"*4\r\n$8\r\npmessage\r\n$3\r\n+s*\r\n$14\r\n+switch-master\r\n$1\r\nm\r\n",
		"3": ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nm\r\n" +
			">4\r\n$8\r\npmessage\r\n$3\r\n+s*\r\n$14\r\n+switch-master\r\n$1\r\nm\r\n",
	} {
		s := host.connect()
		host.send(s, "HELLO", proto)
		if got := s.Message(SwitchMaster, "m"); got != nil {
			t.Errorf("who does not listen gets %q", got)
		}
		host.send(s, "SUBSCRIBE", "+slave", SwitchMaster)
		host.send(s, "PSUBSCRIBE", "+s*", "-*")
		if got := string(s.Message(SwitchMaster, "m")); got != want {
			t.Errorf("RESP%s: the message is %q", proto, got)
		}
		host.send(s, "RESET")
		if got := s.Message(SwitchMaster, "m"); got != nil || s.Subscribed() {
			t.Errorf("after RESET it gets %q", got)
		}
	}
}

// TestSubscriptionsAreBounded in number and length, and refused as a whole.
func TestSubscriptionsAreBounded(t *testing.T) {
	host := newFakeHost(auth.Off())
	s := host.connect()
	line := []string{"SUBSCRIBE"}
	for i := range channelsMax {
		line = append(line, fmt.Sprintf("+%d", i))
	}
	if got := host.send(s, append(line, "+more")...); !strings.HasPrefix(got, "-ERR a connection listens") {
		t.Errorf("too many: %q", got)
	}
	long := "+" + strings.Repeat("x", channelBytesMax)
	if got := host.send(s, "SUBSCRIBE", "+a", long); !strings.HasPrefix(got, "-ERR") {
		t.Errorf("too long: %q", got)
	}
	if s.Subscribed() {
		t.Error("a part of what was refused holds")
	}
	if got := host.send(s, line...); !strings.HasSuffix(got, fmt.Sprintf(":%d\r\n", channelsMax)) {
		t.Errorf("as many as there may be: %q", got)
	}
}

// TestPatternsOfSentinel: of patterns those for channels of a Sentinel are taken, in the ways that clients write them.
func TestPatternsOfSentinel(t *testing.T) {
	host := newFakeHost(auth.Off())
	for pattern, taken := range map[string]bool{
		"*": true, "+*": true, "-sdown": true, "[-+]sdown": true, "[+]*": true, "switch-master": true,
		"": false, "s*": false, "[+a]sdown": false, "[]sdown": false, "[+sdown": false,
		"[^+]sdown": false, "?slave": false,
	} {
		s := host.connect()
		if got := host.send(s, "PSUBSCRIBE", pattern); strings.HasPrefix(got, "-") == taken || s.Subscribed() != taken {
			t.Errorf("PSUBSCRIBE %q is answered by %q", pattern, got)
		}
	}
	s := host.connect()
	host.send(s, "PSUBSCRIBE", "[-+]sdown")
	if s.Message("-sdown", "m") == nil || s.Message("+sdown", "m") == nil || s.Message(SwitchMaster, "m") != nil {
		t.Error("[-+]sdown does not match what it is for")
	}
}
