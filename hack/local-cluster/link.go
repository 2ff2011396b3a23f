package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// This machine's ends of the links to clusters' nodes are named so, with the network's number.
	linkPrefix = "local-cluster"
	// The node's end.
	nodeLink = "eth0"
	// Says which link is a cluster's, in its directory.
	linkFile = "link"
)

// link connects this machine with a node: a cable between two network namespaces.
//
// Only one interface can have a name, so making one takes the network of that number. The kernel removes both ends, and
// with them the addresses and routes, when one namespace goes. That can take it minutes where connections were cut off, so
// whoever cleans up after a cluster does it first, by a file in the cluster's directory that says which one it was.
type link struct {
	network *network
	number  int
	name    string
}

// connect takes the first free network, and puts the other end into the namespace of that process.
func connect(process int) (*link, error) {
	for number := range networkCount {
		network := nodeNetwork(number)
		used, err := isRouted(network.whole)
		if err != nil {
			return nil, err
		}
		if used {
			continue
		}
		l := &link{network: network, number: number, name: fmt.Sprintf("%s%d", linkPrefix, number)}
		err = netlink.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: l.name},
			PeerName:      nodeLink,
			PeerNamespace: netlink.NsPid(process),
		})
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("make the interface %s: %w", l.name, err)
		}
		if err := l.configure(); err != nil {
			return nil, errors.Join(err, l.remove())
		}
		return l, nil
	}
	return nil, fmt.Errorf("every network from %s to %s is in use on this machine",
		nodeNetwork(0).whole, nodeNetwork(networkCount-1).whole)
}

// isRouted says whether this machine already sends some of these addresses somewhere of its own.
func isRouted(addresses *net.IPNet) (bool, error) {
	// Of all tables: VPNs have theirs.
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return false, fmt.Errorf("list the routes: %w", err)
	}
	return slices.ContainsFunc(routes, func(route netlink.Route) bool {
		if route.Dst == nil {
			return false
		}
		bits, _ := route.Dst.Mask.Size()
		// Routes to half of all addresses are a VPN's way to be the default.
		return bits > 1 && overlap(route.Dst, addresses)
	}), nil
}

func (l *link) configure() error {
	return errorOf(
		configureInterface(l.name, on(l.network.server, l.network.link)),
		route(l.name, l.network.whole, l.network.node))
}

// enter sets the node's end up, in the node.
func (l *link) enter() error {
	return errorOf(
		configureInterface("lo", nil),
		configureInterface(nodeLink, on(l.network.node, l.network.link)),
		// The node's own requests to services leave here before kube-proxy's rules turn them round. There is no route to
		// anywhere else: what looks for an outside fails at once.
		route(nodeLink, l.network.services, l.network.server),
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
}

// note writes the interface's name and its hardware address, which is random: the name is another's one day.
func (l *link) note(directory string) error {
	found, err := netlink.LinkByName(l.name)
	if err != nil {
		return err
	}
	text := l.name + " " + found.Attrs().HardwareAddr.String()
	return os.WriteFile(filepath.Join(directory, linkFile), []byte(text), 0o600)
}

// removeNotedLink removes the link of a cluster that is dead, where the kernel has not done so.
func removeNotedLink(directory string) error {
	content, err := os.ReadFile(filepath.Join(directory, linkFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	name, address, _ := strings.Cut(string(content), " ")
	found, err := netlink.LinkByName(name)
	if err == nil && found.Attrs().HardwareAddr.String() == address {
		err = netlink.LinkDel(found)
	}
	return unlessAbsent(err)
}

func (l *link) remove() error {
	found, err := netlink.LinkByName(l.name)
	if err == nil {
		err = netlink.LinkDel(found)
	}
	return unlessAbsent(err)
}

func unlessAbsent(err error) error {
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func configureInterface(name string, address *net.IPNet) error {
	found, err := netlink.LinkByName(name)
	if err == nil && address != nil {
		err = netlink.AddrAdd(found, &netlink.Addr{IPNet: address})
	}
	if err == nil {
		err = netlink.LinkSetUp(found)
	}
	if err != nil {
		return fmt.Errorf("set up the interface %s: %w", name, err)
	}
	return nil
}

func route(through string, to *net.IPNet, by net.IP) error {
	found, err := netlink.LinkByName(through)
	if err == nil {
		err = netlink.RouteAdd(&netlink.Route{LinkIndex: found.Attrs().Index, Dst: to, Gw: by})
	}
	if err != nil {
		return fmt.Errorf("route %s through %s: %w", to, through, err)
	}
	return nil
}
