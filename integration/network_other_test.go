//go:build !linux

package integration

import (
	"net"
	"testing"
)

// network would be a bridge between network namespaces: only Linux has those.
type network struct{}

func newNetwork(t testing.TB, _ int) *network {
	t.Skip("network namespaces: only Linux has those")
	return nil
}

func (*network) addr(int) string              { return "" }
func (*network) entry(int) []string           { return nil }
func (*network) cut(int, int)                 {}
func (*network) isolate(int, bool, bool)      {}
func (*network) heal()                        {}
func (*network) size() int                    { return 0 }
func (*network) listen(int, int) net.Listener { return nil }
