// Command podtemplate writes down how Go serialises a pod template, and what comes of it.
//
//	podtemplate table      the types below v1.PodTemplateSpec, as hash/template.txt has them
//	podtemplate vectors    templates and their hashes, as hash/vectors.txt has them
//
// The identity of a revision is a hash over that serialisation, so a controller that is not
// written in Go has to know it: the order of fields, which are left out when they are empty, and
// which types have a form of their own. `make hash` writes both files anew.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	switch {
	case len(os.Args) == 2 && os.Args[1] == "table":
		writeTable(out)
	case len(os.Args) == 2 && os.Args[1] == "vectors":
		writeVectors(out)
	default:
		fmt.Fprintln(os.Stderr, "usage: podtemplate table|vectors")
		os.Exit(2)
	}
}

// library is the version of k8s.io/api that this was built with.
func library() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path != "k8s.io/api" {
				continue
			}
			if module.Replace != nil {
				return module.Replace.Version
			}
			return module.Version
		}
	}
	return "unknown"
}
