package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// How often a condition is asked for while something starts.
	pollInterval = 50 * time.Millisecond
	// How long one such question may take.
	questionTimeout = 5 * time.Second
)

func apiServerArguments(n *network, port int, store *datastore, c *credentials) []string {
	return []string{
		"--bind-address=" + n.server.String(),
		"--advertise-address=" + n.server.String(),
		"--secure-port=" + strconv.Itoa(port),
		// The launcher holds the port; see reservedPort.
		"--permit-port-sharing",
		"--etcd-servers=" + store.endpoint,
		"--etcd-count-metric-poll-period=0",
		"--etcd-db-metric-poll-interval=0",
		"--tls-cert-file=" + c.server.certificate,
		"--tls-private-key-file=" + c.server.key,
		"--client-ca-file=" + c.authorityPath,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.serviceAccountPublic,
		"--service-account-signing-key-file=" + c.serviceAccountKey,
		"--service-cluster-ip-range=" + n.services.String(),
		"--allow-privileged=true",
		"--profiling=false",
		// By default an API server that is told to end waits up to a minute for watches to end by themselves. With these
		// it refuses new requests, ends the watches and is gone.
		"--shutdown-send-retry-after=true",
		"--shutdown-watch-termination-grace-period=1s",
		"--max-requests-inflight=2000",
		"--max-mutating-requests-inflight=1000",
	}
}

// Where there are no nodes.
var nodelessAPIServerArguments = []string{
	// An address of the loopback may not stand in an Endpoints object, so the service `kubernetes` has none.
	"--endpoint-reconciler-type=none",
	"--authorization-mode=RBAC",
}

// What the API server needs to talk with kubelets, and with API servers in pods.
func nodeAPIServerArguments(c *nodeCredentials) []string {
	return []string{
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		// The node's name stands in no DNS.
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority=" + c.authorityPath,
		"--kubelet-client-certificate=" + c.kubeletClient.certificate,
		"--kubelet-client-key=" + c.kubeletClient.key,
		"--requestheader-client-ca-file=" + c.frontAuthorityPath,
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.frontProxy.certificate,
		"--proxy-client-key-file=" + c.frontProxy.key,
	}
}

// waitUntilReady asks the server until it says that it is ready, and else tells what it last said.
func waitUntilReady(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return waitFor(ctx, "the API server is ready", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// waitUntilControllersWork waits for what only running controllers make: what every pod of the first namespace needs.
func waitUntilControllersWork(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return waitFor(ctx, "the controllers work", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			_, err = client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		}
		return err
	})
}

func waitFor(ctx context.Context, condition string, holds func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, questionTimeout)
		defer cancel()
		last = holds(ctx)
		return last == nil, nil
	})
	if err == nil {
		return nil
	}
	// Why it was broken off says more than the last answer, except where that was only for the time.
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return fmt.Errorf("wait until %s: %w", condition, errorOf(last, err))
}
