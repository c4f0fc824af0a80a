// Package export_sluice_traffic_router is what the generated exports call. The SDK puts the
// author's router behind it, which it cannot import itself without a circle.
package export_sluice_traffic_router

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"sluice.dev/sdk/internal/wit/sluice_plugin_types"
	"sluice.dev/sdk/internal/wit/sluice_traffic_types"
)

// Done is nothing or why it could not be done.
type Done = witTypes.Result[witTypes.Unit, sluice_plugin_types.PluginError]

// Queries are what a router must see.
type Queries = witTypes.Result[[]sluice_traffic_types.ObjectQuery, sluice_plugin_types.PluginError]

// Changes are what is to be different.
type Changes = witTypes.Result[[]sluice_traffic_types.Change, sluice_plugin_types.PluginError]

// Verified is whether the data plane does what is wanted.
type Verified = witTypes.Result[sluice_traffic_types.Verification, sluice_plugin_types.PluginError]

// Functions are those of a router.
type Functions struct {
	Capabilities func() []string
	Validate     func(config string) Done
	References   func(wanted sluice_traffic_types.Routing, found []string) Queries
	Route        func(wanted sluice_traffic_types.Routing, objects []string) Changes
	Verify       func(wanted sluice_traffic_types.Routing, objects []string) Verified
	Release      func(last sluice_traffic_types.Routing, objects []string) Changes
}

// Router is the component's router.
var Router Functions

// Capabilities is called by the host.
func Capabilities() []string { return Router.Capabilities() }

// Validate is called by the host.
func Validate(config string) Done { return Router.Validate(config) }

// References is called by the host.
func References(wanted sluice_traffic_types.Routing, found []string) Queries {
	return Router.References(wanted, found)
}

// Route is called by the host.
func Route(wanted sluice_traffic_types.Routing, objects []string) Changes {
	return Router.Route(wanted, objects)
}

// Verify is called by the host.
func Verify(wanted sluice_traffic_types.Routing, objects []string) Verified {
	return Router.Verify(wanted, objects)
}

// Release is called by the host.
func Release(last sluice_traffic_types.Routing, objects []string) Changes {
	return Router.Release(last, objects)
}
