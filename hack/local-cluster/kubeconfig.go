package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// The one context that a kubeconfig of such a cluster has.
const contextName = "local-cluster"

func kubeconfig(server string, authority []byte, user keyPair) ([]byte, error) {
	config := api.NewConfig()
	config.Clusters[contextName] = &api.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos[contextName] = &api.AuthInfo{ClientCertificateData: user.certificate, ClientKeyData: user.key}
	config.Contexts[contextName] = &api.Context{Cluster: contextName, AuthInfo: contextName}
	config.CurrentContext = contextName
	content, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("encode the kubeconfig: %w", err)
	}
	return content, nil
}

// writeAtomically puts a file in place whole, so that whoever waits for it never reads half of it.
func writeAtomically(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// removeIfSame removes the file where it still is what was written: a later cluster may have taken the path.
func removeIfSame(path string, content []byte) error {
	found, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(found, content) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}
