package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// nonRoot is the user that images without a distribution commonly run as.
const nonRoot = "65532:65532"

// What programs look up about themselves, and where they expect to be able to write.
const (
	passwd = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
)

// file is one of this machine, and where it lies in the image.
type file struct {
	from, to string
}

type image struct {
	names      []string
	user       string
	entrypoint string
	files      []file
}

// blob is content that is found by its digest.
type blob struct {
	digest string
	size   int64
	// One of the two.
	content []byte
	file    *os.File
}

func (b blob) path() string {
	return "blobs/sha256/" + b.digest
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

func (b blob) descriptor(mediaType string) descriptor {
	return descriptor{MediaType: mediaType, Digest: "sha256:" + b.digest, Size: b.size}
}

// write puts the image in place whole, or not at all.
func (i image) write(output string) (err error) {
	layer, err := i.layer(filepath.Dir(output))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.file.Close(), os.Remove(layer.file.Name())) }()
	target, err := os.CreateTemp(filepath.Dir(output), ".image-*")
	if err != nil {
		return err
	}
	err = errors.Join(i.writeLayout(target, layer), target.Chmod(0o644), target.Close())
	if err == nil {
		err = os.Rename(target.Name(), output)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(target.Name()))
	}
	return err
}

// layer writes the image's files into a temporary one.
func (i image) layer(directory string) (_ blob, err error) {
	temporary, err := os.CreateTemp(directory, ".layer-*")
	if err != nil {
		return blob{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, temporary.Close(), os.Remove(temporary.Name()))
		}
	}()
	hash := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(temporary, hash))
	for _, directory := range i.directories() {
		mode := int64(0o755)
		if directory == "tmp" {
			mode = 0o1777
		}
		header := &tar.Header{Typeflag: tar.TypeDir, Name: directory + "/", Mode: mode}
		if err := archive.WriteHeader(header); err != nil {
			return blob{}, err
		}
	}
	if err := errors.Join(add(archive, "etc/group", []byte(group)), add(archive, "etc/passwd", []byte(passwd))); err != nil {
		return blob{}, err
	}
	for _, file := range i.files {
		if err := file.copy(archive); err != nil {
			return blob{}, err
		}
	}
	if err := archive.Close(); err != nil {
		return blob{}, err
	}
	size, err := temporary.Seek(0, io.SeekCurrent)
	return blob{digest: hex.EncodeToString(hash.Sum(nil)), size: size, file: temporary}, err
}

// directories gives every one that the image needs, parents first.
func (i image) directories() []string {
	needed := map[string]bool{"etc": true, "tmp": true}
	for _, file := range i.files {
		for parent := path.Dir(file.to); parent != "/"; parent = path.Dir(parent) {
			needed[parent[1:]] = true
		}
	}
	found := make([]string, 0, len(needed))
	for name := range needed {
		found = append(found, name)
	}
	slices.Sort(found)
	return found
}

// copy follows symbolic links: what they lead to is what the image must hold.
func (f file) copy(archive *tar.Writer) (err error) {
	content, err := os.Open(f.from)
	if err != nil {
		return err
	}
	defer content.Close()
	information, err := content.Stat()
	if err != nil {
		return err
	}
	if !information.Mode().IsRegular() {
		return &os.PathError{Op: "copy", Path: f.from, Err: errors.New("not a regular file")}
	}
	// No owner and no time: they would differ between machines that build the same.
	mode := int64(0o644)
	if information.Mode()&0o111 != 0 {
		mode = 0o755
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.to, "/"), Mode: mode, Size: information.Size()}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, content)
	return err
}

func (i image) writeLayout(output io.Writer, layer blob) error {
	config, err := jsonBlob(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"User":       i.user,
			"Entrypoint": []string{i.entrypoint},
			"Env":        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			"WorkingDir": "/",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer.digest}},
	})
	if err != nil {
		return err
	}
	manifest, err := jsonBlob(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        config.descriptor("application/vnd.oci.image.config.v1+json"),
		"layers":        []descriptor{layer.descriptor("application/vnd.oci.image.layer.v1.tar")},
	})
	if err != nil {
		return err
	}
	var listed []descriptor
	for _, name := range i.names {
		manifest := manifest.descriptor("application/vnd.oci.image.manifest.v1+json")
		manifest.Platform = &platform{Architecture: runtime.GOARCH, OS: "linux"}
		manifest.Annotations = map[string]string{
			"io.containerd.image.name":          name,
			"org.opencontainers.image.ref.name": name[strings.LastIndex(name, ":")+1:],
		}
		listed = append(listed, manifest)
	}
	index, err := jsonBlob(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.index.v1+json",
		"manifests":     listed,
	})
	if err != nil {
		return err
	}
	// For `docker load`, which knew this long before the other.
	docker, err := jsonBlob([]any{map[string]any{
		"Config": config.path(), "RepoTags": i.names, "Layers": []string{layer.path()},
	}})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(output)
	return errors.Join(
		add(archive, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)),
		add(archive, "index.json", index.content),
		add(archive, "manifest.json", docker.content),
		add(archive, manifest.path(), manifest.content),
		add(archive, config.path(), config.content),
		addFile(archive, layer),
		archive.Close(),
	)
}

func jsonBlob(value any) (blob, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return blob{}, err
	}
	digest := sha256.Sum256(content)
	return blob{digest: hex.EncodeToString(digest[:]), size: int64(len(content)), content: content}, nil
}

func add(archive *tar.Writer, name string, content []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

func addFile(archive *tar.Writer, b blob) error {
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: b.path(), Mode: 0o644, Size: b.size}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(archive, b.file)
	return err
}
