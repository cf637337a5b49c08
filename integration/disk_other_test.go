//go:build !linux

package integration

import "testing"

// brittleDisk would be a disk that can be made to fail.
type brittleDisk struct{}

func (*brittleDisk) fail() {}
func (*brittleDisk) mend() {}

// shrink would give a node a small disk: that takes Linux.
func (n *node) shrink() { n.t.Skip("a small disk: that takes Linux") }

func ballast(t testing.TB, _ string, _ int64) (remove func()) {
	t.Skip("a small disk: that takes Linux")
	return nil
}
