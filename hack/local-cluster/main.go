// Command local-cluster is a Kubernetes control plane in one binary, for tests and for trying the operator on a machine
// that has no containers.
//
// Its first argument names what to run: `control-plane` starts the whole, the other names are Kubernetes' own components
// with their own flags. The control plane starts itself again under those names.
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
	case "control-plane":
		os.Exit(controlPlaneCommand(os.Args[1:]))
	case "controllers":
		os.Exit(controllersCommand(os.Args[1:]))
	case "kubectl":
		runKubectl()
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		command := component(name)
		if command == nil {
			fmt.Fprintf(os.Stderr, "local-cluster: no command %q\n%s", name, usage)
			os.Exit(2)
		}
		os.Exit(cli.Run(command))
	}
}

// component gives the command of one of Kubernetes' components, nil where the name is none. Only one is ever made in a
// process: each registers its feature gates and metrics globally.
func component(name string) *cobra.Command {
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
