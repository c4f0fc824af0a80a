package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// frontProxyName is the user that aggregated API servers trust to name other users.
const frontProxyName = "front-proxy-client"

// options are the flags of `run`.
type options struct {
	dir            string
	nodes          int
	limit          time.Duration
	apiServer      []string
	controllers    []string
	kwok           []string
	extraStageFile string
}

// cluster is a control plane that is coming up or running.
type cluster struct {
	options
	processes *processes
	data      *dataFolder
	client    kubernetes.Interface

	// Loopback ports, chosen at random.
	apiPort, etcdPort, peerPort, kubeletPort int
}

func parseOptions(arguments []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "folder for certificates, kubeconfig and logs (required)")
	flags.IntVar(&o.nodes, "nodes", 3, "number of fake nodes")
	flags.DurationVar(&o.limit, "timeout", 2*time.Minute, "time allowed until everything is ready")
	flags.StringVar(&o.extraStageFile, "stages", "", "file with more KWOK documents")
	flags.StringArrayVar(&o.apiServer, "apiserver-arg", nil, "further kube-apiserver flag; repeatable")
	flags.StringArrayVar(&o.controllers, "controllers-arg", nil,
		"further kube-controller-manager flag; repeatable")
	flags.StringArrayVar(&o.kwok, "kwok-arg", nil, "further kwok flag; repeatable")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.dir == "" {
		return o, errors.New("--dir is required")
	}
	var err error
	o.dir, err = filepath.Abs(o.dir)
	return o, err
}

// runCluster brings a cluster up, says so, and takes it down when its standard
// input closes: whoever holds the other end cannot die and leave it behind.
func runCluster() error {
	options, err := parseOptions(os.Args[1:])
	if err != nil {
		return err
	}
	// A child is told to die with the thread that started it, so this
	// goroutine, which starts them all, keeps its thread for good.
	runtime.LockOSThread()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	c := &cluster{options: options, processes: newProcesses(options.dir)}
	defer c.stop()
	began := time.Now()
	err = c.start(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Printf("ready in %.1fs kubeconfig=%s\n", time.Since(began).Seconds(), c.path("kubeconfig"))
	return c.serve(ctx)
}

// serve returns when the cluster is to end or has failed. Whenever SIGHUP
// arrives, the API server is killed and started again over the same data, and
// then a line says so.
func (c *cluster) serve(ctx context.Context) error {
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGHUP)
	for {
		select {
		case <-ctx.Done():
			return nil
		case name := <-c.processes.ended:
			return fmt.Errorf("%s ended; see %s", name, c.path(name+".log"))
		case <-restart:
			began := time.Now()
			err := c.restartAPIServer(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Printf("restarted in %.1fs\n", time.Since(began).Seconds())
		}
	}
}

func (c *cluster) restartAPIServer(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, c.limit)
	defer cancel()
	c.processes.stop("kube-apiserver")
	return c.startAPIServer(ctx)
}

func (c *cluster) stop() {
	c.processes.kill()
	if c.data != nil {
		c.data.remove()
	}
	_ = os.Remove(c.path("kubeconfig"))
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) start(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, c.limit)
	defer cancel()
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := c.choosePorts(); err != nil {
		return err
	}
	var err error
	if c.data, err = newDataFolder(c.dir); err != nil {
		return err
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", c.apiPort)
	if err := writeIdentity(c.dir, server); err != nil {
		return err
	}
	if err := writeStages(c.path("kwok.yaml"), c.path("pod.log"), c.extraStageFile); err != nil {
		return err
	}

	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return err
	}
	if err := c.startControllers(); err != nil {
		return err
	}
	if err := c.createNodes(ctx); err != nil {
		return err
	}
	if err := c.awaitUsable(ctx); err != nil {
		return err
	}
	// Whoever polls for the file finds it whole, and only once all is ready.
	return os.Rename(c.path("admin.kubeconfig"), c.path("kubeconfig"))
}

// choosePorts holds all listeners until the last one is open, so that the
// numbers differ.
func (c *cluster) choosePorts() error {
	for _, port := range []*int{&c.apiPort, &c.etcdPort, &c.peerPort, &c.kubeletPort} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer listener.Close()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func (c *cluster) startEtcd(ctx context.Context) error {
	client := fmt.Sprintf("127.0.0.1:%d", c.etcdPort)
	err := c.processes.start("etcd", "--data-dir="+c.data.path, "--client="+client,
		fmt.Sprintf("--peer=127.0.0.1:%d", c.peerPort))
	if err != nil {
		return err
	}
	// The API server waits for etcd by itself, but with pauses of seconds.
	return c.await(ctx, "etcd", func() error {
		connection, err := net.DialTimeout("tcp", client, time.Second)
		if err == nil {
			_ = connection.Close()
		}
		return err
	})
}

func (c *cluster) startAPIServer(ctx context.Context) error {
	flags := []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.etcdPort),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.apiPort),
		// The reconciler of the `kubernetes` Endpoints refuses loopback addresses.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=" + c.path("apiserver.crt"),
		"--tls-private-key-file=" + c.path("apiserver.key"),
		"--client-ca-file=" + c.path("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path("sa.pub"),
		"--service-account-signing-key-file=" + c.path("sa.key"),
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--profiling=false",
		// With these a test may serve an aggregated API, such as metrics.k8s.io
		// for an autoscaler, behind an ExternalName Service `localhost`.
		"--requestheader-client-ca-file=" + c.path("ca.crt"),
		"--requestheader-allowed-names=" + frontProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.path("front-proxy.crt"),
		"--proxy-client-key-file=" + c.path("front-proxy.key"),
	}
	if err := c.processes.start("kube-apiserver", append(flags, c.apiServer...)...); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	return c.await(ctx, "the API server", func() error {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	})
}

