package transport

import (
	"net"

	"golang.org/x/sys/unix"
)

// unsentBytesMax is what may wait in the send buffer without having been sent. It bounds what an
// express packet waits for on a slow network, and unlike a small send buffer it does not bound what is
// on its way.
const unsentBytesMax = 128 << 10

// tune sets what a connection needs beyond what Go sets. What is not supported is done without.
func tune(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytesMax)
		})
	}
}
