package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	serviceRange = "10.96.0.0/16"
	// How often a condition is asked for while something starts.
	pollInterval = 50 * time.Millisecond
	// How long one such question may take.
	questionTimeout = 5 * time.Second
)

// The address that the API server has inside the service range.
var firstServiceAddress = net.IPv4(10, 96, 0, 1)

var (
	errRunning    = errors.New("the API server runs already")
	errNotRunning = errors.New("the API server does not run")
)

// apiServer is the cluster's kube-apiserver, which ends and starts again on the same port over the same data.
type apiServer struct {
	spawner *spawner
	program program
	config  *rest.Config
	timeout time.Duration
	failed  func(error)
	running *process
}

func apiServerArguments(port int, store *datastore, c *credentials) []string {
	return []string{
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		// The launcher holds the port; see reservedPort.
		"--permit-port-sharing",
		// An address of the loopback may not stand in an Endpoints object, so the service `kubernetes` has none.
		"--endpoint-reconciler-type=none",
		"--etcd-servers=" + store.endpoint,
		"--etcd-count-metric-poll-period=0",
		"--etcd-db-metric-poll-interval=0",
		"--tls-cert-file=" + c.serverCertificate,
		"--tls-private-key-file=" + c.serverKey,
		"--client-ca-file=" + c.authorityPath,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.serviceAccountPublic,
		"--service-account-signing-key-file=" + c.serviceAccountKey,
		"--service-cluster-ip-range=" + serviceRange,
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

// start returns when the server says that it is ready.
func (a *apiServer) start(ctx context.Context) error {
	if a.running != nil && !a.running.hasEnded() {
		return errRunning
	}
	running, err := a.spawner.run(a.program, a.failed)
	if err != nil {
		return err
	}
	a.running = running
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return waitUntilReady(ctx, a.config)
}

func (a *apiServer) stop() error {
	return a.withRunning((*process).terminate)
}

func (a *apiServer) kill() error {
	return a.withRunning((*process).kill)
}

func (a *apiServer) pause() error {
	return a.withRunning(func(p *process) error { return p.signal(syscall.SIGSTOP) })
}

func (a *apiServer) resume() error {
	return a.withRunning(func(p *process) error { return p.signal(syscall.SIGCONT) })
}

func (a *apiServer) restart(ctx context.Context) error {
	if err := a.stop(); err != nil && !errors.Is(err, errNotRunning) {
		return err
	}
	return a.start(ctx)
}

func (a *apiServer) withRunning(act func(*process) error) error {
	if a.running == nil || a.running.hasEnded() {
		return errNotRunning
	}
	return act(a.running)
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