// connect makes the launcher's client, which outlives the API server.
func (c *cluster) connect() error {
	if c.client != nil {
		return nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.path("admin.kubeconfig"))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	c.client, err = kubernetes.NewForConfig(config)
	return err
}

// startControllers starts everything that is a client of the API server. Their
// own limits on requests are raised: tests wait for them.
func (c *cluster) startControllers() error {
	quick := []string{
		"--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000", "--profiling=false",
	}
	controllers := append([]string{
		"--kubeconfig=" + c.path("controllers.kubeconfig"),
		"--controllers=*",
		"--root-ca-file=" + c.path("ca.crt"),
		"--service-account-private-key-file=" + c.path("sa.key"),
		"--concurrent-deployment-syncs=10",
		"--concurrent-replicaset-syncs=10",
		"--concurrent-endpoint-syncs=10",
		"--horizontal-pod-autoscaler-sync-period=2s",
		"--horizontal-pod-autoscaler-initial-readiness-delay=1s",
		"--horizontal-pod-autoscaler-cpu-initialization-period=1s",
		"--horizontal-pod-autoscaler-downscale-stabilization=5s",
	}, quick...)
	if err := c.processes.start("kube-controller-manager", append(controllers, c.controllers...)...); err != nil {
		return err
	}
	scheduler := append([]string{"--kubeconfig=" + c.path("scheduler.kubeconfig")}, quick...)
	if err := c.processes.start("kube-scheduler", scheduler...); err != nil {
		return err
	}
	kwok := []string{
		"--kubeconfig=" + c.path("kwok.kubeconfig"),
		"--config=" + c.path("kwok.yaml"),
		"--manage-all-nodes=true",
		"--node-ip=127.0.0.1",
		"--cidr=10.244.0.1/16",
		"--node-lease-duration-seconds=40",
		// The kubelet's port, for `kubectl logs`.
		fmt.Sprintf("--node-port=%d", c.kubeletPort),
		fmt.Sprintf("--server-address=127.0.0.1:%d", c.kubeletPort),
		"--tls-cert-file=" + c.path("apiserver.crt"),
		"--tls-private-key-file=" + c.path("apiserver.key"),
	}
	return c.processes.start("kwok", append(kwok, c.kwok...)...)
}

// createNodes makes nodes that differ in name and zone alone.
func (c *cluster) createNodes(ctx context.Context) error {
	for i := range c.nodes {
		name := fmt.Sprintf("node-%d", i)
		node := &core.Node{ObjectMeta: meta.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
			Labels: map[string]string{
				core.LabelHostname:     name,
				core.LabelOSStable:     "linux",
				core.LabelArchStable:   "amd64",
				core.LabelTopologyZone: fmt.Sprintf("zone-%d", i),
			},
		}}
		err := c.await(ctx, name, func() error {
			_, err := c.client.CoreV1().Nodes().Create(ctx, node, meta.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitUsable returns once a pod that is created now would be accepted,
// scheduled and started.
func (c *cluster) awaitUsable(ctx context.Context) error {
	err := c.await(ctx, "the default service account", func() error {
		_, err := c.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return c.await(ctx, "the nodes", func() error {
		nodes, err := c.client.CoreV1().Nodes().List(ctx, meta.ListOptions{})
		if err != nil {
			return err
		}
		ready := 0
		for _, node := range nodes.Items {
			if schedulable(node) {
				ready++
			}
		}
		if ready < c.nodes {
			return fmt.Errorf("%d of %d nodes are ready", ready, c.nodes)
		}
		return nil
	})
}

func schedulable(node core.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == core.NodeReady {
			return condition.Status == core.ConditionTrue && len(node.Spec.Taints) == 0
		}
	}
	return false
}

// await tries until success, the end of a component, or the end of ctx, and
// then reports the last failure seen.
func (c *cluster) await(ctx context.Context, what string, try func() error) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		last := try()
		if last == nil {
			return nil
		}
		select {
		case name := <-c.processes.ended:
			return fmt.Errorf("%s ended early; see %s", name, c.path(name+".log"))
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, last)
		case <-tick.C:
		}
	}
}
