package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The user as whom the API server passes requests on to API servers in pods.
const frontProxyUser = "front-proxy-client"

// pairFiles are where a certificate and its key are.
type pairFiles struct {
	certificate string
	key         string
}

// credentials are the files that the components read, and the pairs that go into kubeconfigs.
type credentials struct {
	authority            []byte
	admin                keyPair
	controllers          keyPair
	server               pairFiles
	authorityPath        string
	authorityKey         string
	serviceAccountKey    string
	serviceAccountPublic string
	// Only where there is a node.
	node *nodeCredentials
}

// nodeCredentials are what comes with a node: its components', and what the API server shows to it and to pods.
type nodeCredentials struct {
	authorityPath      string
	frontAuthorityPath string
	frontProxy         pairFiles
	kubeletClient      pairFiles
	kubeletServer      pairFiles
	kubelet            keyPair
	proxy              keyPair
	scheduler          keyPair
}

// issuer makes one cluster's certificates and writes files beside each other. It does nothing more after an error.
type issuer struct {
	directory string
	now       time.Time
	err       error
}

func (i *issuer) write(name string, content []byte) string {
	path := filepath.Join(i.directory, name)
	if i.err == nil {
		i.err = os.WriteFile(path, content, 0o600)
	}
	return path
}

func (i *issuer) authority() *authority {
	if i.err != nil {
		return nil
	}
	made, err := newAuthority(i.now)
	i.err = err
	return made
}

func (i *issuer) client(by *authority, user string, groups ...string) (pair keyPair) {
	if i.err == nil {
		pair, i.err = by.client(i.now, user, groups...)
	}
	return pair
}

func (i *issuer) server(by *authority, names []string, addresses ...net.IP) (pair keyPair) {
	if i.err == nil {
		pair, i.err = by.server(i.now, names, addresses)
	}
	return pair
}

func (i *issuer) files(name string, pair keyPair) pairFiles {
	return pairFiles{
		certificate: i.write(name+".crt", pair.certificate),
		key:         i.write(name+".key", pair.key),
	}
}

// writeCredentials makes everything that one cluster's components prove themselves with.
func writeCredentials(directory string, now time.Time, n *network, withNode bool) (*credentials, error) {
	if err := os.Mkdir(directory, 0o700); err != nil {
		return nil, err
	}
	i := &issuer{directory: directory, now: now}
	ca := i.authority()
	if i.err != nil {
		return nil, i.err
	}
	serviceAccountKey, serviceAccountPublic, err := newServiceAccountKey()
	if err != nil {
		return nil, err
	}
	names := []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
	}
	c := &credentials{
		authority: ca.pair.certificate,
		admin:     i.client(ca, "local-cluster-admin", "system:masters"),
		// As system:masters, the manager may act at once: it need not wait until the API server has written its default
		// roles.
		controllers:          i.client(ca, "system:kube-controller-manager", "system:masters"),
		server:               i.files("apiserver", i.server(ca, names, n.server, n.apiService())),
		authorityPath:        i.write("ca.crt", ca.pair.certificate),
		authorityKey:         i.write("ca.key", ca.pair.key),
		serviceAccountKey:    i.write("service-account.key", serviceAccountKey),
		serviceAccountPublic: i.write("service-account.pub", serviceAccountPublic),
	}
	if withNode {
		c.node = writeNodeCredentials(i, ca, n)
	}
	if i.err != nil {
		return nil, fmt.Errorf("in %s: %w", directory, i.err)
	}
	return c, nil
}

func writeNodeCredentials(i *issuer, ca *authority, n *network) *nodeCredentials {
	// Its own, so that no certificate of the other authority makes its holder whoever they say they are.
	front := i.authority()
	if i.err != nil {
		return nil
	}
	return &nodeCredentials{
		authorityPath:      filepath.Join(i.directory, "ca.crt"),
		frontAuthorityPath: i.write("front-proxy-ca.crt", front.pair.certificate),
		frontProxy:         i.files("front-proxy", i.client(front, frontProxyUser)),
		kubeletClient:      i.files("kubelet-client", i.client(ca, "kube-apiserver-kubelet-client", "system:masters")),
		kubeletServer:      i.files("kubelet", i.server(ca, []string{nodeName}, n.node)),
		kubelet:            i.client(ca, "system:node:"+nodeName, "system:nodes"),
		proxy:              i.client(ca, "system:kube-proxy"),
		scheduler:          i.client(ca, "system:kube-scheduler"),
	}
}
