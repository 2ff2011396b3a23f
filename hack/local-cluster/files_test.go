package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	aggregator "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
)

func filled(t *testing.T, name string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	settings := settingsOf(nodeNetwork(0))
	settings.Cgroup, settings.PluginDirectory = "cgroup", "/plugins"
	if err := writeFile(name, settings, path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestAddonsAreKubernetesObjects(t *testing.T) {
	known := runtime.NewScheme()
	if err := errorOf(scheme.AddToScheme(known), aggregator.AddToScheme(known)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(known, serializer.EnableStrict).UniversalDeserializer()
	for _, name := range addons {
		reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(filled(t, name))))
		for {
			document, err := reader.Read()
			if err != nil {
				break
			}
			if _, _, err := decoder.Decode(document, nil, nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestKubeletUnderstandsItsConfiguration(t *testing.T) {
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := codecs.UniversalDecoder().Decode(filled(t, "kubelet.yaml"), nil, nil); err != nil {
		t.Error(err)
	}
}

func TestNetworkConfigurationIsJSON(t *testing.T) {
	if content := filled(t, "pods.conflist"); !json.Valid(content) {
		t.Errorf("%s", content)
	}
}
