package main

import (
	"encoding/binary"
	"net"
)

const (
	// A cluster with a node has one of these networks, 10.200.0.0/16 and those after it, to itself.
	firstNetwork = 200
	networkCount = 16
)

// network says where a cluster's addresses are.
type network struct {
	// Where the API server listens, and everything finds it.
	server net.IP
	// The services' addresses. The first is the API server's.
	services *net.IPNet

	// The rest is only where there is a node.

	// All of the cluster's addresses.
	whole *net.IPNet
	pods  *net.IPNet
	// What this machine and the node share; this machine has the API server's address there.
	link *net.IPNet
	node net.IP
	dns  net.IP
}

// nodelessNetwork is that of a control plane alone. Nothing serves the services' addresses.
func nodelessNetwork() *network {
	return &network{server: net.IPv4(127, 0, 0, 1).To4(), services: subnet(net.IPv4(10, 96, 0, 0), 16)}
}

// nodeNetwork is the one with that number, from 0 to networkCount-1.
func nodeNetwork(number int) *network {
	second := byte(firstNetwork + number)
	return &network{
		whole:    subnet(net.IPv4(10, second, 0, 0), 16),
		pods:     subnet(net.IPv4(10, second, 0, 0), 20),
		services: subnet(net.IPv4(10, second, 128, 0), 20),
		link:     subnet(net.IPv4(10, second, 255, 0), 30),
		server:   net.IPv4(10, second, 255, 1).To4(),
		node:     net.IPv4(10, second, 255, 2).To4(),
		dns:      net.IPv4(10, second, 128, 10).To4(),
	}
}

func subnet(address net.IP, bits int) *net.IPNet {
	return &net.IPNet{IP: address.To4(), Mask: net.CIDRMask(bits, 32)}
}

// apiService gives the address that pods find the API server at.
func (n *network) apiService() net.IP {
	address := make(net.IP, net.IPv4len)
	binary.BigEndian.PutUint32(address, binary.BigEndian.Uint32(n.services.IP)+1)
	return address
}

// on gives an address with its network's mask, as interfaces have it.
func on(address net.IP, of *net.IPNet) *net.IPNet {
	return &net.IPNet{IP: address, Mask: of.Mask}
}

func overlap(one, other *net.IPNet) bool {
	return one.Contains(other.IP) || other.Contains(one.IP)
}
