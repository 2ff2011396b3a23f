// Command local-cluster is Kubernetes in one binary, for tests and for trying the operator on a machine without Docker.
//
// Its first argument names what to run: `control-plane` starts all that needs no containers, `cluster` that and a node. The
// other names are Kubernetes' own components with their own flags, which those two start from the same binary.
package main

import (
	"context"
	"fmt"
	"os"
	_ "time/tzdata" // CronJobs name time zones, and a bare machine has no zone database.

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

const usage = `usage: local-cluster COMMAND [FLAGS]

  control-plane             etcd, API server and controllers until it is told to end
  cluster                   the same with a node, on which pods run; needs root
  load                      loads images into a cluster that runs
  sweep                     removes what dead clusters left
  controllers               kube-controller-manager with quick garbage collection and namespace deletion
  kube-apiserver            Kubernetes' components, each with its own flags
  kube-controller-manager
  kube-scheduler
  kube-proxy
  kubelet
  kubectl
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name := os.Args[1]
	// The components, and kubectl's search for plug-ins, read os.Args themselves.
	os.Args = os.Args[1:]
	switch name {
	case "control-plane", "cluster":
		os.Exit(launchCommand(name, os.Args[1:]))
	case "node":
		os.Exit(nodeCommand(os.Args[1:]))
	case "load":
		os.Exit(loadCommand(os.Args[1:]))
	case "unlink":
		os.Exit(unlinkCommand(os.Args[1:]))
	case "sweep":
		os.Exit(sweepCommand())
	case "controllers":
		os.Exit(controllersCommand(os.Args[1:]))
	case "kubectl":
		runKubectl()
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		command := kubernetesCommand(name)
		if command == nil {
			fmt.Fprintf(os.Stderr, "local-cluster: no command %q\n%s", name, usage)
			os.Exit(2)
		}
		os.Exit(cli.Run(command))
	}
}

// kubernetesCommand gives the command of one of Kubernetes' components, nil where the name is none. Only one is ever made in a
// process: each registers its feature gates and metrics globally.
func kubernetesCommand(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kube-proxy":
		return proxy.NewProxyCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	}
	return nil
}

func runKubectl() {
	// The verbosity counts from the start: making the command already reads kubectl's preferences and looks for plug-ins.
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
