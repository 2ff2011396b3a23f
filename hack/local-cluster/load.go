package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// loadCommand loads images from tar files into the cluster of a kubeconfig, one of those that `cluster` starts here.
func loadCommand(arguments []string) int {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", os.Getenv(clientcmd.RecommendedConfigPathEnvVar), "the cluster's kubeconfig `file`")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *kubeconfig == "" || flags.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "load: a kubeconfig and the images' files are needed")
		return 2
	}
	return exitCode("load", loadImages(context.Background(), *kubeconfig, flags.Args()))
}

func loadImages(ctx context.Context, kubeconfig string, files []string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	loaded := false
	for _, node := range nodes.Items {
		socket, found := node.Annotations[socketAnnotation]
		if !found {
			continue
		}
		for _, file := range files {
			command := exec.CommandContext(ctx, "ctr", loadArguments(socket, file)...)
			if output, err := command.CombinedOutput(); err != nil {
				return fmt.Errorf("load %s: %w: %s", file, err, output)
			}
		}
		loaded = true
	}
	if !loaded {
		return errors.New("the cluster has no node that was started here")
	}
	return nil
}
