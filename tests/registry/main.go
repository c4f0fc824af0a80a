// A registry in memory, as the Distribution project builds it, at the address that is given.
// With a second argument, a file of Apache's htpasswd, whoever is not in it is turned away.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: registry ADDRESS [HTPASSWD-FILE]")
	}
	config := &configuration.Configuration{
		Version: "0.1",
		Storage: configuration.Storage{"inmemory": {}},
	}
	config.HTTP.Addr = os.Args[1]
	config.HTTP.Secret = "only for tests"
	config.Log.Level = "warn"
	if len(os.Args) > 2 {
		config.Auth = configuration.Auth{"htpasswd": {"realm": "test", "path": os.Args[2]}}
	}
	// It would look for a collector of traces otherwise.
	if err := os.Setenv("OTEL_TRACES_EXPORTER", "none"); err != nil {
		return err
	}
	server, err := registry.NewRegistry(context.Background(), config)
	if err != nil {
		return err
	}
	return server.ListenAndServe()
}
