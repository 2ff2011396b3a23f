package main

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// reservedPort is a free port of an address of this machine that stays ours, also while nobody listens on it.
//
// Its socket is bound and never listens, so a connection is refused until a server that also sets SO_REUSEPORT (and runs
// as the same user) listens there. The kernel gives a port held so to nobody else, which closes the gap between finding a
// free port and using it, and the one between an API server's end and its next start.
type reservedPort struct {
	fd     int
	number int
}

func reservePort(address net.IP) (reservedPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return reservedPort{}, fmt.Errorf("make a socket: %w", err)
	}
	number, err := bindFree(fd, address)
	if err != nil {
		_ = unix.Close(fd)
		return reservedPort{}, fmt.Errorf("reserve a port: %w", err)
	}
	return reservedPort{fd: fd, number: number}, nil
}

func bindFree(fd int, address net.IP) (int, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte(address.To4())}); err != nil {
		return 0, err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	ipv4, ok := bound.(*unix.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("bound to %T, not to IPv4", bound)
	}
	return ipv4.Port, nil
}

func (p reservedPort) release() {
	_ = unix.Close(p.fd)
}
