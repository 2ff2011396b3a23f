package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// A node has this annotation: the path, on this machine, of the socket that its container runtime answers on. Images are
// loaded through it.
const socketAnnotation = "local-cluster/container-runtime-socket"

// What every cluster has beside Kubernetes' own components.
var addons = []string{"coredns.yaml", "metrics-server.yaml"}

// finish runs a program to its end.
func (s *spawner) finish(ctx context.Context, p program) error {
	result := make(chan error, 1)
	running, err := s.run(p, func(err error) { result <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-result:
		var ended *endedError
		if errors.As(err, &ended) && ended.result == nil {
			return nil
		}
		return err
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), running.kill())
	}
}

func (c *cluster) loadOwnImages(ctx context.Context) error {
	files, err := c.ownImages()
	if err != nil {
		return err
	}
	path, err := exec.LookPath("ctr")
	if err != nil {
		return err
	}
	for _, file := range files {
		load := c.program("ctr", loadArguments(c.directory.join(runtimeSocket), file))
		load.path = path
		if err := c.spawner.finish(ctx, load); err != nil {
			return fmt.Errorf("load %s: %w", file, err)
		}
	}
	return nil
}

func loadArguments(socket, file string) []string {
	return []string{"--address", socket, "--namespace", "k8s.io", "images", "import", file}
}

func (c *cluster) applyAddons(ctx context.Context) error {
	arguments := []string{"--kubeconfig=" + c.directory.join(adminKubeconfig), "apply", "--server-side"}
	for _, name := range addons {
		path := c.directory.join(name)
		if err := writeFile(name, settingsOf(c.network), path); err != nil {
			return err
		}
		arguments = append(arguments, "--filename="+path)
	}
	apply := c.program("kubectl", arguments)
	apply.log = filepath.Join(c.logs, "addons.log")
	return c.spawner.finish(ctx, apply)
}

// waitUntilNodeReady also notes at the node how images are loaded.
func waitUntilNodeReady(ctx context.Context, config *rest.Config, socket string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	nodes := client.CoreV1().Nodes()
	err = waitFor(ctx, "the node is ready", func(ctx context.Context) error {
		node, err := nodes.Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				if condition.Status == corev1.ConditionTrue {
					return nil
				}
				return errors.New(condition.Message)
			}
		}
		return errors.New("it says nothing about itself yet")
	})
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, socketAnnotation, socket)
	_, err = nodes.Patch(ctx, nodeName, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// waitUntilServicesAnswer asks the API server by its service's address, from outside the node.
func waitUntilServicesAnswer(ctx context.Context, config *rest.Config, n *network) error {
	config = rest.CopyConfig(config)
	config.Host = "https://" + n.apiService().String()
	return waitUntilReady(ctx, config)
}

// waitUntilNamesResolve asks for a name of the cluster, at the address that pods ask.
func waitUntilNamesResolve(ctx context.Context, n *network) error {
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(n.dns.String(), "53"))
		},
	}
	return waitFor(ctx, "names resolve", func(ctx context.Context) error {
		_, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
		return err
	})
}
