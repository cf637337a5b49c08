package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// Ports are taken below those that the system gives to connections: a server that comes back to its port finds
// it free.
const portFirst, portLast = 20_000, 32_000

// freePort returns a port on which nothing listens.
func freePort() (int, error) {
	for range 100 {
		port := portFirst + rand.IntN(portLast-portFirst)
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port on " + loopback)
}

// freeAddr is freePort, as an address.
func freeAddr() (string, error) {
	port, err := freePort()
	return net.JoinHostPort(loopback, strconv.Itoa(port)), err
}
