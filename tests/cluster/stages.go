package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"strings"

	nodeinit "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodelease "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
)

// podStages say how a fake pod lives. KWOK plays, for each pod, the stage
// whose selector matches what the pod is now.
//
//go:embed stages/*.yaml
var podStages embed.FS

// podLog is what every container of every pod has logged, in the kubelet's format.
const podLog = "2026-01-01T00:00:00.000000000Z stdout F this pod is played by KWOK and runs nothing\n"

// clusterLogs points `kubectl logs` of any pod to one file.
const clusterLogs = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata:
  name: all
spec:
  logs:
  - logsFile: %q
`

// writeStages writes KWOK's configuration: nodes as KWOK ships them, pods by
// our stages, then the documents of the file `extra`, if one is named.
func writeStages(path, logFile, extra string) error {
	documents := []string{
		nodeinit.DefaultNodeInit,
		nodelease.DefaultNodeHeartbeatWithLease,
		fmt.Sprintf(clusterLogs, logFile),
	}
	names, err := fs.Glob(podStages, "stages/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		stage, err := podStages.ReadFile(name)
		if err != nil {
			return err
		}
		documents = append(documents, string(stage))
	}
	if extra != "" {
		more, err := os.ReadFile(extra)
		if err != nil {
			return err
		}
		documents = append(documents, string(more))
	}
	if err := os.WriteFile(logFile, []byte(podLog), 0o600); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(documents, "\n---\n")), 0o600)
}
