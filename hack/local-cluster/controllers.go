package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/component-base/cli"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace/deletion"
)

const (
	// kube-controller-manager looks for new resource types every 30 s. Until then the collector does not see that an
	// object of a type just installed was deleted, and a test that deletes one waits that long for its children to go.
	discoveryPeriod = time.Second
	// How long the collector waits for its caches at the start before it works without some of them.
	collectorSyncTimeout = 30 * time.Second
	// kube-controller-manager waits 5 s before it empties a namespace, for other API servers and etcd members to have
	// seen the deletion. Here is one of each, so that only the API server's own cache has to.
	namespaceGrace = 100 * time.Millisecond
	// What is left in a namespace mostly waits for a finalizer, which takes as long as its controller.
	namespaceRetry        = 100 * time.Millisecond
	namespaceLongestRetry = 2 * time.Second
	namespaceWorkers      = 10
	collectorWorkers      = 20
	// No limit that a test with a thousand objects would feel.
	clientQueriesPerSecond, clientBurst = 2000, 4000
)

// The controllers that run here in place of kube-controller-manager's.
var replacedControllers = []string{"garbage-collector-controller", "namespace-controller"}

// controllersCommand runs kube-controller-manager with the flags after `--`, and in the same process the garbage collector
// and the deletion of namespaces: both are Kubernetes' own code, with delays that suit a cluster of one API server.
func controllersCommand(arguments []string) int {
	flags := flag.NewFlagSet("controllers", flag.ExitOnError)
	path := flags.String("kubeconfig", "", "the kubeconfig of the API server")
	_ = flags.Parse(arguments)

	// The first field of a client's name, and so what managedFields calls it, is the name of the program.
	os.Args[0] = "kube-controller-manager"
	ctx := context.Background()
	config, err := clientcmd.BuildConfigFromFlags("", *path)
	if err == nil {
		err = waitUntilReady(ctx, config)
	}
	if err == nil {
		err = errorOf(startGarbageCollector(ctx, config), startNamespaceDeletion(ctx, config))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controllers:", err)
		return 1
	}
	command := controllermanager.NewControllerManagerCommand()
	command.SetArgs(append([]string{"--kubeconfig=" + *path}, flags.Args()...))
	return cli.Run(command)
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// asController gives the configuration of a client that acts as a controller's service account, as it does in a cluster
// of more than tests: webhooks then see the user names that they will see there.
func asController(config *rest.Config, name string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:kube-system:" + name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
	}
	config.QPS, config.Burst = clientQueriesPerSecond, clientBurst
	return config
}

func startGarbageCollector(ctx context.Context, config *rest.Config) error {
	config = asController(config, "generic-garbage-collector")
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	// The mapper's discovery is its own: Sync must not find its answers in that cache.
	mapped, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(mapped))

	started := make(chan struct{})
	close(started)
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, objects, mapper,
		garbagecollector.DefaultIgnoredResources(),
		metadataInformers{metadatainformer.NewSharedInformerFactory(objects, 0)}, started)
	if err != nil {
		return fmt.Errorf("make the garbage collector: %w", err)
	}
	go collector.Run(ctx, collectorWorkers, collectorSyncTimeout)
	go collector.Sync(ctx, client.Discovery(), discoveryPeriod)
	return nil
}

// metadataInformers gives the collector informers of objects' metadata alone, which is all that it reads.
type metadataInformers struct {
	metadatainformer.SharedInformerFactory
}

func (m metadataInformers) ForResource(resource schema.GroupVersionResource) (informers.GenericInformer, error) {
	return m.SharedInformerFactory.ForResource(resource), nil
}

func startNamespaceDeletion(ctx context.Context, config *rest.Config) error {
	config = asController(config, "namespace-controller")
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	deleter := deletion.NewNamespacedResourcesDeleter(ctx, client.CoreV1().Namespaces(), objects, client.CoreV1(),
		client.Discovery().ServerPreferredNamespacedResources, corev1.FinalizerKubernetes)
	queue := workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](namespaceRetry, namespaceLongestRetry))

	enqueue := func(object any) {
		if namespace, ok := object.(*corev1.Namespace); ok && namespace.DeletionTimestamp != nil {
			queue.AddAfter(namespace.Name, namespaceGrace)
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	if _, err := factory.Core().V1().Namespaces().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
	}); err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	factory.Start(ctx.Done())
	for range namespaceWorkers {
		go deleteNamespaces(ctx, queue, deleter)
	}
	return nil
}

func deleteNamespaces(
	ctx context.Context,
	queue workqueue.TypedRateLimitingInterface[string],
	deleter deletion.NamespacedResourcesDeleterInterface,
) {
	for {
		name, ended := queue.Get()
		if ended {
			return
		}
		if err := deleter.Delete(ctx, name); err != nil {
			queue.AddRateLimited(name)
		} else {
			queue.Forget(name)
		}
		queue.Done(name)
	}
}

func controllerArguments(directory *privateDirectory, c *credentials) []string {
	return []string{
		"--kubeconfig=" + directory.join(controllersKubeconfig),
		"--",
		// It is the only one.
		"--leader-elect=false",
		// Nobody asks it anything, so it listens on no port.
		"--secure-port=0",
		"--profiling=false",
		// It makes this directory where it is missing, by default one of the system's.
		"--flex-volume-plugin-dir=" + directory.join("volume-plugins"),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.serviceAccountKey,
		"--root-ca-file=" + c.authorityPath,
		"--cluster-signing-cert-file=" + c.authorityPath,
		"--cluster-signing-key-file=" + c.authorityKey,
		"--controllers=*,-" + strings.Join(replacedControllers, ",-"),
		fmt.Sprintf("--kube-api-qps=%d", clientQueriesPerSecond),
		fmt.Sprintf("--kube-api-burst=%d", clientBurst),
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-statefulset-syncs=20",
		"--concurrent-service-endpoint-syncs=20",
		"--concurrent-serviceaccount-token-syncs=20",
		"--horizontal-pod-autoscaler-sync-period=2s",
	}
}

// A test does not wait for the minutes in which an autoscaler distrusts what a new pod uses.
var nodeControllerArguments = []string{
	"--horizontal-pod-autoscaler-cpu-initialization-period=10s",
	"--horizontal-pod-autoscaler-initial-readiness-delay=5s",
}
