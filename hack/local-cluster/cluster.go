package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Names inside the private directory.
const (
	adminKubeconfig       = "admin.kubeconfig"
	controllersKubeconfig = "controllers.kubeconfig"
	schedulerKubeconfig   = "scheduler.kubeconfig"
	kubeletKubeconfig     = "kubelet.kubeconfig"
	proxyKubeconfig       = "kube-proxy.kubeconfig"
	credentialsDirectory  = "pki"
)

// cluster is what runs, in the order in which it was started. Fields are nil until then.
type cluster struct {
	options   options
	directory *privateDirectory
	logs      string
	spawner   *spawner
	end       context.CancelCauseFunc

	watcher    *watcher
	node       *node
	network    *network
	port       *reservedPort
	store      *datastore
	manager    *process
	scheduler  *process
	components map[string]*component
	kubeconfig []byte
	config     *rest.Config
}

func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.timeout)
	defer cancel()

	var err error
	if c.watcher, err = watch(c.directory, adminKubeconfig, c.options.kubeconfig); err != nil {
		return fmt.Errorf("start the watcher: %w", err)
	}
	c.network = nodelessNetwork()
	if c.options.withNode {
		if err := c.bootNode(ctx); err != nil {
			return fmt.Errorf("make the node: %w", err)
		}
	}
	if err := c.startControlPlane(ctx); err != nil {
		return err
	}
	if c.options.withNode {
		if err := c.joinNode(ctx); err != nil {
			return err
		}
	}
	if err := writeAtomically(c.options.kubeconfig, c.kubeconfig); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

func (c *cluster) startControlPlane(ctx context.Context) error {
	port, err := reservePort(c.network.server)
	if err != nil {
		return err
	}
	c.port = &port
	credentials, err := writeCredentials(c.directory.join(credentialsDirectory), time.Now(), c.network, c.options.withNode)
	if err != nil {
		return fmt.Errorf("make the credentials: %w", err)
	}
	if err := c.writeKubeconfigs(fmt.Sprintf("https://%s:%d", c.network.server, port.number), credentials); err != nil {
		return fmt.Errorf("make the kubeconfigs: %w", err)
	}
	if c.store, err = startDatastore(ctx, c.directory.path, c.log("etcd")); err != nil {
		return err
	}

	serverArguments := slices.Concat(c.options.apiServerFlags,
		apiServerArguments(c.network, port.number, c.store, credentials))
	managerArguments := controllerArguments(c.directory, credentials)
	if c.options.withNode {
		serverArguments = append(serverArguments, nodeAPIServerArguments(credentials.node)...)
		managerArguments = append(managerArguments, nodeControllerArguments...)
	} else {
		serverArguments = append(serverArguments, nodelessAPIServerArguments...)
	}
	server := &component{
		title:   "the API server",
		spawner: c.spawner,
		program: c.program("kube-apiserver", serverArguments),
		timeout: c.options.timeout,
		ready:   func(ctx context.Context) error { return waitUntilReady(ctx, c.config) },
		failed:  c.end,
	}
	c.components = map[string]*component{"apiserver": server}
	// The manager waits by itself until the server is ready: loading it takes as long as that does.
	if c.manager, err = c.spawner.run(c.program("controllers", managerArguments), c.end); err != nil {
		return err
	}
	if err := server.start(ctx); err != nil {
		return err
	}
	return waitUntilControllersWork(ctx, c.config)
}

func (c *cluster) program(name string, arguments []string) program {
	return program{name: name, arguments: arguments, directory: c.directory.path, log: c.log(name)}
}

func (c *cluster) log(name string) string {
	return filepath.Join(c.logs, name+".log")
}

// writeKubeconfigs keeps a copy of the administrator's for the watcher.
func (c *cluster) writeKubeconfigs(server string, credentials *credentials) error {
	users := map[string]keyPair{adminKubeconfig: credentials.admin, controllersKubeconfig: credentials.controllers}
	if node := credentials.node; node != nil {
		users[schedulerKubeconfig] = node.scheduler
		users[kubeletKubeconfig] = node.kubelet
		users[proxyKubeconfig] = node.proxy
	}
	for name, user := range users {
		content, err := kubeconfig(server, credentials.authority, user)
		if err == nil {
			err = os.WriteFile(c.directory.join(name), content, 0o600)
		}
		if err != nil {
			return err
		}
		if name == adminKubeconfig {
			c.kubeconfig = content
		}
	}
	var err error
	c.config, err = clientcmd.RESTConfigFromKubeConfig(c.kubeconfig)
	return err
}

// carryOut does what a command says: what begins with a component's name that is not here is for the node.
func (c *cluster) carryOut(ctx context.Context, command string) error {
	err := carryOut(ctx, c.components, command)
	if errors.Is(err, errNoCommand) && c.node != nil && !strings.Contains(command, " ") {
		return c.node.tell(ctx, command)
	}
	return err
}

// close ends what was started. The data goes away, so nothing is given time to save any.
func (c *cluster) close() error {
	var errs []error
	if c.kubeconfig != nil {
		errs = append(errs, removeIfSame(c.options.kubeconfig, c.kubeconfig))
	}
	for _, process := range []*process{c.manager, c.scheduler} {
		if process != nil {
			errs = append(errs, process.kill())
		}
	}
	for _, component := range c.components {
		errs = append(errs, component.close())
	}
	if c.node != nil {
		errs = append(errs, c.node.close())
	}
	if c.store != nil {
		c.store.close()
	}
	if c.port != nil {
		c.port.release()
	}
	errs = append(errs, c.directory.remove())
	if c.watcher != nil {
		c.watcher.dismiss()
	}
	return errors.Join(errs...)
}
