package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// The kernel's limit for a socket's path is 108 bytes with its end; etcd's own names beside it are shorter.
const longestSocketPath = 107

// datastore is an etcd inside this process. It answers on a socket file in the cluster's private directory: no port, and
// no other user of the machine can reach what it holds.
type datastore struct {
	etcd     *embed.Etcd
	endpoint string
}

func startDatastore(ctx context.Context, directory, log string) (*datastore, error) {
	client, peer := filepath.Join(directory, "etcd.sock"), filepath.Join(directory, "peer.sock")
	if len(client) > longestSocketPath {
		return nil, fmt.Errorf("%s is too long for a socket's path by %d characters: choose a shorter --dir or TMPDIR",
			client, len(client)-longestSocketPath)
	}
	// Nobody else joins, so nobody dials the addresses that it gives out.
	unused := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}

	config := embed.NewConfig()
	config.Dir = filepath.Join(directory, "etcd")
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Path: client}}
	config.ListenPeerUrls = []url.URL{{Scheme: "unix", Path: peer}}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = unused, unused
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	// Only Kubernetes asks, and not over HTTP.
	config.EnableGRPCGateway = false
	config.LogOutputs, config.LogLevel = []string{log}, "warn"
	// The data ends with the cluster: nothing is lost by not forcing it to the disk, and a write costs no seek.
	config.UnsafeNoFsync = true
	// A member alone has nobody to wait for before it leads.
	config.TickMs, config.ElectionMs = 10, 100
	config.QuotaBackendBytes = 4 << 30
	// Its default is set for etcd's own command only; without it every request is logged as a slow one.
	config.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration

	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	store := &datastore{etcd: etcd, endpoint: "unix://" + client}
	select {
	case <-etcd.Server.ReadyNotify():
		return store, nil
	case err := <-etcd.Err():
		return nil, fmt.Errorf("start etcd: %w", err)
	case <-ctx.Done():
		store.close()
		return nil, context.Cause(ctx)
	}
}

// close stops writing to the directory. It does not wait for long, the data goes away anyhow.
func (d *datastore) close() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.etcd.Close()
	}()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
	}
}
