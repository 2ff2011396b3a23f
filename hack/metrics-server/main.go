// Command metrics-server is Kubernetes' own metrics-server: what `kubectl top` and HorizontalPodAutoscalers ask.
//
// Its collecting and serving are the module's. The options are here, because the module's were written for an older
// library of API servers.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/metrics-server/pkg/api"
	"sigs.k8s.io/metrics-server/pkg/api/generated/openapi"
	"sigs.k8s.io/metrics-server/pkg/scraper/client"
	"sigs.k8s.io/metrics-server/pkg/server"
)

func main() {
	port := flag.Int("secure-port", 10250, "the port to serve on")
	kubeletAuthority := flag.String("kubelet-certificate-authority", "", "`file` of the authority of the kubelets' certificates")
	resolution := flag.Duration("metric-resolution", 15*time.Second, "how often the kubelets are asked")
	flag.Parse()
	if err := run(genericapiserver.SetupSignalContext(), *port, *kubeletAuthority, *resolution); err != nil {
		fmt.Fprintln(os.Stderr, "metrics-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, port int, kubeletAuthority string, resolution time.Duration) error {
	cluster, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	cluster.ContentType = runtime.ContentTypeProtobuf
	kubelets := rest.CopyConfig(cluster)
	kubelets.TLSClientConfig = rest.TLSClientConfig{CAFile: kubeletAuthority}
	serving, err := servingConfig(port)
	if err != nil {
		return err
	}
	collector, err := server.Config{
		Apiserver: serving,
		Rest:      cluster,
		Kubelet: &client.KubeletClientConfig{
			Client:              *kubelets,
			AddressTypePriority: []corev1.NodeAddressType{corev1.NodeInternalIP},
			Scheme:              "https",
			UseNodeStatusPort:   true,
		},
		MetricResolution: resolution,
		ScrapeTimeout:    resolution * 9 / 10,
	}.Complete()
	if err != nil {
		return err
	}
	return collector.RunUntil(ctx.Done())
}

// servingConfig is that of an aggregated API server: it takes requests from the API server in front alone, and asks that
// one who may do what.
func servingConfig(port int) (*genericapiserver.Config, error) {
	config := genericapiserver.NewConfig(api.Codecs)
	serving := options.NewSecureServingOptions().WithLoopback()
	serving.BindPort = port
	// In memory: the image's file system is read-only.
	serving.ServerCert.CertDirectory = ""
	if err := serving.MaybeDefaultWithSelfSignedCerts("metrics-server", nil, nil); err != nil {
		return nil, err
	}
	if err := serving.ApplyTo(&config.SecureServing, &config.LoopbackClientConfig); err != nil {
		return nil, err
	}
	if err := options.NewDelegatingAuthenticationOptions().ApplyTo(&config.Authentication, config.SecureServing, nil); err != nil {
		return nil, err
	}
	if err := options.NewDelegatingAuthorizationOptions().ApplyTo(&config.Authorization); err != nil {
		return nil, err
	}
	config.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	names := openapinamer.NewDefinitionNamer(api.Scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, names)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, names)
	return config, nil
}
