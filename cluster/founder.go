package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Founder is one node of a founding list as the flags name it.
type Founder struct {
	Name string `json:"name"`
	Addr string `json:"addr"` // host:port where its peers connect
}

const (
	// nameBytesMax bounds the name of a node.
	nameBytesMax = 64
	// addrBytesMax bounds an address: a host name has 253 bytes at most.
	addrBytesMax = 253 + 1 + 5
	// foundersMax bounds the founders of a cluster. More voters make it slower, not safer.
	foundersMax = 9
)

// ParseFounders reads a founding list, each element as in n1=host:8379. It returns the founders by name.
func ParseFounders(list []string) ([]Founder, error) {
	if len(list) == 0 || len(list) > foundersMax {
		return nil, fmt.Errorf("a list of founders has 1 to %d nodes, not %d", foundersMax, len(list))
	}
	var founders []Founder
	for _, text := range list {
		name, addr, ok := strings.Cut(strings.TrimSpace(text), "=")
		if !ok {
			return nil, fmt.Errorf("%q names no founder: write NAME=HOST:PORT, as in n1=10.0.0.1:8379", text)
		}
		if err := cmp.Or(CheckName(name), CheckAddr(addr)); err != nil {
			return nil, err
		}
		for _, f := range founders {
			if f.Name == name {
				return nil, fmt.Errorf("two founders have the name %s", name)
			}
			if f.Addr == addr {
				return nil, fmt.Errorf("the founders %s and %s have one address, %s", f.Name, name, addr)
			}
		}
		founders = append(founders, Founder{name, addr})
	}
	slices.SortFunc(founders, func(a, b Founder) int { return strings.Compare(a.Name, b.Name) })
	return founders, nil
}

// CheckName says what is wrong with the name of a node, nil if nothing is.
func CheckName(name string) error {
	if name == "" || len(name) > nameBytesMax {
		return fmt.Errorf("the name of a node has 1 to %d bytes, not %d", nameBytesMax, len(name))
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return fmt.Errorf("the name %q of a node may have only letters, digits, and -_. in it", name)
		}
	}
	return nil
}

// CheckAddr says what is wrong with an address that others are to connect to, nil if nothing is.
func CheckAddr(addr string) error {
	if len(addr) > addrBytesMax {
		return fmt.Errorf("an address has at most %d bytes", addrBytesMax)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is no address: write HOST:PORT, as in 10.0.0.1:8379", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q: the port is a number from 1 to 65535", addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("address %q names no host that others could connect to", addr)
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == ',' }) {
		return errors.New("an address has characters that no host name has")
	}
	return nil
}

// findFounder returns the position of a name, or -1.
func findFounder(founders []Founder, name string) int {
	return slices.IndexFunc(founders, func(f Founder) bool { return f.Name == name })
}

// describe writes a founding list as the flag has it.
func describe(founders []Founder) string {
	parts := make([]string, len(founders))
	for i, f := range founders {
		parts[i] = f.Name + "=" + f.Addr
	}
	return strings.Join(parts, ",")
}
