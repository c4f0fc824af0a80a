package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
)

// etcdStartLimit bounds the election of the single member. It takes a second
// on tmpfs; a slow disk may need several.
const etcdStartLimit = 60 * time.Second

func runAPIServer() error         { return runServer(apiserver.NewAPIServerCommand()) }
func runControllerManager() error { return runServer(controllermanager.NewControllerManagerCommand()) }
func runScheduler() error         { return runServer(scheduler.NewSchedulerCommand()) }

// runServer ends the process with the component's own exit code, because the
// component has already reported its error.
func runServer(command *cobra.Command) error {
	os.Exit(cli.Run(command))
	return nil
}

func runKubectl() error {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		// Prints the error as kubectl does and exits with kubectl's code.
		kubectlutil.CheckErr(err)
	}
	return nil
}

// runEtcd serves one member that never syncs to disk: a test's data is thrown away.
func runEtcd() error {
	flags := pflag.NewFlagSet("etcd", pflag.ContinueOnError)
	data := flags.String("data-dir", "", "folder of the database")
	client := flags.String("client", "", "host:port for clients")
	peer := flags.String("peer", "", "host:port for peers; none will come")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}

	config := embed.NewConfig()
	config.Name = "only"
	config.Dir = *data
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	// A zero value would log every request as slow.
	config.WarningUnaryRequestDuration = time.Second
	config.QuotaBackendBytes = 1 << 30
	config.MaxTxnOps = 4096
	config.ListenClientUrls = []url.URL{{Scheme: "http", Host: *client}}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = []url.URL{{Scheme: "http", Host: *peer}}
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(etcdStartLimit):
		return fmt.Errorf("not ready within %s", etcdStartLimit)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-server.Err():
		return err
	}
}

func runKwok() error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()

	// KWOK reads its logging and configuration flags before its command exists.
	early := pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	early.ParseErrorsAllowlist.UnknownFlags = true
	early.Usage = func() {}
	ctx, _ = kwoklog.InitFlags(ctx, early)
	ctx, err := kwokconfig.InitFlags(ctx, early)
	if err != nil {
		return err
	}

	command := kwok.NewCommand(ctx)
	// The Kubernetes components of this binary register a --version flag of
	// another type on the process-wide flag set, and cobra would pick it up.
	command.Version = ""
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	command.PersistentFlags().AddFlagSet(early)
	err = command.ExecuteContext(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
