// Command testcluster is a Kubernetes control plane for tests in one binary.
//
//	testcluster run --dir DIR                       a whole cluster, until stdin closes
//	testcluster kubectl ARGS...                     the client of the same version
//	testcluster etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kwok FLAGS...
//
// `run` starts each component as a process of this same binary. There is no
// kubelet and no container: KWOK plays the nodes and the pods, by the stages
// that are embedded from the stages folder. README.md lists what a pod template can ask of them.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	// Zones of CronJobs, on machines that carry no zone database.
	_ "time/tzdata"
)

// commands maps a first argument to what this process then becomes.
var commands = map[string]func() error{
	"run":                     runCluster,
	"kubectl":                 runKubectl,
	"etcd":                    runEtcd,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kube-scheduler":          runScheduler,
	"kwok":                    runKwok,
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	command, known := commands[os.Args[1]]
	if !known {
		usage()
	}
	// The components print usage and errors under the name that they find here.
	os.Args = os.Args[1:]
	if err := command(); err != nil {
		fmt.Fprintf(os.Stderr, "testcluster %s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}

func usage() {
	var names []string
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(os.Stderr, "usage: testcluster %s [flags]\n", strings.Join(names, "|"))
	os.Exit(2)
}
