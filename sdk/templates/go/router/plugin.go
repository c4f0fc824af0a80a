// The plugin moves weights between the backends of a WeightedRoute.
package main

import (
	"fmt"

	"sluice.dev/sdk"
)

const (
	apiVersion = "gateway.example.com/v1"
	kind       = "WeightedRoute"
)

// Config is what a user writes under the plugin's name in a rollout's trafficRouting.plugins.
type Config struct {
	// Route is the name of the WeightedRoute, in the rollout's namespace.
	Route string `json:"route"`
}

// Plugin is the router.
type Plugin struct{}

// Capabilities are what it can do besides weights.
func (Plugin) Capabilities() []string { return []string{sdk.Verifies} }

// Validate checks what the type cannot say.
func (Plugin) Validate(config Config) error {
	if config.Route == "" {
		return wrong("must be the name of a %s", kind)
	}
	return nil
}

// References are the objects that it must see.
func (Plugin) References(_ sdk.Routing, config Config, _ []sdk.Object) ([]sdk.ObjectQuery, error) {
	return []sdk.ObjectQuery{{APIVersion: apiVersion, Kind: kind, Name: config.Route}}, nil
}

// Route is what has to change.
func (Plugin) Route(wanted sdk.Routing, config Config, objects []sdk.Object) ([]sdk.Change, error) {
	if len(objects) == 0 {
		return nil, wrong("there is no %s %s", kind, config.Route)
	}
	changed := objects[0].Clone()
	for _, side := range []sdk.Destination{wanted.Stable, wanted.Canary} {
		backend := backendOf(changed, side.Service)
		if backend == nil {
			return nil, wrong("%s %s has no backend %q", kind, config.Route, side.Service)
		}
		backend.Set(side.Weight, "weight")
	}
	return sdk.Update(objects[0], changed), nil
}

// Verify is whether the gateway does what is wanted.
func (p Plugin) Verify(wanted sdk.Routing, config Config, objects []sdk.Object) (sdk.Verification, error) {
	changes, err := p.Route(wanted, config, objects)
	if err != nil {
		return nil, err
	}
	if len(changes) > 0 {
		return sdk.Pending{Missing: kind + " " + config.Route + " has other weights"}, nil
	}
	// The gateway says for which generation of the object its status is.
	route := objects[0]
	if route.At("status", "observedGeneration") != route.At("metadata", "generation") {
		return sdk.Pending{Missing: "the gateway has not read the weights yet"}, nil
	}
	return sdk.Converged{}, nil
}

// Release leaves everything with the stable version.
func (p Plugin) Release(last sdk.Routing, config Config, objects []sdk.Object) ([]sdk.Change, error) {
	// A route that is gone has nothing of the rollout's left in it.
	if len(objects) == 0 {
		return nil, nil
	}
	last.Stable.Weight, last.Canary.Weight = last.TotalWeight, 0
	return p.Route(last, config, objects)
}

func backendOf(route sdk.Object, service string) sdk.Object {
	for _, backend := range route.List("spec", "backends") {
		if backend.Text("service") == service {
			return backend
		}
	}
	return nil
}

func wrong(format string, args ...any) error {
	return &sdk.InvalidConfig{Message: "route: " + fmt.Sprintf(format, args...)}
}

func init() { sdk.ExportRouter(Plugin{}) }

// A component has no main, and a Go program needs one.
func main() {}
