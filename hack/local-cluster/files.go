package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"text/template"
)

//go:embed files
var fileTemplates embed.FS

// The images that the cluster itself needs, by the names that they are loaded under.
const (
	pauseImage   = "docker.io/local/pause:1"
	dnsImage     = "docker.io/local/coredns:1"
	metricsImage = "docker.io/local/metrics-server:1"
)

// settings are what the files' templates hold.
type settings struct {
	Private, RuntimeSocket, NetworkDirectory, PluginDirectory, ResolverFile, Cgroup string
	PauseImage, DNSImage, MetricsImage                                              string
	Pods, DNS                                                                       string
}

func settingsOf(n *network) settings {
	return settings{
		Private:          privateInside,
		RuntimeSocket:    runtimeSocket,
		NetworkDirectory: networkDirectory,
		ResolverFile:     resolverFile,
		PauseImage:       pauseImage,
		DNSImage:         dnsImage,
		MetricsImage:     metricsImage,
		Pods:             n.pods.String(),
		DNS:              n.dns.String(),
	}
}

func writeFile(name string, settings settings, path string) error {
	parsed, err := template.ParseFS(fileTemplates, "files/"+name)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := parsed.Execute(&content, settings); err != nil {
		return fmt.Errorf("fill %s in: %w", name, err)
	}
	return os.WriteFile(path, content.Bytes(), 0o600)
}
