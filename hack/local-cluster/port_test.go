package main

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReservedPortRefusesUntilItsServerListens(t *testing.T) {
	port, err := reservePort(net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer port.release()
	address := fmt.Sprintf("127.0.0.1:%d", port.number)

	if connection, err := net.Dial("tcp", address); err == nil {
		connection.Close()
		t.Fatal("somebody listens")
	}
	if listener, err := net.Listen("tcp", address); err == nil {
		listener.Close()
		t.Fatal("a server that does not share ports got it")
	}
	sharing := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		var set error
		err := socket.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errorOf(err, set)
	}}
	// More than once: the port stays reserved between two servers.
	for range 2 {
		listener, err := sharing.Listen(context.Background(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		connection.Close()
		listener.Close()
	}
}
